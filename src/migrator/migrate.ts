import type { Context } from '../app/context.js';
import { KasmDbError, messageOf } from '../app/errors.js';
import { jittered, now, sleep, spread } from '../app/time.js';
import { VERSION } from '../app/version.js';
import { ensureHistory, MIN_SERVER_VERSION, recordSql, unmarkSql } from '../history/history.js';
import { look } from '../history/look.js';
import { newRun, type RunLog } from '../history/run-row.js';
import type { FullHistoryRow, Look } from '../history/state.js';
import { type Migration, writesVendorVersion } from '../migrations/files.js';
import { requireName } from '../migrations/name.js';
import { refuseTransactionControl } from '../migrations/transaction-control.js';
import type { Blocker } from '../postgres/blocker.js';
import type { Client } from '../postgres/client.js';
import { connect } from '../postgres/connect.js';
import { tryLock, tryTransactionLock, unlock } from '../postgres/lock.js';
import { describeHolder, type LockHolder } from '../postgres/lock-holder.js';
import { cancellable, cutAfterAbort, disconnect } from '../postgres/query.js';
import { toKasmDbError } from '../postgres/sqlstate.js';
import type { SessionOptions } from '../postgres/transaction.js';
import { applyInTransaction, begin, rollback } from './execute.js';
import { HolderWatch } from './lock-wait.js';
import { OwnSession } from './own-session.js';
import { type Plan, plan } from './plan.js';
import type { TableWaits } from './table-wait.js';

/** A process that is older was not started for this run. */
const MAX_START_MS = 1000;
/** How long one attempt at DDL may make other sessions queue behind it. */
export const DDL_LOCK_TIMEOUT_MS = 2000;

export interface RunOptions {
  /** Last migration to apply. */
  to?: string | undefined;
  /** How long to wait for another migrator or for table locks, in milliseconds. */
  lockTimeoutMs: number;
  /** Told once there is something to apply, under the lock. */
  onStart?: (() => void) | undefined;
}

export interface RunResult {
  look: Look;
  /** As it was before this run. */
  plan: Plan<Migration>;
  applied: { name: string; ms: number }[];
  /** Time spent waiting for another migrator and for table locks, in milliseconds. */
  waitedMs: number;
  /** Who was waited for. */
  holder?: LockHolder | undefined;
  /** Who kept a migration from its table lock. */
  blockers?: readonly Blocker[] | undefined;
}

/**
 * Brings the database to the newest of `migrations`. Answers "nothing to do" before any lock; else takes the migration lock, reads the
 * history again and applies what is pending, each with its history row in one transaction.
 * @throws KasmDbError
 */
export async function run(ctx: Context, migrations: Migration[], options: RunOptions): Promise<RunResult> {
  const started = now();
  const deadline = started + options.lockTimeoutMs;
  // All that were started together, each of them for this alone, come back together.
  const born = started < MAX_START_MS ? 0 : started;
  const watch = new HolderWatch();
  let holder: LockHolder | undefined;
  for (let tries = 0; ; tries++) {
    const client = await connect(ctx.resolve, { signal: ctx.signal, onRetry: ctx.events.retryConnect });
    client.on('notice', (notice) => ctx.events.notice?.(notice.message ?? ''));
    const forget = cutAfterAbort(client, ctx.signal);
    let failed = false;
    try {
      const state = await cancellable(client, ctx.signal, () =>
        look(client, { vendor: writesVendorVersion(migrations), brief: true, expected: migrations.length }),
      );
      const planned = planFor(migrations, state, options.to);
      const waitedMs = tries === 0 ? 0 : now() - started;
      if (planned.pending.length === 0) return { look: state, plan: planned, applied: [], waitedMs, holder };
      requireApplicable(planned.pending, state);
      const session = {
        lockTimeoutMs: DDL_LOCK_TIMEOUT_MS,
        role: ctx.resolve().role,
        serverVersion: state.serverVersion,
      };
      const asksWho = tries > 0 || now() + watch.pause(now() - born) > deadline;
      const result = watch.sees(state.run)
        ? { busy: watch.holder() }
        : state.pooled
          ? await runPooled(ctx, client, migrations, options, session, deadline)
          : await runDirect(ctx, client, migrations, options, session, deadline, asksWho);
      if (!('busy' in result)) {
        const { tables, ...done } = result;
        return { ...done, waitedMs: waitedMs + tables.ms, holder, blockers: tables.blockers };
      }
      holder = result.busy ?? watch.holder() ?? holder;
    } catch (error) {
      failed = true;
      ctx.signal.throwIfAborted();
      if (error instanceof Gap) continue;
      throw toKasmDbError(error, 'migrating');
    } finally {
      const gone = disconnect(client);
      // Of a run that has failed, only the end of its session gives the lock back; else nobody waits for the server's goodbye.
      if (failed) await gone;
      forget();
    }
    if (tries > 0) ctx.events.waitForLock?.(holder);
    const pause = spread(watch.pause(now() - born));
    if (now() + pause > deadline) throw locked(holder, options.lockTimeoutMs);
    // No connection is held while waiting: 200 waiters would else use up max_connections.
    await sleep(pause, ctx.signal);
  }
}

