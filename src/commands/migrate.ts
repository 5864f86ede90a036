import { KasmDbError } from '../app/errors.js';
import { plural } from '../app/plural.js';
import { formatMs, parseDuration } from '../config/duration.js';
import { wantsRedis } from '../config/redis.js';
import type { ConnectionSettings } from '../config/settings.js';
import { kasmServerNote } from '../doctor/kasm-server.js';
import { readState } from '../history/read-state.js';
import { writesVendorVersion } from '../migrations/files.js';
import { requireName } from '../migrations/name.js';
import { type MigrateResult, type MigrateOptions as MigratorOptions, migrate } from '../migrator/migrate.js';
import { ownershipWarning } from '../migrator/ownership.js';
import { planFor } from '../migrator/plan-for.js';
import { sessionOptions } from '../migrator/with-lock.js';
import type { Result } from '../output/result.js';
import { type Style, table } from '../output/terminal.js';
import { withSession } from '../postgres/session.js';
import { type Answer, type CommandContext, describeDatabase } from './command.js';
import type { SeedCommandOptions } from './seed.js';

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
  /** Stop where there is anything of Kasm's already. */
  requireEmpty?: boolean;
  /** First hold the database (with migrations pending, what they make of it) against the snapshot, and stop where it differs. */
  verify?: boolean;
  /** How long to wait for another migrator or a table lock; default 5m. */
  lockTimeout?: string;
  /** End sessions that are idle in a transaction for longer than that and hold a table that a migration needs. */
  cancelBlockers?: string;
}

const DEFAULT_LOCK_TIMEOUT = '5m';

/** Brings the database to the newest version that this build knows. */
export async function migrateCommand(ctx: CommandContext, options: MigrateOptions): Promise<Answer> {
  const timeouts = {
    ...(options.cancelBlockers === undefined
      ? {}
      : { cancelBlockersMs: parseDuration(options.cancelBlockers, '--cancel-blockers') }),
    lockTimeoutMs: parseDuration(options.lockTimeout ?? DEFAULT_LOCK_TIMEOUT, '--lock-timeout'),
  };
  if (options.bootstrap) {
    const { bootstrapAnswer, runBootstrap } = await import('./bootstrap.js');
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
  const beforehand = ({ plan, state }: Pick<MigrateResult, 'plan' | 'state'>) => {
    const ownership = ownershipOf({ plan, state }, ctx.resolve().dbname);
    const server = writesVendorVersion(migrations) ? kasmServerNote(state.serverVersion) : undefined;
    return [...(ownership ? [ownership] : []), ...(server ? [`${server.text}; ${server.fix}`] : [])];
  };
  const planned = (before: Pick<MigrateResult, 'plan' | 'state'>) => {
    for (const warning of beforehand(before)) ctx.events.warning?.(warning);
  };
  const result = options.dryRun
    ? await dryRun(ctx, migrations, options)
    : await migrate(ctx, migrations, { ...options, ...timeouts, planned });
  if (options.dryRun) planned(result);
  const { plan, applied, state, waitedMs, holder, blockers, cancelled } = result;
  // What a seed would do shows only where its tables are.
  const seedable = !plan.vendorUpgraded && (!options.dryRun || plan.pending.length === 0);
  const seeding = options.seed && seedable ? await import('./seed.js') : undefined;
  const seeded = await seeding?.runSeed(ctx, options).catch((error) => {
    throw error instanceof KasmDbError && !options.dryRun
      ? new SeedFailed(error, { ...result, database: ctx.resolve() })
      : error;
  });
  const warning = await notify?.();
  if (warning) ctx.events.warning?.(warning);
  const found = [
    ...plan.warnings,
    ...(options.seed && plan.vendorUpgraded ? ['seeding was skipped: the database is of another release of Kasm'] : []),
  ];
  for (const warning of found) ctx.events.warning?.(warning);
  const { warnings: ofSeed = [], ...fields } = seeding && seeded ? seeding.seedFields(seeded) : {};
  const warnings = [...beforehand(result), ...found, ...ofSeed];
  const database = describeDatabase(ctx.resolve(), state);
  const current = applied.at(-1)?.name ?? plan.current;
  const done = applied.length > 0 || !options.dryRun;
  return {
    fields: {
      database,
      ...(plan.target ? { target: plan.target } : {}),
      ...(current ? { current } : {}),
      applied,
      ...(options.dryRun ? { pending: plan.pending.map((m) => m.name) } : {}),
      ...(plan.unknown.length > 0 ? { unknown: plan.unknown } : {}),
      ...(waitedMs > 0 || blockers.length > 0 || cancelled.length > 0
        ? {
            lock: {
              waitedMs: Math.round(waitedMs),
              ...(holder ? { holder } : {}),
              ...(blockers.length > 0 ? { blockers: [...blockers] } : {}),
              ...(cancelled.length > 0 ? { cancelled: [...cancelled] } : {}),
            },
          }
        : {}),
      ...fields,
      ...(warnings.length > 0 ? { warnings } : {}),
    },
    text: (s) => {
      const main = done ? report(result, database.name, migrations.length, s) : dryRunReport(result, s);
      if (seeding && seeded) return `${main}\n${ctx.again(seeding.seedText(seeded, options.dryRun === true, s))}`;
      if (!options.seed) return main;
      return plan.vendorUpgraded
        ? `${main}\n${s.yellow('Seeding was skipped:')} the database is of another release of Kasm.`
        : `${main}\nThen seed; what that would write shows once these are applied.`;
    },
  };
}

/** Kasm cannot use what another login than the owner's has made. */
function ownershipOf({ plan, state }: Pick<MigrateResult, 'plan' | 'state'>, database: string): string | undefined {
  const warning = plan.pending.length > 0 ? ownershipWarning(state.owner, database) : undefined;
  return warning && `${warning.text}; ${warning.fix}`;
}

/** The migrations are in, the seed is not: both are said. */
class SeedFailed extends KasmDbError {
  /** Goes into the result. */
  readonly fields: Partial<Result>;

  constructor(
    error: KasmDbError,
    { plan, applied, state, database }: MigrateResult & { database: ConnectionSettings },
  ) {
    const done =
      applied.length > 0
        ? `${plural(applied.length, 'migration was', 'migrations were')} applied, but the seed failed: `
        : '';
    const { hint, ...details } = error.details;
    super(error.outcome, `${done}${error.message}`, {
      ...details,
      hint: /--seed(?!s)/.test(hint ?? '')
        ? (hint as string)
        : `${hint ? `${hint}; then ` : ''}run: kasm-db migrate --seed`,
      exitCode: error.exitCode,
      cause: error,
    });
    const current = applied.at(-1)?.name ?? plan.current;
    this.fields = {
      database: describeDatabase(database, state),
      ...(plan.target ? { target: plan.target } : {}),
      ...(current ? { current } : {}),
      applied,
    };
  }
}

/** Role or database are not there yet: all migrations would be applied, and all rows written. */
async function dryRunOfNothing(ctx: CommandContext, options: MigrateOptions): Promise<Answer> {
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
        ...(missing.length > 0 ? [`Not given, so that the seed would fail: ${missing.join(', ')}.`] : []),
      ].join('\n'),
  };
}

