import { MigrationError, Umzug } from 'umzug';
import type { Blocker } from '../app/blocker.js';
import { type KasmDbError, RetoldError } from '../app/errors.js';
import type { LockHolder } from '../app/lock-holder.js';
import { now } from '../app/time.js';
import type { Context } from '../config/context.js';
import type { LockInfo } from '../history/locks.js';
import { HistoryLocked, readState } from '../history/read-state.js';
import { isDone, type MigrationState } from '../history/state.js';
import { type Migration, writesVendorVersion } from '../migrations/files.js';
import { withSession } from '../postgres/session.js';
import { toKasmDbError } from '../postgres/sqlstate.js';
import { execute } from './execute.js';
import { executeStatements } from './execute-statements.js';
import { blockerInfo, type TableWaits } from './give-way.js';
import type { Plan } from './plan.js';
import { type Expectations, planFor, requireApplicable } from './plan-for.js';
import { inRun, type Run } from './run.js';
import { historyStorage } from './storage.js';
import { LockTaken, type MigrationLock, readWithinMs, withMigrationLock } from './with-lock.js';

export interface MigrateOptions extends Expectations {
  /** How long to wait for another migrator, and for the tables of each migration, in milliseconds. */
  lockTimeoutMs: number;
  /** Sessions that are idle in a transaction for longer than that, in milliseconds, and hold a table that is needed are ended. Default: none. */
  cancelBlockersMs?: number | undefined;
  /** Told before any lock is taken, where something is pending. */
  planned?: (before: { state: MigrationState; plan: Plan<Migration> }) => void;
}

export interface MigrateResult {
  state: MigrationState;
  /** As it was before this run. */
  plan: Plan<Migration>;
  applied: Applied[];
  /** Time spent waiting for another migrator and for table locks, in milliseconds. */
  waitedMs: number;
  /** Who was waited for. */
  holder?: LockHolder | undefined;
  /** Who kept a migration from its table lock. */
  blockers: readonly Blocker[];
  /** Who was ended, since it was idle in a transaction. */
  cancelled: readonly Blocker[];
}

export interface Applied {
  name: string;
  /** Milliseconds from its BEGIN to its COMMIT. */
  ms: number;
  /** What it has locked until its COMMIT; left out where that stops nobody. */
  locks?: LockInfo[];
}

/**
 * Brings the database to the newest of `migrations`. Answers "nothing to do" before any lock; else takes the migration lock, reads the history
 * again, and applies what is pending, each with its history row in one transaction. Of two at once the second finds nothing left to do.
 *
 * Killed anywhere, the server ends our session: it rolls the open transaction back and gives the lock away. Before the COMMIT of a migration
 * (storage.ts) nothing of it is there, after it all of it and its row, which the next run reads; only a no-transaction file can stop halfway
 * (execute-statements.ts).
 * @throws RetoldError, which says what was applied before
 */
export async function migrate(ctx: Context, migrations: Migration[], options: MigrateOptions): Promise<MigrateResult> {
  const vendor = writesVendorVersion(migrations);
  const before = await planBefore(ctx, migrations, options, vendor);
  if (before?.plan.pending.length === 0) return { ...before, applied: [], waitedMs: 0, blockers: [], cancelled: [] };
  if (before) options.planned?.(before);
  const applied: Applied[] = [];
  const waits: TableWaits[] = [];
  const underLock = async (lock: MigrationLock) => {
    const planned = planFor(migrations, lock.state, options);
    await requireApplicable(planned.pending, lock.state);
    if (planned.pending.length > 0) await applyPending(ctx, lock, planned, { options, applied, waits });
    return { state: lock.state, plan: planned };
  };
  const waiting = { waitMs: options.lockTimeoutMs, vendor, doing: 'migrating' };
  try {
    const { result, waitedMs, holder } = await withMigrationLock(ctx, waiting, underLock);
    const tables = tableWaits(waits);
    return {
      ...result,
      applied,
      waitedMs: waitedMs + tables.ms,
      holder,
      blockers: tables.blockers,
      cancelled: tables.cancelled,
    };
  } catch (error) {
    throw partialFailure(toKasmDbError(error, 'migrating'), applied, tableWaits(waits));
  }
}

