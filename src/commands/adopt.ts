import { KasmDbError } from '../app/errors.js';
import { plural } from '../app/plural.js';
import { lockTimeout } from '../config/duration.js';
import type { Style } from '../output/terminal.js';
import { type AdoptResult, adopt } from '../schema/adopt.js';
import type { Difference } from '../schema/diff.js';
import type { Answer, CommandContext } from './command.js';
import { unlessEmpty } from './database-info.js';
import { acceptedText } from './difference-text.js';

export interface AdoptCommandOptions {
  /** Folder of migrations, with its schema.snapshot.json. */
  migrations?: string;
  /** Compare and say what would be recorded; do nothing. */
  dryRun?: boolean;
  /** Accept differences that matter; they are stored, so that `verify` knows them. */
  allowDifferences?: boolean;
  /** The database's alembic_version, where it is another build's of the same release; it is stored, so that `check` and `verify` know it. */
  acceptHead?: string;
  /** Make the indexes that are missing. */
  addMissing?: boolean;
  /** How long to wait for another migrator; default 5m. */
  lockTimeout?: string;
}

/** Takes over a database that the API container has initialised: compares, then records the migrations as applied without running them. */
export async function adoptCommand(ctx: CommandContext, options: AdoptCommandOptions): Promise<Answer> {
  const dryRun = options.dryRun ?? false;
  const migrations = await ctx.migrations();
  const result = await adopt(ctx, migrations, {
    folder: options.migrations,
    dryRun,
    allowDifferences: options.allowDifferences ?? false,
    acceptHead: options.acceptHead === undefined ? undefined : requireHead(options.acceptHead),
    addMissing: options.addMissing ?? false,
    lockTimeoutMs: lockTimeout(options.lockTimeout),
  });
  const { allowed, tolerated, added, recorded, already, stamped } = result;
  for (const warning of result.warnings) ctx.events.warning?.(warning);
  const current = already || !dryRun ? migrations.at(-1)?.name : undefined;
  return {
    state: result.state,
    fields: {
      current,
      ...(dryRun ? { pending: recorded } : { applied: recorded.map((name) => ({ name, ms: 0 })) }),
      accepted: already ? undefined : [...allowed, ...tolerated],
      added: unlessEmpty(added),
      warnings: [
        ...result.warnings,
        ...(stamped
          ? [`the tables were complete and without rows, and alembic_version was missing: it is ${stamped} now`]
          : []),
      ],
    },
    text: (s) => ctx.again(report(result, dryRun, s)),
  };
}

function requireHead(text: string): string {
  if (/^\w{1,32}$/.test(text)) return text;
  throw new KasmDbError('usage', `--accept-head: "${text}" is not an alembic_version`, {
    hint: 'it is what SELECT version_num FROM alembic_version answers, such as bfc22f00ad19',
  });
}

function report(
  { already, recorded, allowed, tolerated, added, stamped }: AdoptResult,
  dryRun: boolean,
  s: Style,
): string {
  if (already) return `${s.green('Nothing to do.')} kasm-db manages this database already.`;
  const lines: string[] = [];
  const tell = (title: string, differences: readonly Difference[]) => {
    if (differences.length > 0) lines.push(`${title} (${differences.length}):`, acceptedText(differences, s), '');
  };
  tell('Differences that matter, accepted as they are', allowed);
  tell(
    "Only in this database, since Kasm's export leaves tables, keys and indexes out",
    tolerated.filter(({ change }) => change === 'extra'),
  );
  tell(
    "Differences in what Kasm's export leaves open: names of constraints, keys, indexes, defaults",
    tolerated.filter(({ change }) => change !== 'extra'),
  );
  if (added.length > 0)
    lines.push(`${dryRun ? 'Would make' : 'Made'} ${plural(added.length, 'missing index', 'missing indexes')}.`);
  if (stamped)
    lines.push(
      dryRun
        ? `Would write alembic_version ${stamped}, which is missing.`
        : `Wrote alembic_version ${stamped}, which was missing.`,
    );
  lines.push(
    dryRun
      ? `Would record ${plural(recorded.length, 'migration')} as adopted. Nothing was done.`
      : `${s.green('Adopted:')} ${plural(recorded.length, 'migration is', 'migrations are')} recorded, none was run. Next: kasm-db seed, kasm-db verify`,
  );
  return lines.join('\n');
}
