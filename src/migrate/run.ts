import { KasmDbError, messageOf } from '../errors.js';
import { type Client, connect } from '../postgres/connect.js';
import { tryLock, tryTransactionLock, unlock } from '../postgres/lock.js';
import { describeHolder, type LockHolder } from '../postgres/lock-holder.js';
import { cancellable, disconnect } from '../postgres/query.js';
import { sqlstateOf, toKasmDbError } from '../postgres/sqlstate.js';
import type { SessionOptions } from '../postgres/transaction.js';
import { jittered, now, sleep } from '../time.js';
import { VERSION } from '../version.js';
import { type Applied, applyInTransaction, begin, rollback } from './apply.js';
import { applyNoTransaction } from './apply-no-transaction.js';
import type { Context } from './context.js';
import type { Migration } from './files.js';
import { refuseTransactionControl } from './guard.js';
import { ensureHistory, look, MIN_SERVER_VERSION, recordSql } from './history.js';
import { type Plan, plan } from './plan.js';
import { newRun, type RunLog } from './run-row.js';
import type { FullHistoryRow, Look } from './state.js';

/** How long one attempt at DDL may make other sessions queue behind it. */
const DDL_LOCK_TIMEOUT_MS = 2000;

export interface RunOptions {
  /** Last migration to apply. */
  to?: string | undefined;
  /** How long to wait for another migrator or for table locks, in milliseconds. */
  lockTimeoutMs: number;
}

export interface RunResult {
  look: Look;
  /** As it was before this run. */
  plan: Plan<Migration>;
  applied: { name: string; ms: number }[];
  /** Time spent waiting for another migrator, in milliseconds. */
  waitedMs: number;
  /** Who was waited for. */
  holder?: LockHolder | undefined;
}

/**
 * Brings the database to the newest of `migrations`. Answers "nothing to do" before any lock; else takes the migration lock, reads the
 * history again and applies what is pending, each with its history row in one transaction.
 * @throws KasmDbError
 */
export async function run(ctx: Context, migrations: Migration[], options: RunOptions): Promise<RunResult> {
  const started = now();
  const deadline = started + options.lockTimeoutMs;
  let holder: LockHolder | undefined;
  for (let tries = 0; ; tries++) {
    const client = await connect(ctx.resolve, { signal: ctx.signal, onRetry: ctx.events.retryConnect });
    client.on('notice', (notice) => ctx.events.notice?.(notice.message ?? ''));
    try {
      const state = await cancellable(client, ctx.signal, () => look(client, { vendor: true }));
      const planned = planFor(migrations, state, options.to);
      const waitedMs = tries === 0 ? 0 : now() - started;
      if (planned.pending.length === 0) return { look: state, plan: planned, applied: [], waitedMs, holder };
      await prepare(planned.pending, state);
      const session = {
        lockTimeoutMs: DDL_LOCK_TIMEOUT_MS,
        role: ctx.resolve().role,
        serverVersion: state.serverVersion,
      };
      const result = state.pooled
        ? await runPooled(ctx, client, migrations, options, session, deadline)
        : await runDirect(ctx, client, migrations, options, session, deadline);
      if (!('busy' in result)) return { ...result, waitedMs, holder: holder ?? undefined };
      holder = result.busy ?? holder;
    } catch (error) {
      ctx.signal.throwIfAborted();
      throw toKasmDbError(error, 'migrating');
    } finally {
      await disconnect(client);
    }
    ctx.events.waitForLock?.(holder);
    const pause = jittered(Math.min(100 * 1.5 ** tries, 2000));
    if (now() + pause > deadline) throw locked(holder, options.lockTimeoutMs);
    // No connection is held while waiting: 200 waiters would else use up max_connections.
    await sleep(pause, ctx.signal);
  }
}

type Attempt = Omit<RunResult, 'waitedMs' | 'holder'> | { busy: LockHolder | undefined };

