import { type Blocker, describeBlockers, type ObservedBlocker } from '../app/blocker.js';
import { KasmDbError } from '../app/errors.js';
import { now, sleep } from '../app/time.js';
import type { Context } from '../config/context.js';
import { BlockerWatch } from '../postgres/blockers.js';
import { sqlstateOf, toKasmDbError } from '../postgres/sqlstate.js';
import type { MigrationLock } from './with-lock.js';

/**
 * How long the first attempt at a table lock waits, in milliseconds. Who waits for a table lock makes all who come later wait too, so it is
 * shorter than what a user notices.
 */
const FIRST_ATTEMPT_MS = 100;
/** The longest that an attempt waits without a `lock-timeout` of the migration's own, in milliseconds. */
export const LONGEST_ATTEMPT_MS = 2000;
/** An autovacuum worker is cancelled by who waits longer than deadlock_timeout: that much longer, in milliseconds. */
const AUTOVACUUM_MARGIN_MS = 500;
/** Where nobody knows who was in the way: pauses are that many times the attempt, so that traffic is held up for a small part of the time. */
const REST_FACTOR = 30;
/** While a statement takes long, what keeps it is looked up this often, in milliseconds. */
const OBSERVE_MS = 1000;
/** Who waits for something else than a lock is told so after that long, in milliseconds. */
const TELL_WAIT_MS = 10_000;

/** What the server calls SyncRep is a COMMIT that a synchronous standby has not confirmed (PostgreSQL manual, 28.2.3). */
const WAITS: Record<string, string> = { SyncRep: 'a synchronous standby to confirm the COMMIT (SyncRep)' };

/** 55P03 lock_timeout, 40P01 deadlock, 40001 serialization: the same transaction may succeed a moment later. */
const RETRYABLE = new Set(['55P03', '40P01', '40001']);

/** One attempt at a transaction that takes table locks. */
export interface Attempt<T> {
  /** For messages: the migration's name. */
  what: string;
  /** The longest that one attempt may wait, in milliseconds. */
  longestMs: number;
  /** Begins the transaction. @returns PID of the session that works */
  begin: (lockTimeoutMs: number) => Promise<number>;
  work: () => Promise<T>;
  /** Undoes both. */
  rollback: () => Promise<void>;
}

/** What a run has waited for table locks, and for whom; goes into its result. */
export class TableWaits {
  /** Spent in attempts that gave way, and between them, in milliseconds. */
  ms = 0;
  /** Who was in the way, as last seen. */
  blockers: readonly ObservedBlocker[] = [];
  /** Who was ended. */
  readonly cancelled: Blocker[] = [];
  readonly #watch: BlockerWatch;
  /** Of the session that works, as its server counts it. */
  #pid: number;
  /** Who was seen during the attempt that is going on. */
  #met: readonly ObservedBlocker[] = [];
  #mayEnd = true;

  constructor(
    private readonly ctx: Context,
    private readonly lock: MigrationLock,
    /** How long to wait for the tables of one migration, in milliseconds. */
    readonly patienceMs: number,
    /** Who is idle in a transaction for longer than that, in milliseconds, and in the way is ended. Default: nobody. */
    private readonly cancelBlockersMs?: number | undefined,
  ) {
    const { host, port, processID } = lock.session.client;
    this.#pid = processID ?? 0;
    this.#watch = new BlockerWatch(() => ({ ...ctx.resolve(), hosts: [{ host, port }] }));
  }

  /**
   * Runs a transaction that gives way to traffic: an attempt that does not get its table lock soon leaves the queue, waits without a lock until the
   * transactions that were in the way are gone, and tries again. Attempts get longer only where each of them meets others.
   * @throws KasmDbError locked when the patience is over
   */
  async giveWay<T>({ what, longestMs, begin, work, rollback }: Attempt<T>): Promise<T> {
    let lockTimeoutMs = Math.min(FIRST_ATTEMPT_MS, longestMs);
    let deadline: number | undefined;
    let met: readonly ObservedBlocker[] = [];
    for (let attempts = 0; ; attempts++) {
      const started = now();
      try {
        this.#pid = await begin(lockTimeoutMs);
        this.#met = [];
        return await this.observed(what, lockTimeoutMs / 3, work);
      } catch (error) {
        await rollback();
        if (!RETRYABLE.has(sqlstateOf(error) ?? '')) throw error;
        // Work that came before the lock was asked for is no waiting.
        deadline ??= now() + this.patienceMs;
        if (now() >= deadline) throw withBlockers(error, what, this.blockers);
        this.ctx.events.waitForTable?.(what, toKasmDbError(error, `after ${Math.round(now() - started)} ms`));
        await this.#rest(lockTimeoutMs, deadline);
        lockTimeoutMs = await this.#nextAttempt(lockTimeoutMs, longestMs, met, attempts);
        met = this.#met;
        this.ms += now() - started;
      }
    }
  }

  /** Runs `work` in the run's session, and while it takes long, looks what keeps it. @param firstMs when to look first, in milliseconds */
  async observed<T>(what: string, firstMs: number, work: () => Promise<T>): Promise<T> {
    const ended = new AbortController();
    void this.#observe(what, this.#pid, firstMs, ended.signal).catch(() => {});
    try {
      return await work();
    } finally {
      ended.abort();
    }
  }

