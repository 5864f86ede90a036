import { KasmDbError, RetoldError } from '../app/errors.js';
import { plural } from '../app/plural.js';
import type { ConnectionSettings } from '../config/settings.js';
import { kasmServerNote } from '../doctor/kasm-server.js';
import { type Migration, writesVendorVersion } from '../migrations/files.js';
import { type MigrateResult, type MigrateOptions as MigratorOptions, migrate } from '../migrator/migrate.js';
import { ownershipWarning } from '../migrator/ownership.js';
import type { SeedResult } from '../seed/seed.js';
import type { Answer, CommandContext } from './command.js';
import { dryRunText, migrateFields, migrateText } from './migrate-answer.js';
import { dryRun } from './migrate-dry-run.js';
import { notifyGates } from './notify-gates.js';
import type { SeedCommandOptions } from './seed.js';
import { seedFields, seedText } from './seed-answer.js';

/** What `migrate` was called with; times in milliseconds but for the one that is the seed's. */
export interface MigrateAndSeedOptions
  extends Omit<MigratorOptions, 'planned'>,
    Pick<SeedCommandOptions, 'seeds' | 'secrets' | 'dryRun' | 'lockTimeout'> {
  seed?: boolean;
  verify?: boolean;
}

/** Migrates, seeds where that is asked for, and tells the waiting gates; or says what of it would be done. */
export async function migrateAndSeed(ctx: CommandContext, options: MigrateAndSeedOptions): Promise<Answer> {
  const migrations = await ctx.migrations();
  if (options.verify) await (await import('../rehearsal/no-drift.js')).requireNoDrift(ctx, migrations, ctx.folder);
  const database = ctx.resolve();
  const warn = (warnings: readonly string[]) => {
    for (const warning of warnings) ctx.events.warning?.(warning);
  };
  const beforehand = (found: Found) => warningsBefore(found, migrations, database.dbname);
  const planned = (found: Found) => warn(beforehand(found));
  const result = options.dryRun
    ? await dryRun(ctx, migrations, options)
    : await migrate(ctx, migrations, { ...options, planned });
  if (options.dryRun) planned(result);
  const { plan, applied } = result;
  const seeded = await seedAfter(ctx, options, result, database);
  if (!options.dryRun) await notifyGates(ctx, database.dbname);
  const left = options.seed && plan.vendorUpgraded ? [`seeding was skipped: ${OTHER_RELEASE}`] : [];
  const found = [...plan.warnings, ...left];
  warn([...found, ...(seeded?.warnings ?? [])]);
  const { warnings: ofSeed = [], ...ofSeeding } = seeded ? seedFields(seeded) : {};
  const warnings = [...beforehand(result), ...found, ...ofSeed];
  const done = applied.length > 0 || !options.dryRun;
  return {
    fields: { ...migrateFields(result, database, options), ...ofSeeding, warnings },
    text: (s) => {
      const main = done ? migrateText(result, database.dbname, migrations.length, s) : dryRunText(result, s);
      if (seeded) return `${main}\n${ctx.again(seedText(seeded, options.dryRun === true, s))}`;
      if (!options.seed) return main;
      return plan.vendorUpgraded
        ? `${main}\n${s.yellow('Seeding was skipped:')} ${OTHER_RELEASE}.`
        : `${main}\nWould then seed; what that writes is known when these are applied.`;
    },
  };
}

const OTHER_RELEASE = 'the database is of another release of Kasm';

/** @throws RetoldError, which says what was applied */
async function seedAfter(
  ctx: CommandContext,
  options: MigrateAndSeedOptions,
  migrated: MigrateResult,
  database: ConnectionSettings,
): Promise<SeedResult | undefined> {
  const { plan } = migrated;
  if (!options.seed || plan.vendorUpgraded) return undefined;
  // What a seed would do shows only where its tables are.
  if (options.dryRun && plan.pending.length > 0) return undefined;
  const { runSeed } = await import('./seed.js');
  return runSeed(ctx, options).catch((error) => {
    throw error instanceof KasmDbError && !options.dryRun ? seedFailed(error, migrated, database) : error;
  });
}

/** The migrations are in, the seed is not: both are said. */
function seedFailed(error: KasmDbError, migrated: MigrateResult, database: ConnectionSettings): RetoldError {
  const n = migrated.applied.length;
  const isInterrupted = error.outcome === 'interrupted';
  const applied = `${plural(n, 'migration was', 'migrations were')} applied`;
  const done = n === 0 ? '' : isInterrupted ? `${applied}; the seed was ` : `${applied}, but the seed failed: `;
  const { hint = '' } = error.details;
  if (isInterrupted) return new RetoldError(error, `${done}${error.message}`, migrateFields(migrated, database));
  const again = /--seed(?!s)/.test(hint) ? hint : `${hint ? `${hint}; then ` : ''}run: kasm-db migrate --seed`;
  return new RetoldError(error, `${done}${error.message}`, migrateFields(migrated, database), again);
}

type Found = Pick<MigrateResult, 'plan' | 'state'>;

/** Told before anything is written: tables that Kasm could not use, as another login than the owner's makes them; a server that Kasm does not want. */
function warningsBefore({ plan, state }: Found, migrations: readonly Migration[], dbname: string): string[] {
  const ownership = plan.pending.length > 0 ? ownershipWarning(state.owner, dbname) : undefined;
  const server = writesVendorVersion(migrations) ? kasmServerNote(state.serverVersion) : undefined;
  return [ownership, server].flatMap((warning) => (warning ? [`${warning.text}; ${warning.fix}`] : []));
}