/** Plans, and stops on whatever makes it unsafe to go on. */
export function planFor(migrations: Migration[], state: Look, to: string | undefined): Plan<Migration> {
  if (state.serverVersion < MIN_SERVER_VERSION) {
    throw new KasmDbError('environment', `PostgreSQL ${Math.floor(state.serverVersion / 10_000)} is too old`, {
      hint: 'kasm-db needs PostgreSQL 13 or newer; Kasm 1.19 wants 16',
    });
  }
  if (to !== undefined && !migrations.some((migration) => migration.name === to)) {
    throw new KasmDbError('usage', `--to: there is no migration "${to}"`, {
      hint: `the newest is ${migrations.at(-1)?.name}; kasm-db plan lists them`,
    });
  }
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

/** Everything that can be known to be wrong before the first statement. */
async function prepare(pending: Migration[], state: Look): Promise<void> {
  if (state.standby) {
    throw new KasmDbError('environment', 'this server is a standby; it takes no writes', {
      hint: 'connect to the primary, or list all hosts and set PGTARGETSESSIONATTRS=read-write',
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
  for (const migration of pending) refuseTransactionControl(migration, await migration.sql());
}

async function runDirect(
  ctx: Context,
  client: Client,
  migrations: Migration[],
  options: RunOptions,
  session: SessionOptions,
  deadline: number,
): Promise<Attempt> {
  const lock = await tryLock(client);
  if (!lock.locked) return { busy: lock.holder };
  const state = await look(client, { vendor: true });
  const planned = planFor(migrations, state, options.to);
  const applied: RunResult['applied'] = [];
  const run = newRun();
  if (planned.pending.length > 0) {
    await startRun(client, session, run, planned.pending.length);
    await recordingFailure(ctx, client, session, run, () =>
      drive(planned.pending, async (migration, i) => {
        ctx.events.migrationStarted?.(migration.name, i, planned.pending.length);
        const ms = migration.transaction
          ? await applyDirect(ctx, client, migration, i, planned.pending.length, session, deadline, run)
          : await applyUnwrapped(ctx, client, migration, i, planned.pending.length, session, deadline, run, state);
        applied.push({ name: migration.name, ms });
        ctx.events.migrationDone?.(migration.name, ms);
      }),
    );
  }
  await unlock(client);
  return { look: state, plan: planned, applied };
}

async function applyDirect(
  ctx: Context,
  client: Client,
  migration: Migration,
  index: number,
  total: number,
  session: SessionOptions,
  deadline: number,
  run: RunLog,
): Promise<number> {
  const result = await applyInTransaction(ctx, client, migration, {
    session,
    deadline,
    record: (ms) => `${record(migration, ms)}; ${progress(run, migration, index + 1, total)}`,
  });
  return result.outcome === 'applied' ? result.ms : 0;
}

async function applyUnwrapped(
  ctx: Context,
  client: Client,
  migration: Migration,
  index: number,
  total: number,
  session: SessionOptions,
  deadline: number,
  run: RunLog,
  state: Look,
): Promise<number> {
  const started = now();
  await client.query(
    run.progress({
      current: state.run?.current?.startsWith(`${migration.name}#`) ? state.run.current : migration.name,
      done: index,
    }),
  );
  const row = state.history?.find((entry) => entry.name === migration.name);
  await applyNoTransaction(ctx, client, migration, {
    session,
    deadline,
    done: row?.statementsDone ?? 0,
    begun: begunStatement(migration, state, row),
    mark: (statement) => run.progress({ current: `${migration.name}#${statement}`, done: index }),
    record: (done, statements, ms) =>
      `${recordSql({ ...recordOf(migration, ms), statements: { done, total: statements } })}; ${
        done === statements
          ? progress(run, migration, index + 1, total)
          : run.progress({ current: migration.name, done: index })
      }`,
  });
  return now() - started;
}

/** The statement that the last run had begun when it died: `NAME#3` stays in the run row unless its end was seen. */
function begunStatement(migration: Migration, state: Look, row: FullHistoryRow | undefined): number | undefined {
  const [name, statement] = (state.run?.current ?? '').split('#');
  const begun = Number(statement);
  return name === migration.name && begun === (row?.statementsDone ?? 0) + 1 ? begun : undefined;
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
  const run = newRun();
  await begin(client, session);
  const lock = await tryTransactionLock(client);
  if (!lock.locked) {
    await rollback(client);
    return { busy: lock.holder };
  }
  const state = await look(client, { vendor: true });
  const planned = planFor(migrations, state, options.to);
  await ensureHistory(client);
  if (planned.pending.length > 0) await client.query(run.start(planned.pending.length));
  await client.query('COMMIT');
  const applied: RunResult['applied'] = [];
  await recordingFailure(ctx, client, session, run, () =>
    drive(planned.pending, async (migration, i) => {
      ctx.events.migrationStarted?.(migration.name, i, planned.pending.length);
      const result = await applyPooled(ctx, client, migration, i, planned.pending.length, session, deadline, run);
      if (result.outcome !== 'applied') return;
      applied.push({ name: migration.name, ms: result.ms });
      ctx.events.migrationDone?.(migration.name, result.ms);
    }),
  );
  return { look: state, plan: planned, applied };
}

async function applyPooled(
  ctx: Context,
  client: Client,
  migration: Migration,
  index: number,
  total: number,
  session: SessionOptions,
  deadline: number,
  run: RunLog,
): Promise<Applied> {
  const started = now();
  for (let tries = 0; ; tries++) {
    const result = await applyInTransaction(ctx, client, migration, {
      session,
      deadline,
      perTransaction: {
        stillPending: async () => {
          const { rows } = await client.query('SELECT FROM kasm_db.migrations WHERE name = $1', [migration.name]);
          return rows.length === 0;
        },
      },
      record: (ms) => `${record(migration, ms)}; ${progress(run, migration, index + 1, total)}`,
    });
    if (result.outcome !== 'busy') return result;
    ctx.events.waitForLock?.(result.holder);
    const pause = jittered(Math.min(100 * 1.5 ** tries, 2000));
    if (now() + pause > deadline) throw locked(result.holder, deadline - started);
    await sleep(pause, ctx.signal);
  }
}

/** umzug drives: it keeps the order and stops at the first failure; history and transactions are ours. */
async function drive(
  pending: Migration[],
  apply: (migration: Migration, index: number) => Promise<void>,
): Promise<void> {
  const { Umzug } = await import('umzug');
  const umzug = new Umzug({
    migrations: pending.map((migration, i) => ({ name: migration.name, up: () => apply(migration, i) })),
    storage: { executed: async () => [], logMigration: async () => {}, unlogMigration: async () => {} },
    logger: undefined,
  });
  try {
    await umzug.up();
  } catch (error) {
    throw (error as Error).cause ?? error;
  }
}

async function startRun(client: Client, session: SessionOptions, run: RunLog, total: number): Promise<void> {
  await begin(client, session);
  try {
    await ensureHistory(client);
    await client.query(`${run.start(total)}; COMMIT`);
  } catch (error) {
    await rollback(client);
    throw toKasmDbError(error, 'writing the run row (kasm_db.run)');
  }
}

/** Leaves the error in the run row, where gates and `status` find it. */
async function recordingFailure(
  ctx: Context,
  client: Client,
  session: SessionOptions,
  run: RunLog,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    const failure = ctx.signal.aborted ? (ctx.signal.reason as Error) : error;
    await begin(client, session)
      .then(() => client.query(`${run.fail(messageOf(failure), sqlstateOf(failure) !== undefined)}; COMMIT`))
      .catch(() => rollback(client));
    throw failure;
  }
}

function recordOf(migration: Migration, ms: number) {
  return {
    name: migration.name,
    checksum: migration.checksum,
    durationMs: ms,
    appVersion: VERSION,
    minCompatible: migration.minCompatible,
  };
}

function record(migration: Migration, ms: number): string {
  return recordSql(recordOf(migration, ms));
}

function progress(run: RunLog, migration: Migration, done: number, total: number): string {
  return done === total ? run.finish('done') : run.progress({ current: migration.name, done });
}

function locked(holder: LockHolder | undefined, waitedMs: number): KasmDbError {
  return new KasmDbError(
    'locked',
    `another migrator held the migration lock for the whole ${Math.round(waitedMs / 1000)} s: ${describeHolder(holder)}`,
    {
      hint: 'wait for it and run again, or give more time with --lock-timeout; kasm-db status shows what it is doing',
    },
  );
}