/** Plans, and stops on whatever makes it unsafe to go on. */
export function planFor(migrations: Migration[], state: Look, to: string | undefined): Plan<Migration> {
  if (state.serverVersion < MIN_SERVER_VERSION) {
    throw new KasmDbError('environment', `PostgreSQL ${Math.floor(state.serverVersion / 10_000)} is too old`, {
      hint: 'kasm-db needs PostgreSQL 13 or newer; Kasm 1.19 wants 16',
    });
  }
  if (to !== undefined)
    requireName(
      '--to',
      to,
      migrations.map((migration) => migration.name),
    );
  const planned = plan(migrations, state, { to, appVersion: VERSION });
  const [first, ...more] = planned.problems;
  if (first) {
    const others = more.length > 0 ? ` (and ${more.length} more: ${more.map((p) => p.message).join('; ')})` : '';
    throw new KasmDbError('integrity', first.message + others, {
      hint: first.hint,
      ...(first.migration ? { migration: first.migration } : {}),
    });
  }
  return planned;
}

/** What can be known to be wrong without reading a file. */
function requireApplicable(pending: Migration[], state: Look): void {
  if (state.standby) {
    throw new KasmDbError('environment', 'this server is a standby; it takes no writes', {
      hint: 'connect to the primary, or list all hosts (POSTGRES_HOST=a,b): then it is found',
    });
  }
  const noTransaction = pending.find((migration) => !migration.transaction);
  if (state.pooled && noTransaction) {
    throw new KasmDbError(
      'environment',
      `${noTransaction.name} cannot run in a transaction, and a connection pooler stands before the server`,
      {
        hint: 'set KASM_DB_DIRECT_URL (or --direct-url) to PostgreSQL itself',
        migration: noTransaction.name,
      },
    );
  }
}

/** One run under the lock: everything that applying a migration needs. */
interface Run {
  ctx: Context;
  client: Client;
  session: SessionOptions;
  /** When to give up waiting for locks. */
  deadline: number;
  /** How long to wait for them, in milliseconds. */
  patienceMs: number;
  log: RunLog;
  look: Look;
  plan: Plan<Migration>;
  pending: Migration[];
  applied: RunResult['applied'];
  tables: TableWaits;
  /** Where no pooler stands in between. */
  own: OwnSession;
}

/** Looks and plans again: what was read before the lock may be old (TRAPS 12). */
async function planUnderLock(
  ctx: Context,
  client: Client,
  migrations: Migration[],
  options: RunOptions,
  session: SessionOptions,
  deadline: number,
): Promise<Run> {
  const state = await look(client, { vendor: writesVendorVersion(migrations), expected: migrations.length });
  const planned = planFor(migrations, state, options.to);
  // Only who has the lock needs the files' texts; nothing was run yet.
  for (const migration of planned.pending) refuseTransactionControl(migration, await migration.sql());
  const log = newRun();
  return {
    ctx,
    client,
    session,
    deadline,
    patienceMs: options.lockTimeoutMs,
    log,
    look: state,
    plan: planned,
    pending: planned.pending,
    applied: [],
    tables: { ms: 0, blockers: [] },
    own: new OwnSession(session, client, log, planned.pending),
  };
}

