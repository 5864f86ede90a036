import { KasmDbError } from '../app/errors.js';
import { lockTimeout, parseDuration } from '../config/duration.js';
import { wantsRedis } from '../config/redis.js';
import { kasmServerNote } from '../doctor/kasm-server.js';
import { type Migration, writesVendorVersion } from '../migrations/files.js';
import { type MigrateResult, type MigrateOptions as MigratorOptions, migrate } from '../migrator/migrate.js';
import { ownershipWarning } from '../migrator/ownership.js';
import { noHistory } from '../migrator/plan-for.js';
import type { Answer, CommandContext } from './command.js';
import { dryRunText, migrateFields, migrateText } from './migrate-answer.js';
import { dryRun, dryRunOfNothing } from './migrate-dry-run.js';
import type { SeedCommandOptions } from './seed.js';
import { seedFields, seedText } from './seed-answer.js';
import { SeedFailed } from './seed-failed.js';

export interface MigrateOptions extends Pick<SeedCommandOptions, 'seeds' | 'secrets'> {
  /** Then write default rows and credentials. */
  seed?: boolean;
  /** First what `bootstrap` does, with the admin login. */
  bootstrap?: boolean;
  /** With bootstrap: a role for the gates. */
  gateRole?: string;
  /** Last migration to apply; default: the newest. */
  to?: string;
  /** Say what would be done, and do nothing. */
  dryRun?: boolean;
  /** Stop where there is no history yet: an upgrade never initialises an empty database. */
  expectExisting?: boolean;
  /** Stop where there is a history or a table already. */
  requireEmpty?: boolean;
  /** First hold the database (with migrations pending, what they make of it) against the snapshot, and stop where it differs. */
  verify?: boolean;
  /** How long to wait for another migrator or a table lock; default 5m. */
  lockTimeout?: string;
  /** End sessions that are idle in a transaction for longer than that and hold a table that a migration needs. */
  cancelBlockers?: string;
}

/** Brings the database to the newest version that this build knows. */
export async function migrateCommand(ctx: CommandContext, options: MigrateOptions): Promise<Answer> {
  if (options.expectExisting && options.requireEmpty)
    throw new KasmDbError('usage', '--expect-existing and --require-empty exclude each other', {
      hint: 'take --expect-existing for an upgrade, --require-empty for a first installation',
    });
  const timeouts = {
    ...(options.cancelBlockers === undefined
      ? {}
      : { cancelBlockersMs: parseDuration(options.cancelBlockers, '--cancel-blockers') }),
    lockTimeoutMs: lockTimeout(options.lockTimeout),
  };
  if (options.bootstrap) {
    const { bootstrapAnswer, runBootstrap } = await import('./bootstrap.js');
    if (options.expectExisting && !(await runBootstrap(ctx, { ...options, dryRun: true })).hadHistory)
      throw noHistory(`database "${ctx.resolve().dbname}"`);
    const made = await runBootstrap(ctx, options);
    if (options.dryRun) {
      const first = bootstrapAnswer(ctx, made, options);
      const noLogin = made.steps.some(({ where, state }) => where === 'maintenance' && state === 'missing');
      const then = noLogin ? await dryRunOfNothing(ctx, options) : await migrateAndSeed(ctx, options, timeouts);
      return {
        fields: { ...then.fields, warnings: [...made.warnings, ...(then.fields.warnings ?? [])] },
        text: (s) => `${first.text(s)}\n\n${then.text(s)}`,
      };
    }
    for (const warning of made.warnings) ctx.events.warning?.(warning);
    ctx.events.progress?.('role, database, extension, history and grants are there');
  }
  if (options.dryRun || !wantsRedis(ctx.env)) return migrateAndSeed(ctx, options, timeouts);
  const database = ctx.resolve().dbname;
  return migrateAndSeed(ctx, options, timeouts, async () =>
    (await import('../readiness/notifier.js')).notify(ctx.env, database),
  );
}

/** @param notify tells the waiting gates that all is done; gives what to warn of */
async function migrateAndSeed(
  ctx: CommandContext,
  options: MigrateOptions,
  timeouts: Pick<MigratorOptions, 'lockTimeoutMs' | 'cancelBlockersMs'>,
  notify?: () => Promise<string | undefined>,
): Promise<Answer> {
  const migrations = await ctx.migrations();
  if (options.verify) await (await import('../rehearsal/no-drift.js')).requireNoDrift(ctx, migrations, ctx.folder);
  const database = ctx.resolve();
  const beforehand = (found: Found) => warningsBefore(found, migrations, database.dbname);
  const planned = (found: Found) => {
    for (const warning of beforehand(found)) ctx.events.warning?.(warning);
  };
  const result = options.dryRun
    ? await dryRun(ctx, migrations, options)
    : await migrate(ctx, migrations, { ...options, ...timeouts, planned });
  if (options.dryRun) planned(result);
  const { plan, applied } = result;
  // What a seed would do shows only where its tables are.
  const seedable = !plan.vendorUpgraded && (!options.dryRun || plan.pending.length === 0);
  const seeding = options.seed && seedable ? await import('./seed.js') : undefined;
  const seeded = await seeding?.runSeed(ctx, options).catch((error) => {
    throw error instanceof KasmDbError && !options.dryRun ? new SeedFailed(error, result, database) : error;
  });
  const notNotified = await notify?.();
  if (notNotified) ctx.events.warning?.(notNotified);
  const found = [
    ...plan.warnings,
    ...(options.seed && plan.vendorUpgraded ? ['seeding was skipped: the database is of another release of Kasm'] : []),
  ];
  for (const warning of found) ctx.events.warning?.(warning);
  for (const warning of seeded?.warnings ?? []) ctx.events.warning?.(warning);
  const { warnings: ofSeed = [], ...ofSeeding } = seeded ? seedFields(seeded) : {};
  const warnings = [...beforehand(result), ...found, ...ofSeed];
  const done = applied.length > 0 || !options.dryRun;
  return {
    fields: {
      ...migrateFields(result, database, options),
      ...ofSeeding,
      ...(warnings.length > 0 ? { warnings } : {}),
    },
    text: (s) => {
      const main = done ? migrateText(result, database.dbname, migrations.length, s) : dryRunText(result, s);
      if (seeded) return `${main}\n${ctx.again(seedText(seeded, options.dryRun === true, s))}`;
      if (!options.seed) return main;
      return plan.vendorUpgraded
        ? `${main}\n${s.yellow('Seeding was skipped:')} the database is of another release of Kasm.`
        : `${main}\nWould then seed; what that writes is known when these are applied.`;
    },
  };
}

type Found = Pick<MigrateResult, 'plan' | 'state'>;

/** Told before anything is written: tables that Kasm could not use, as another login than the owner's makes them; a server that Kasm does not want. */
function warningsBefore({ plan, state }: Found, migrations: readonly Migration[], dbname: string): string[] {
  const ownership = plan.pending.length > 0 ? ownershipWarning(state.owner, dbname) : undefined;
  const server = writesVendorVersion(migrations) ? kasmServerNote(state.serverVersion) : undefined;
  return [ownership, server].flatMap((warning) => (warning ? [`${warning.text}; ${warning.fix}`] : []));
}
