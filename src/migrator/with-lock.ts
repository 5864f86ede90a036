import { KasmDbError } from '../app/errors.js';
import { describeHolder, type LockHolder } from '../app/lock-holder.js';
import { backoff, retry } from '../app/retry.js';
import { now } from '../app/time.js';
import { formatMs } from '../app/when.js';
import type { Context } from '../config/context.js';
import { HistoryLocked, readServer, readState, type StateRequest, selectState } from '../history/read-state.js';
import type { MigrationState } from '../history/state.js';
import { namingEventTrigger } from '../postgres/event-triggers.js';
import { tryLock, tryTransactionLock, unlock } from '../postgres/lock.js';
import { type Session, type TransactionKind, withSession } from '../postgres/session.js';
import type { Bounds } from '../postgres/session-settings.js';
import { readOnlyGuard, readOnlyLogin } from './read-only.js';

export interface Waiting extends StateRequest {
  /** How long to wait for another migrator, in milliseconds. */
  waitMs: number;
  /** For messages, in the form "rolling back". */
  doing: string;
}

/** The migration lock, as `work` has it. */
export interface MigrationLock {
  session: Session;
  /** What is there; read after the lock was taken, where it is held by the session. */
  state: MigrationState;
  /**
   * Begins a transaction that holds the lock. Directly the session holds it already. Behind a pooler a session lock may belong to somebody else a
   * moment later, so there each transaction takes it for itself.
   * @returns PID of the session that works, as the server counts it
   * @throws LockTaken, after which withMigrationLock begins again
   */
  begin(kind: TransactionKind, bounds?: Bounds): Promise<number>;
  /** What is there now, within a transaction of `begin`. */
  reread(): Promise<MigrationState>;
}

/** The lock is somebody else's, or what was read without it is not so any more: `work` has to begin again. */
export class LockTaken extends KasmDbError {
  constructor(readonly holder: LockHolder | undefined) {
    super('locked', `another migrator holds the migration lock: ${describeHolder(holder)}`, {
      hint: 'wait for it and run again, or give more time with --lock-timeout; kasm-db status shows what it is doing',
    });
  }
}

/** This server takes no writes. Behind a name, a proxy or a list of hosts another one may a moment later. */
class Standby extends KasmDbError {
  constructor() {
    super('unreachable', 'this server is a standby; it takes no writes', {
      hint: 'if a failover is under way, run the same command again; else connect to the primary, or list all hosts (POSTGRES_HOST=a,b): then it is found',
    });
  }
}

/** While the history is somebody else's, a look at it takes all the time that it may: not much more than what is left, in milliseconds. */
export const readWithinMs = (leftMs: number) => Math.min(Math.max(leftMs, 1000), 5000);
/** Waiters come again after that long, in milliseconds; each try costs the server a login. */
const WAIT = { firstMs: 200, factor: 1.5, maxMs: 1000 };

/**
 * Takes the migration lock, runs `work`, and gives the lock back. While another migrator has it: disconnects, pauses, tries again. The lock is
 * never waited for inside PostgreSQL, and nobody who waits holds a connection.
 * @throws KasmDbError locked when the time is up, for the lock or for the history; unreachable on a standby; environment where advisory locks do not exclude each other
 */