async function dryRun(
  ctx: CommandContext,
  migrations: Awaited<ReturnType<CommandContext['migrations']>>,
  options: MigrateOptions,
): Promise<MigrateResult> {
  const state = await withSession(ctx.resolve, { ...sessionOptions(ctx), doing: 'planning' }, (session) =>
    readState(session, { vendor: writesVendorVersion(migrations) }),
  );
  return { state, plan: planFor(migrations, state, options), applied: [], waitedMs: 0, blockers: [], cancelled: [] };
}

function report({ applied, plan }: MigrateResult, database: string, known: number, s: Style): string {
  if (applied.length === 0) {
    const ahead = plan.ahead ? `; it also has ${plan.unknown.join(', ')} from a newer kasm-db, which is fine` : '';
    return `${s.green('Nothing to do.')} Database ${database} is at ${plan.current ?? 'no migration'} (${plan.applied.length} of ${known} applied)${ahead}.`;
  }
  const total = applied.reduce((sum, { ms }) => sum + ms, 0);
  const rows = applied.map(({ name, ms }) => [name, formatMs(ms)]);
  const list = s.listed ? '' : `${table(['MIGRATION', 'TIME'], rows, s)}\n\n`;
  return `${list}${s.green(`Applied ${plural(applied.length, 'migration')}`)} to database ${database} in ${formatMs(total)}; it is now at ${applied.at(-1)?.name}.`;
}

function dryRunReport({ plan }: MigrateResult, s: Style): string {
  if (plan.pending.length === 0)
    return `${s.green('Nothing to do.')} The database is at ${plan.current ?? 'no migration'}.`;
  return `Would apply, in this order:\n${plan.pending.map((m) => `  ${m.name}`).join('\n')}`;
}