  /** Runs a COMMIT, which may wait for a synchronous standby. */
  commit(what: string, work: () => Promise<void>): Promise<void> {
    return this.observed(what, TELL_WAIT_MS, work);
  }

  end(): void {
    this.#watch.end();
  }

  async #observe(what: string, pid: number, firstMs: number, ended: AbortSignal): Promise<void> {
    const started = now();
    let told = started;
    for (let looks = 0; ; looks++) {
      await sleep(looks < 3 ? firstMs : OBSERVE_MS, ended);
      const blockers = await this.#watch.blockersOf(pid);
      if (ended.aborted) return;
      if (blockers.length > 0) {
        this.blockers = blockers;
        this.#met = blockers;
        this.ctx.events.blocked?.(what, blockers);
      } else if (now() - told >= TELL_WAIT_MS) {
        told = now();
        const event = await this.#watch.waitEventOf(pid);
        if (event && !ended.aborted) {
          const seconds = Math.round((now() - started) / 1000);
          this.ctx.events.progress?.(`${what} has waited ${seconds} s for ${WAITS[event] ?? event} (PID ${pid})`);
        }
      }
    }
  }

  /** Waits, without a place in any queue, until whoever was in the way is gone. */
  async #rest(lockTimeoutMs: number, deadline: number): Promise<void> {
    // The migration lock belongs to this session, which is idle meanwhile; behind a pooler there is no session of ours.
    const { session, state } = this.lock;
    if (!state.pooled && session.serverVersion >= 140_000) await session.script('SET idle_session_timeout = 0');
    const left = Math.max(deadline - now(), 0);
    const known = this.#met.filter(({ virtualTransaction }) => virtualTransaction !== null);
    if (known.length > 0 && !known.every(({ autovacuum }) => autovacuum)) {
      await this.#untilGone(known, deadline);
    } else if (known.length === 0) {
      await sleep(Math.min(lockTimeoutMs * REST_FACTOR * (0.5 + Math.random() / 2), left), this.ctx.signal);
    }
  }

  async #untilGone(blockers: readonly ObservedBlocker[], deadline: number): Promise<void> {
    const cancelMs = this.cancelBlockersMs;
    if (cancelMs === undefined) {
      await this.#watch.untilGone(blockers, Math.max(deadline - now(), 0), this.ctx.signal);
      return;
    }
    while (now() < deadline) {
      await this.#endIdle(blockers, cancelMs);
      const gone = await this.#watch.untilGone(blockers, Math.min(OBSERVE_MS, deadline - now()), this.ctx.signal);
      if (gone) return;
    }
  }

  async #endIdle(blockers: readonly ObservedBlocker[], idleMs: number): Promise<void> {
    if (!this.#mayEnd) return;
    // What a role may not see of others, it may not end either.
    const seen = blockers.some(({ state }) => state !== null);
    const ended = seen ? await this.#watch.endIdle(blockers, idleMs) : undefined;
    if (ended === undefined) {
      this.#mayEnd = false;
      this.ctx.events.warning?.(
        'this role may not end the sessions that are in the way (--cancel-blockers needs their role, or pg_signal_backend); kasm-db goes on waiting',
      );
      return;
    }
    for (const blocker of ended) {
      this.cancelled.push(blockerInfo(blocker));
      this.ctx.events.warning?.(`ended a session that was idle in a transaction: ${describeBlockers([blocker])}`);
    }
  }

  async #nextAttempt(
    lockTimeoutMs: number,
    longestMs: number,
    before: readonly ObservedBlocker[],
    attempts: number,
  ): Promise<number> {
    if (this.#met.some(({ autovacuum }) => autovacuum)) {
      return (await this.#watch.deadlockTimeoutMs()) + AUTOVACUUM_MARGIN_MS;
    }
    const others = attempts > 0 && !sameTransactions(before, this.#met);
    return others ? Math.min(lockTimeoutMs * 2, longestMs) : Math.min(lockTimeoutMs, longestMs);
  }
}

function sameTransactions(a: readonly ObservedBlocker[], b: readonly ObservedBlocker[]): boolean {
  const ids = new Set(a.map(({ virtualTransaction }) => virtualTransaction));
  return b.some(({ virtualTransaction }) => ids.has(virtualTransaction));
}

/** Without what only decides when to try again. */
export function blockerInfo({ virtualTransaction: _v, autovacuum: _a, ...blocker }: ObservedBlocker): Blocker {
  return blocker;
}

/** A lock that was not granted in time, with the sessions that kept it. */
function withBlockers(error: unknown, what: string, blockers: readonly ObservedBlocker[]): unknown {
  const locked = toKasmDbError(error, what);
  if (blockers.length === 0 || locked.details.sqlstate !== '55P03') return locked;
  const pids = blockers.filter(({ pid }) => pid !== 0).map(({ pid }) => pid);
  const end =
    pids.length > 0
      ? `, or end them: SELECT pg_terminate_backend(${pids.slice(0, 3).join('), pg_terminate_backend(')})`
      : '';
  return new KasmDbError(locked.outcome, `${locked.message}; in the way: ${describeBlockers(blockers)}`, {
    ...locked.details,
    hint: `let these sessions end${end}; then run the same command again, or give it more time with --lock-timeout`,
    cause: locked.cause,
  });
}