export async function withMigrationLock<T>(
  ctx: Context,
  waiting: Waiting,
  work: (lock: MigrationLock) => Promise<T>,
): Promise<{ result: T; waitedMs: number; holder: LockHolder | undefined }> {
  const started = now();
  const pauses = backoff(WAIT);
  let holder: LockHolder | undefined;
  let waitedMs = 0;
  const attempt = (attempts: number) =>
    withSession(ctx, waiting.doing, async (session) => {
      if (attempts > 0) waitedMs = now() - started;
      const withinMs = readWithinMs(started + waiting.waitMs - now());
      const lock = await takeLock(ctx, session, { vendor: waiting.vendor, withinMs });
      const result = await work(lock).catch(async (error) => {
        if (!(error instanceof KasmDbError) || error.details.context === undefined) throw error;
        await session.rollback();
        throw await namingEventTrigger(session, error);
      });
      if (!lock.state.pooled) await unlock(session);
      return { result, waitedMs, holder };
    });
  const connectTimeoutMs = ctx.resolve().connectTimeoutMs;
  const leftFor = (error: unknown) => {
    const isLocked = error instanceof LockTaken || error instanceof HistoryLocked;
    const patienceMs = isLocked ? waiting.waitMs : error instanceof Standby ? connectTimeoutMs : 0;
    return started + patienceMs - now();
  };
  return retry(attempt, {
    deadline: started + Math.max(waiting.waitMs, connectTimeoutMs),
    backoff: (error) => Math.min(pauses(), leftFor(error)),
    retryable: (error) => leftFor(error) > 0,
    onRetry: (error) => {
      if (!(error instanceof LockTaken)) return ctx.events.retryConnect?.(error as Standby | HistoryLocked);
      holder = error.holder ?? holder;
      ctx.events.waitForLock?.(holder);
    },
    signal: ctx.signal,
  }).catch((error) => {
    throw error instanceof LockTaken ? locked(error.holder ?? holder, waiting.waitMs) : error;
  });
}

async function takeLock(ctx: Context, session: Session, request: StateRequest): Promise<MigrationLock> {
  const server = await readServer(session);
  requireWritable(server, session.database);
  const warning = readOnlyLogin(server);
  if (warning) ctx.events.warning?.(warning);
  const begin = server.pooled ? lockEachTransaction(session) : await lockSession(session);
  // Only now: another migrator may have finished before the lock was ours.
  return { session, state: await readState(session, request), begin, reread: () => selectState(session, request) };
}

/** Behind a pooler nothing is held between transactions. */
function lockEachTransaction(session: Session): MigrationLock['begin'] {
  return async (kind, bounds) => {
    await session.begin(kind, bounds);
    const lock = await tryTransactionLock(session);
    if (lock.locked) return lock.pid;
    await session.rollback();
    throw new LockTaken(lock.holder);
  };
}

/** @throws LockTaken */
async function lockSession(session: Session): Promise<MigrationLock['begin']> {
  const lock = await session.reading(() => tryLock(session));
  if (!lock.locked) throw new LockTaken(lock.holder);
  return async (kind, bounds) => {
    await session.begin(kind, bounds);
    return lock.pid;
  };
}

/** PostgreSQL 13 is the first that has gen_random_uuid() of its own and trusted extensions. */
export const MIN_SERVER_VERSION = 130_000;

/** @throws KasmDbError environment when kasm-db does not work with this server */
export function requireSupported({ serverVersion }: Pick<MigrationState, 'serverVersion'>): void {
  if (serverVersion >= MIN_SERVER_VERSION) return;
  throw new KasmDbError('environment', `PostgreSQL ${Math.floor(serverVersion / 10_000)} is too old`, {
    hint: 'kasm-db needs PostgreSQL 13 or newer; Kasm 1.19 wants 16',
  });
}

/**
 * @throws KasmDbError environment when this server is too old, or when it or the database is set to take no writes; unreachable when it is a
 *   standby
 */
export function requireWritable(
  state: Pick<MigrationState, 'serverVersion' | 'standby' | 'readOnlyBy'>,
  database: string,
): void {
  requireSupported(state);
  if (state.standby) throw new Standby();
  const guard = readOnlyGuard(state, database);
  if (guard) throw guard;
}

function locked(holder: LockHolder | undefined, waitMs: number): KasmDbError {
  return new KasmDbError(
    'locked',
    `another migrator held the migration lock for the whole ${formatMs(waitMs)}: ${describeHolder(holder)}`,
    { hint: 'wait for it and run again, or give more time with --lock-timeout; kasm-db status shows what it is doing' },
  );
}
