import { readState } from '../history/read-state.js';
import { type Migration, writesVendorVersion } from '../migrations/files.js';
import { requireName } from '../migrations/name.js';
import type { MigrateResult } from '../migrator/migrate.js';
import { planFor, requireApplicable } from '../migrator/plan-for.js';
import { MOST_TREE_CHARACTERS, parseScript } from '../postgres/parser.js';
import { withSession } from '../postgres/session.js';
import { toKasmDbError } from '../postgres/sqlstate.js';
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
  const files = migrations.filter(({ name }) => options.to === undefined || name <= options.to);
  const pending = files.map(({ name }) => name);
  await requireApplicable(files, { pooled: false });
  const warnings = await requireParsable(files);
  for (const warning of warnings) ctx.events.warning?.(warning);
  const missing = options.seed ? await (await import('./seed.js')).missingKeys(ctx, options) : [];
  return {
    fields: { applied: [], pending, warnings },
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
  const state = await withSession(ctx, 'planning', (session) =>
    readState(session, { vendor: writesVendorVersion(migrations) }),
  );
  const plan = planFor(migrations, state, options);
  await requireApplicable(plan.pending, state);
  const warnings = [...plan.warnings, ...(await requireParsable(plan.pending))];
  return {
    state,
    plan: { ...plan, warnings },
    ...{ applied: [], waitedMs: 0, blockers: [], cancelled: [] },
  };
}

/** Syntax errors are what can be known without running a file. @returns a warning for each that is too large to be parsed @throws KasmDbError failed, as the run would */
async function requireParsable(pending: readonly Migration[]): Promise<string[]> {
  const warnings: string[] = [];
  for (const migration of pending) {
    const sql = await migration.sql();
    if (migration.transaction && sql.length > MOST_TREE_CHARACTERS)
      warnings.push(`${migration.path} is too large to look for syntax errors`);
    else
      await parseScript(sql, migration.path).catch((error) => {
        throw toKasmDbError(error, migration.name, { migration: migration.name });
      });
  }
  return warnings;
}