/** What there is to do, before any lock; undefined: the history is somebody else's for now, which is waited for with the lock. */
async function planBefore(ctx: Context, migrations: Migration[], options: MigrateOptions, vendor: boolean) {
  const read = { vendor, withinMs: readWithinMs(options.lockTimeoutMs) };
  const state = await withSession(ctx, 'migrating', (session) => readState(session, read)).catch((error) => {
    if (!(error instanceof HistoryLocked)) throw error;
    ctx.events.retryConnect?.(error);
    return undefined;
  });
  return state && { state, plan: planFor(migrations, state, options) };
}

/** umzug drives: it keeps the order and stops at the first failure. */
async function applyPending(
  ctx: Context,
  lock: MigrationLock,
  { pending }: Plan<Migration>,
  told: { options: MigrateOptions; applied: Applied[]; waits: TableWaits[] },
): Promise<void> {
  const names = pending.map(({ name }) => name);
  const { lockTimeoutMs, cancelBlockersMs } = told.options;
  const running = { names, lockTimeoutMs, cancelBlockersMs, doing: 'migrating' };
  await inRun(ctx, lock, running, async (run) => {
    told.waits.push(run.waits);
    ctx.events.started?.('applying', names.length);
    const done = (lock.state.history ?? []).filter(isDone).map(({ name }) => name);
    const umzug = new Umzug({
      migrations: pending.map((migration, i) => ({
        name: migration.name,
        up: () => apply(run, migration, [...done, ...names.slice(0, i)]),
      })),
      storage: historyStorage(run, pending, done),
      logger: undefined,
    });
    let started = 0;
    umzug.on('migrating', ({ name }) => {
      started = now();
      ctx.events.migrationStarted?.(name, names.indexOf(name), names.length);
    });
    umzug.on('migrated', ({ name }) => {
      const ms = Math.round(now() - started);
      const locks = run.locks.get(name) ?? [];
      told.applied.push({ name, ms, ...(locks.length > 0 ? { locks } : {}) });
      ctx.events.migrationDone?.(name, ms);
    });
    await umzug.up().catch((error) => {
      // umzug wraps what a file's run has thrown; what the history has thrown comes as it is.
      throw error instanceof MigrationError ? error.cause : error;
    });
  });
}

async function apply(run: Run, migration: Migration, before: readonly string[]): Promise<void> {
  if (!migration.transaction) return executeStatements(run, migration);
  return execute(run, migration, { locked: () => requireAsPlanned(run, before) });
}

/**
 * Behind a pooler the lock is taken anew for each migration: another migrator may have applied it meanwhile, or others that do not fit to it, or a
 * failover may have lost one whose COMMIT was acknowledged.
 * @param before what the history has to have, and nothing else
 * @throws LockTaken, so that everything is planned anew
 */
async function requireAsPlanned({ lock }: Run, before: readonly string[]): Promise<void> {
  if (!lock.state.pooled) return;
  const { history = [] } = await lock.reread();
  const done = new Set(history.filter(isDone).map((row) => row.name));
  if (done.size === before.length && before.every((name) => done.has(name))) return;
  throw new LockTaken(undefined);
}

/** What all attempts together have waited for tables. */
interface Waited {
  ms: number;
  blockers: readonly Blocker[];
  cancelled: readonly Blocker[];
}

function tableWaits(waits: readonly TableWaits[]): Waited {
  return {
    ms: waits.reduce((sum, { ms }) => sum + ms, 0),
    blockers: waits.flatMap(({ blockers }) => blockers.map(blockerInfo)),
    cancelled: waits.flatMap(({ cancelled }) => cancelled),
  };
}

/** The same failure, which says what was applied before it and who was in the way. */
function partialFailure(
  error: KasmDbError,
  applied: readonly Applied[],
  { ms, blockers, cancelled }: Waited,
): RetoldError {
  const lock = { waitedMs: Math.round(ms), blockers, ...(cancelled.length > 0 ? { cancelled } : {}) };
  return new RetoldError(error, error.message, { applied, ...(blockers.length > 0 ? { lock } : {}) });
}
