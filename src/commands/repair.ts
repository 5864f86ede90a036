import { KasmDbError } from '../app/errors.js';
import { plural } from '../app/plural.js';
import { lockTimeout } from '../config/duration.js';
import { printable } from '../output/terminal.js';
import { lookForRepairs, repair } from '../repair/repair.js';
import type { RepairRequest } from '../repair/repair-plan.js';
import type { Answer, CommandContext } from './command.js';
import { unlessEmpty } from './database-info.js';

export interface RepairCommandOptions extends Omit<RepairRequest, 'statementsDone'> {
  /** With `pending`, of a no-transaction migration: how many of its statements are done. */
  statementsDone?: string | number;
  /** Don't ask. */
  yes?: boolean;
  /** How long to wait for another migrator; default 5m. */
  lockTimeout?: string;
}

/** After a fix by hand: shows what it would change, asks, then does it. Invalid indexes left behind are dropped with it. */
export async function repairCommand(ctx: CommandContext, options: RepairCommandOptions): Promise<Answer> {
  const { applied, pending, checksums, restartEmpty } = options;
  const statementsDone = options.statementsDone === undefined ? undefined : Number(options.statementsDone);
  const request = { applied, pending, checksums, statementsDone, restartEmpty };
  const lockTimeoutMs = lockTimeout(options.lockTimeout);
  const migrations = await ctx.migrations();
  const { state, repairs, advice, unknown } = await lookForRepairs(ctx, migrations, request);
  const list = repairs.map(({ text }) => printable(text));
  if (repairs.length > 0) {
    const wanted = options.yes || (await ctx.confirm?.(`This will\n${bullets(list)}\nGo on?`));
    if (wanted === undefined) {
      throw new KasmDbError('usage', `nobody is there to confirm it; this would ${list.join(', ')}`, {
        hint: 'run it on a terminal, or add --yes',
      });
    }
    if (!wanted) return { state, fields: { repairs: [] }, text: () => 'Nothing was changed.' };
    await repair(ctx, migrations, { ...request, lockTimeoutMs }, repairs);
  }
  const asked = applied !== undefined || pending !== undefined || checksums === true || restartEmpty === true;
  // It was looked for before: what was asked for and is repaired is in it.
  const wrong = asked && repairs.length > 0 ? [] : advice;
  return {
    state,
    fields: {
      repairs: repairs.map(({ what, name, text }) => ({ what, name, text })),
      unknown: unlessEmpty(unknown),
      warnings: wrong,
    },
    text: (s) => {
      if (repairs.length > 0) {
        const next = ctx.again(`Next: kasm-db ${restartEmpty ? 'migrate' : 'status'}`);
        return `${s.green('Repaired:')}\n${bullets(list)}\n${next}`;
      }
      const nothing = asked ? 'Nothing of that is to be repaired.' : 'No invalid index is left behind.';
      if (wrong.length > 0)
        return `${nothing} What else is wrong:\n${bullets(wrong.map((text) => printable(ctx.again(text))))}`;
      const newer = plural(unknown.length, 'migration');
      const withoutFile =
        unknown.length > 0
          ? ` The history has ${newer} of a newer build, without a file here: ${printable(unknown.join(', '))}.`
          : '';
      return `${s.green('Nothing to repair.')}${withoutFile}`;
    },
  };
}

function bullets(lines: readonly string[]): string {
  return lines.map((line) => `  - ${line}`).join('\n');
}