type Attempt =
  | (Pick<RunResult, 'look' | 'plan' | 'applied'> & { tables: TableWaits })
  | { busy: LockHolder | undefined };

async function runDirect(
  ctx: Context,
  client: Client,
  migrations: Migration[],
  options: RunOptions,
  session: SessionOptions,
  deadline: number,
  asksWho: boolean,
): Promise<Attempt> {
  const lock = await tryLock(client, asksWho);
  if (!lock.locked) return { busy: lock.holder };
  const run = await planUnderLock(ctx, client, migrations, options, session, deadline);
  if (run.pending.length > 0) {
    const starting = startRun(run);
    // Loaded while the server works.
    void import('./drive.js');
    options.onStart?.();
    await starting;
    await driveRun(run, (migration, i) =>
      migration.transaction ? applyWrapped(run, migration, i) : applyUnwrapped(run, migration, i),
    );
  }
  await unlock(client);
  return { look: run.look, plan: run.plan, applied: run.applied, tables: run.tables };
}

/**
 * Behind a pooler: every migration is one transaction that takes the lock, reads the history again and commits, since a session lock
 * there may belong to someone else a moment later (TRAPS 2).
 */
async function runPooled(
  ctx: Context,
  client: Client,
  migrations: Migration[],
  options: RunOptions,
  session: SessionOptions,
  deadline: number,
): Promise<Attempt> {
  await begin(client, session);
  const lock = await tryTransactionLock(client);
  if (!lock.locked) {
    await rollback(client);
    return { busy: lock.holder };
  }
  const run = await planUnderLock(ctx, client, migrations, options, session, deadline);
  await ensureHistory(client);
  if (run.pending.length > 0) await client.query(run.log.start(run.pending.length, 'migrate', run.pending[0]?.name));
  await client.query('COMMIT');
  if (run.pending.length > 0) options.onStart?.();
  await driveRun(run, (migration, i) => applyPooled(run, migration, i));
  return { look: run.look, plan: run.plan, applied: run.applied, tables: run.tables };
}

/** @param apply gives the milliseconds it took; undefined when someone else has applied it meanwhile */
async function driveRun(
  run: Run,
  apply: (migration: Migration, index: number) => Promise<number | undefined>,
): Promise<void> {
  const { ctx, client, session, log, pending, applied } = run;
  const { drive } = await import('./drive.js');
  try {
    await drive(pending, async (migration, i) => {
      ctx.events.migrationStarted?.(migration.name, i, pending.length);
      // Each migration has the whole patience: what the ones before it took is no waiting.
      run.deadline = now() + run.patienceMs;
      const ms = await apply(migration, i);
      if (ms === undefined) return;
      applied.push({ name: migration.name, ms });
      ctx.events.migrationDone?.(migration.name, ms);
    });
  } catch (caught) {
    if (caught instanceof Gap) throw caught;
    const error = ctx.signal.aborted ? ctx.signal.reason : caught;
    // Gates and `status` find it in the run row.
    await begin(client, session)
      .then(() => client.query(`${log.fail(messageOf(error))}; COMMIT`))
      .catch(() => rollback(client));
    throw new PartialError(toKasmDbError(error, 'migrating'), run);
  }
}

/** A predecessor that was recorded is not any more: what is to be done has to be planned anew. */
class Gap extends Error {}

/** A failure that says what was applied before it, and who was in the way. */
export class PartialError extends KasmDbError {
  /** Goes into the result. */
  readonly fields: { applied: { name: string; ms: number }[]; lock?: { waitedMs: number; blockers: Blocker[] } };

  constructor(error: KasmDbError, { applied, tables }: Pick<Run, 'applied' | 'tables'>) {
    super(error.outcome, error.message, { ...error.details, exitCode: error.exitCode, cause: error.cause });
    this.fields = {
      applied: applied.map(({ name, ms }) => ({ name, ms: Math.round(ms) })),
      ...(tables.blockers.length > 0
        ? { lock: { waitedMs: Math.round(tables.ms), blockers: [...tables.blockers] } }
        : {}),
    };
  }
}

