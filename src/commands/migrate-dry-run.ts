import { readState } from '../history/read-state.js';
import { type Migration, writesVendorVersion } from '../migrations/files.js';
import { requireName } from '../migrations/name.js';
import type { MigrateResult } from '../migrator/migrate.js';
import { planFor } from '../migrator/plan-for.js';
import { sessionOptions } from '../migrator/with-lock.js';
import { withSession } from '../postgres/session.js';
import type { Answer, CommandContext } from './command.js';
import type { SeedCommandOptions } from './seed.js';

/** Role or database are not there yet: all migrations would be applied, and all rows written. */
export async function dryRunOfNothing(
  ctx: CommandContext,
  options: SeedCommandOptions & { to?: string; seed?: boolean },
): Promise<Answer> {
  const migrations = await ctx.migrations();
  if (options.to !== undefined)
    requireName(
      '--to',
      options.to,
      migrations.map(({ name }) => name),
    );
  const pending = migrations.map(({ name }) => name).filter((name) => options.to === undefined || name <= options.to);
  const missing = options.seed ? await (await import('./seed.js')).missingKeys(ctx, options) : [];
  return {
    fields: { applied: [], pending },
    text: () =>
      [
        `Would then apply, in this order:\n${pending.map((name) => `  ${name}`).join('\n')}`,
        ...(options.seed ? ['Would then write the default rows and the credentials.'] : []),
        ...(missing.length > 0
          ? [`The seed would fail, since these credentials are not given: ${missing.join(', ')}.`]
          : []),
      ].join('\n'),
  };
}

/** What would be applied; nothing is written. */
export async function dryRun(
  ctx: CommandContext,
  migrations: Migration[],
  options: { to?: string },
): Promise<MigrateResult> {
  const state = await withSession(ctx.resolve, { ...sessionOptions(ctx), doing: 'planning' }, (session) =>
    readState(session, { vendor: writesVendorVersion(migrations) }),
  );
  return { state, plan: planFor(migrations, state, options), applied: [], waitedMs: 0, blockers: [], cancelled: [] };
}
