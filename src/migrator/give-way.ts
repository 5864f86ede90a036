import { adviceFor, type Blocker, describeBlockers, type ObservedBlocker } from '../app/blocker.js';
import { KasmDbError } from '../app/errors.js';
import { now, sleep } from '../app/time.js';
import { formatSeconds } from '../app/when.js';
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
/** Where nobody has seen yet who was in the way, the next attempt comes soon, and is watched closely: after that many times the attempt. */
const SOON_FACTOR = 3;
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
  /** The look that is going on; ends soon after its attempt. */
  #looking: Promise<void> = Promise.resolve();
  /** What is observed now, or was last: a late answer counts for nothing once the session does something else. */
  #what: string | undefined;
  /** An attempt was over before anybody had seen who was in the way, so the next ones are watched closely. */
  #closely = false;
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
    this.#watch = new BlockerWatch((anew) => ({ ...ctx.resolve(anew), hosts: [{ host, port }] }));
  }

  /**
   * Runs a transaction that gives way to traffic: an attempt that does not get its table lock soon leaves the queue, waits without a lock until the
   * transactions that were in the way are gone, and tries again. Attempts get longer only where each of them meets others.
   * @throws KasmDbError locked when the patience is over
   */
  async giveWay<T>({ what, longestMs, begin, work, rollback }: Attempt<T>): Promise<T> {
    let patientMs = Math.min(FIRST_ATTEMPT_MS, longestMs);
    let deadline: number | undefined;
    let met: readonly ObservedBlocker[] = [];
    for (let attempts = 0; ; attempts++) {
      const started = now();
      const givesWay = met.some(({ kind }) => kind === 'autovacuum');
      const wantedMs = givesWay ? (await this.#watch.deadlockTimeoutMs()) + AUTOVACUUM_MARGIN_MS : patientMs;
      const lockTimeoutMs = Math.max(1, Math.min(wantedMs, (deadline ?? Number.POSITIVE_INFINITY) - started));
      try {
        this.#pid = await begin(lockTimeoutMs);
        this.#met = [];
        return await this.observed(what, lockTimeoutMs / 3, work);
      } catch (error) {
        await rollback();
        if (!RETRYABLE.has(sqlstateOf(error) ?? '')) throw error;
        await this.#looked();
        // Work that came before the lock was asked for is no waiting.
        deadline ??= now() + this.patienceMs;
        if (now() >= deadline) throw withBlockers(error, what, this.blockers);
        this.ctx.events.waitForTable?.(what, toKasmDbError(error, `after ${Math.round(now() - started)} ms`));
        await this.#rest(what, patientMs, deadline);
        if (attempts > 0 && !givesWay && !sameBlockers(met, this.#met)) patientMs = Math.min(patientMs * 2, longestMs);
        met = this.#met;
        this.ms += now() - started;
      }
    }
  }

  /** Runs `work` in the run's session, and while it takes long, looks what keeps it. @param firstMs when to look first, in milliseconds */
  async observed<T>(what: string, firstMs: number, work: () => Promise<T>): Promise<T> {
    const ended = new AbortController();
    this.#what = what;
    this.#looking = this.#observe(what, this.#pid, firstMs, ended.signal).catch(() => {});
    try {
      return await work();
    } finally {
      ended.abort();
    }
  }

  /** Runs a COMMIT with its record, which may wait for who holds the history, or for a synchronous standby. */
  async commit(what: string, work: () => Promise<void>): Promise<void> {
    this.#met = [];
    await this.observed(what, Math.min(TELL_WAIT_MS, this.patienceMs / 3), work).catch((error) => {
      throw withBlockers(error, what, this.#met);
    });
  }

  end(): void {
    this.#watch.end();
  }

  async #observe(what: string, pid: number, firstMs: number, ended: AbortSignal): Promise<void> {
    const started = now();
    let told = started;
    for (let looks = 0; ; looks++) {
      await sleep(looks < 3 || this.#closely ? firstMs : OBSERVE_MS, ended);
      const blockers = await this.#watch.blockersOf(pid);
      if (this.#what !== what) return;
      if (blockers.length > 0) {
        // Also where the attempt has ended meanwhile: only who waits has blockers.
        this.blockers = blockers;
        this.#met = blockers;
        this.ctx.events.blocked?.(what, blockers);
      }
      if (ended.aborted) return;
      if (blockers.length === 0 && now() - told >= TELL_WAIT_MS) {
        told = now();
        const event = await this.#watch.waitEventOf(pid);
        if (event && !ended.aborted) {
          const waited = formatSeconds((now() - started) / 1000);
          this.ctx.events.progress?.(`${what} has waited ${waited} for ${WAITS[event] ?? event} (PID ${pid})`);
        }
      }
    }
  }

  /** An answer that was asked for in the attempt tells who was in the way, also where it comes a little later: a busy machine, a far server. */
  async #looked(): Promise<void> {
    const late = new AbortController();
    const signal = AbortSignal.any([late.signal, this.ctx.signal]);
    await Promise.race([this.#looking, sleep(OBSERVE_MS, signal)]).finally(() => late.abort());
  }

  /** Waits, without a place in any queue, until whoever was in the way is gone. */
  async #rest(what: string, lockTimeoutMs: number, deadline: number): Promise<void> {
    // The migration lock belongs to this session, which is idle meanwhile; behind a pooler there is no session of ours.
    const { session, state } = this.lock;
    if (!state.pooled && session.serverVersion >= 140_000) await session.script('SET idle_session_timeout = 0');
    const known = this.#met.filter(({ virtualTransaction }) => virtualTransaction !== null);
    if (known.length > 0) {
      // A worker is not waited for: the next attempt is long enough to make it give way.
      const others = known.filter(({ kind }) => kind !== 'autovacuum');
      if (others.length > 0) await this.#untilGone(what, others, deadline);
      return;
    }
    const factor = this.#closely ? REST_FACTOR : SOON_FACTOR;
    this.#closely = true;
    const pause = lockTimeoutMs * factor * (0.5 + Math.random() / 2);
    await sleep(Math.min(pause, Math.max(deadline - now(), 0)), this.ctx.signal);
  }

  async #untilGone(what: string, blockers: readonly ObservedBlocker[], deadline: number): Promise<void> {
    for (;;) {
      if (this.cancelBlockersMs !== undefined) await this.#endIdle(blockers, this.cancelBlockersMs);
      const left = Math.max(deadline - now(), 0);
      const gone = await this.#watch.untilGone(blockers, Math.min(OBSERVE_MS, left), this.ctx.signal);
      if (gone || now() >= deadline) return;
      // Who waits for long is told again, and how far they are.
      this.blockers = await this.#watch.progressOf(blockers);
      this.ctx.events.blocked?.(what, this.blockers);
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
        'this role may not end the sessions that are in the way (--cancel-blockers needs their role, or pg_signal_backend and pg_read_all_stats); kasm-db goes on waiting',
      );
      return;
    }
    for (const blocker of ended) {
      this.cancelled.push(blockerInfo(blocker));
      this.ctx.events.warning?.(`ended a session that was idle in a transaction: ${describeBlockers([blocker])}`);
    }
  }
}

/** Is one of them still in the way? An index that is built and a VACUUM keep their table over several transactions. */
function sameBlockers(a: readonly ObservedBlocker[], b: readonly ObservedBlocker[]): boolean {
  const idOf = ({ kind, pid, virtualTransaction }: ObservedBlocker) =>
    kind === 'index build' || kind === 'vacuum' ? pid : virtualTransaction;
  const ids = new Set(a.map(idOf));
  return b.some((blocker) => ids.has(idOf(blocker)));
}

/** Without what only decides when to try again. */
export function blockerInfo({ virtualTransaction: _, ...blocker }: ObservedBlocker): Blocker {
  return blocker;
}

/** A lock that was not granted in time, with the sessions that kept it. */
function withBlockers(error: unknown, what: string, blockers: readonly ObservedBlocker[]): unknown {
  const locked = toKasmDbError(error, what);
  if (blockers.length === 0 || locked.details.sqlstate !== '55P03') return locked;
  return new KasmDbError(locked.outcome, `${locked.message}; in the way: ${describeBlockers(blockers)}`, {
    ...locked.details,
    hint: `${adviceFor(blockers)}; then run the same command again, or give it more time with --lock-timeout`,
    cause: locked.cause,
  });
}