async function applyWrapped(run: Run, migration: Migration, index: number): Promise<number> {
  const { own, session } = run;
  const result = await applyInTransaction(run.ctx, run.client, migration, {
    session,
    deadline: run.deadline,
    waits: run.tables,
    record: (ms) => recordAndGoOn(run, migration, index, ms),
    own: { session: own, index },
  });
  return result.outcome === 'applied' ? result.ms : 0;
}

async function applyPooled(run: Run, migration: Migration, index: number): Promise<number | undefined> {
  const started = now();
  for (let tries = 0; ; tries++) {
    const result = await applyInTransaction(run.ctx, run.client, migration, {
      session: run.session,
      deadline: run.deadline,
      waits: run.tables,
      perTransaction: {
        stillPending: async () => {
          const names = [...run.plan.applied, ...run.pending.slice(0, index + 1).map(({ name }) => name)];
          const { rows } = await run.client.query('SELECT name FROM kasm_db.migrations WHERE name = ANY ($1)', [names]);
          const recorded = new Set(rows.map(({ name }) => name));
          if (recorded.has(migration.name)) return false;
          // A failover may have lost a migration whose COMMIT was acknowledged.
          if (recorded.size < names.length - 1) throw new Gap();
          return true;
        },
      },
      record: (ms) => recordAndGoOn(run, migration, index, ms),
    });
    if (result.outcome === 'applied') return result.ms;
    if (result.outcome === 'elsewhere') return undefined;
    run.ctx.events.waitForLock?.(result.holder);
    const pause = jittered(Math.min(100 * 1.5 ** tries, 2000));
    if (now() + pause > run.deadline) throw locked(result.holder, run.deadline - started);
    await sleep(pause, run.ctx.signal);
  }
}

async function applyUnwrapped(run: Run, migration: Migration, index: number): Promise<number> {
  const { ctx, client, session, deadline, log, look: state } = run;
  const started = now();
  run.own.unsettle();
  const row = state.history?.find((entry) => entry.name === migration.name);
  const { applyNoTransaction } = await import('./execute-statements.js');
  await applyNoTransaction(ctx, client, migration, {
    session,
    deadline,
    waits: run.tables,
    done: row?.statementsDone ?? 0,
    begun: begunStatement(row),
    mark: (done, total) => recordSql({ ...recordOf(migration, null), statements: { done, total } }),
    unmark: () => unmarkSql(migration.name),
    record: (done, total, ms) => {
      const recorded = recordSql({ ...recordOf(migration, ms), statements: { done, total } });
      return `${recorded}; ${done === total ? goOn(run, index) : log.progress({ current: migration.name, done: index })}`;
    },
  });
  return now() - started;
}

/** The statement that a run had begun when it died: the mark stays unless the statement's end was seen. */
function begunStatement(row: FullHistoryRow | undefined): number | undefined {
  return row && row.statementsTotal !== null && row.durationMs === null ? (row.statementsDone ?? 0) + 1 : undefined;
}

async function startRun({ client, session, log, pending }: Run): Promise<void> {
  await begin(client, session);
  try {
    await ensureHistory(client);
    await client.query(`${log.start(pending.length, 'migrate', pending[0]?.name)}; COMMIT`);
  } catch (error) {
    await rollback(client);
    throw toKasmDbError(error, 'writing the run row (kasm_db.run)');
  }
}

function recordOf(migration: Migration, ms: number | null) {
  return {
    name: migration.name,
    checksum: migration.checksum,
    durationMs: ms,
    appVersion: VERSION,
    minCompatible: migration.minCompatible,
  };
}

function recordAndGoOn(run: Run, migration: Migration, index: number, ms: number): string {
  return `${recordSql(recordOf(migration, ms))}; ${goOn(run, index)}`;
}

/** The run row after a migration: the next one is being run, or all is done. */
function goOn({ log, pending }: Run, index: number): string {
  const next = pending[index + 1];
  return next ? log.progress({ current: next.name, done: index + 1 }) : log.finish('done');
}

function locked(holder: LockHolder | undefined, waitedMs: number): KasmDbError {
  return new KasmDbError(
    'locked',
    `another migrator held the migration lock for the whole ${Math.round(waitedMs / 1000)} s: ${describeHolder(holder)}`,
    { hint: 'wait for it and run again, or give more time with --lock-timeout; kasm-db status shows what it is doing' },
  );
}
