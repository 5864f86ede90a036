import { KasmDbError } from '../app/errors.js';
import { plural } from '../app/plural.js';
import { formatMs } from '../app/when.js';
import { lockTimeout } from '../config/duration.js';
import { describeLoss } from '../migrator/data-loss.js';
import { rollBack } from '../migrator/rollback.js';
import { printable, table } from '../output/terminal.js';
import type { Answer, CommandContext } from './command.js';
import { unlessEmpty } from './database-info.js';

export interface RollbackCommandOptions {
  /** Stays applied; what is newer is undone. `none`: everything. */
  to?: string;
  /** Number of migrations to undo, instead of `to`. */
  steps?: string | number;
  /** Also when rows would be lost. */
  allowDataLoss?: boolean;
  /** Check everything and say what would be done, and do nothing. */
  dryRun?: boolean;
  /** How long to wait for another migrator or a table lock; default 5m. */
  lockTimeout?: string;
}

/** Runs down scripts, last applied first. */
export async function rollbackCommand(ctx: CommandContext, options: RollbackCommandOptions): Promise<Answer> {
  const result = await rollBack(ctx, await ctx.migrations(), {
    to: options.to,
    steps: options.steps === undefined ? undefined : wholeNumber(options.steps),
    lockTimeoutMs: lockTimeout(options.lockTimeout),
    allowDataLoss: options.allowDataLoss ?? false,
    dryRun: options.dryRun ?? false,
  });
  const { plan, rolledBack, waitedMs, holder, state } = result;
  const { dbname } = ctx.resolve();
  const at = plan.target ?? 'no migration';
  const names = plan.steps.map((migration) => migration.name);
  return {
    state,
    fields: {
      target: plan.target,
      current: options.dryRun || plan.steps.length === 0 ? plan.current : plan.target,
      rolledBack,
      toRollBack: options.dryRun ? names : undefined,
      losses: unlessEmpty(result.losses),
      lock: waitedMs > 0 ? { waitedMs: Math.round(waitedMs), holder } : undefined,
    },
    text: (s) => {
      if (names.length === 0) return `${s.green('Nothing to do.')} Database ${dbname} is at ${at}.`;
      if (options.dryRun) {
        const lost = result.losses.map((loss) => `  ${printable(describeLoss(loss))}`);
        const losses = lost.length > 0 ? `\n${s.red('Would lose:')}\n${lost.join('\n')}` : '';
        return `Would roll back, in this order:\n${names.map((name) => `  ${name}`).join('\n')}${losses}`;
      }
      const rows = rolledBack.map(({ name, ms }) => [name, formatMs(ms)]);
      const n = rolledBack.length;
      const list = s.listed ? '' : `${table(['ROLLED BACK', 'TIME'], rows, s)}\n\n`;
      return `${list}${s.green(`Rolled back ${plural(n, 'migration')}`)} of database ${dbname}; it is now at ${at}.`;
    },
  };
}

function wholeNumber(steps: string | number): number {
  const text = String(steps).trim();
  if (!/^[1-9]\d{0,5}$/.test(text))
    throw new KasmDbError('usage', `--steps must be a whole number from 1 on, not "${text}"`, {
      hint: 'such as --steps 1',
    });
  return Number(text);
}
