import { formatMs } from '../config/duration.js';
import { wantsRedis } from '../config/redis.js';
import type { Environment } from '../config/settings.js';
import { isKasmDbError, KasmDbError } from '../errors.js';
import type { Context } from '../migrate/context.js';
import type { Migration } from '../migrate/files.js';
import { now, sleep } from '../time.js';
import type { Bell } from './bell.js';
import { checkOnce, type ExpectedSeed, PendingError, type Verdict } from './check.js';
import { type Moment, nextPause, spread } from './pace.js';
import { pendingState } from './state.js';

export interface WaitOptions {
  /** How long to wait, in milliseconds. */
  waitMs: number;
  seed?: ExpectedSeed | undefined;
  /** Give up as soon as the migrator has failed. */
  failFast: boolean;
  env: Environment;
}

/** After a ring hundreds of gates want to look; this is the window they spread over. */
const WINDOW_MS = 400;

/**
 * Looks again and again until the answer is yes or the time is up. Each look is a connection of its own; nothing is held in between.
 * @throws KasmDbError as checkOnce; integrity and environment at once, since waiting does not cure them
 */
export async function waitUntilReady(ctx: Context, migrations: Migration[], options: WaitOptions): Promise<Verdict> {
  const started = now();
  const rate = new SessionRate();
  let bell: Bell | undefined;
  let said = '';
  let pause = 0;
  let rung = false;
  let wasDead = false;
  let absent = false;
  try {
    for (let looks = 1; ; looks++) {
      const began = now();
      let error: KasmDbError;
      try {
        return await checkOnce(ctx, migrations, { vendor: false, gate: true, seed: options.seed, absent });
      } catch (caught) {
        if (!isKasmDbError(caught) || !waitingHelps(caught)) throw caught;
        error = caught;
      }
      if (options.failFast && error instanceof PendingError && error.look.run?.phase === 'failed') throw error;
      const text = `${error.message} (${error.details.hint})`;
      // Behind a pooler the lock is free for a moment between two migrations: only who is dead twice is dead.
      const dead = error instanceof PendingError && pendingState(error.look, error.plan) === 'died';
      if (text !== said && (!dead || wasDead)) {
        ctx.events.waiting?.(text);
        said = text;
      }
      wasDead = dead;
      bell ??= await openBell(ctx, options.env);
      if (error instanceof PendingError) {
        rung = false;
        absent = error.look.history === undefined;
      }
      pause = nextPause(
        momentOf(error, { looks, pause, lookMs: now() - began, bell: bell?.listening ?? false, rung, rate }),
      );
      const left = options.waitMs - (now() - started);
      if (left <= 0) {
        throw new KasmDbError(error.outcome, `${error.message}; gave up after ${formatMs(options.waitMs)}`, {
          ...error.details,
          cause: error,
        });
      }
      rung = (await rest(Math.min(spread(pause), left), bell, ctx.signal)) || rung;
    }
  } finally {
    bell?.close();
  }
}

/** @returns true when the bell rang meanwhile */
async function rest(ms: number, bell: Bell | undefined, signal: AbortSignal): Promise<boolean> {
  const rung = bell !== undefined && (await bell.wait(ms, signal)) === 'rung';
  if (rung) await sleep(Math.random() * WINDOW_MS, signal);
  else if (!bell) await sleep(ms, signal);
  return rung;
}

/** ioredis is loaded only where Redis is configured, and only once there is something to wait for. */
async function openBell(ctx: Context, env: Environment): Promise<Bell | undefined> {
  if (!wantsRedis(env)) return undefined;
  const { listen } = await import('./bell.js');
  return listen(env, ctx.resolve().dbname, (text) => ctx.events.warning?.(text));
}

function momentOf(
  error: KasmDbError,
  wait: Pick<Moment, 'looks' | 'lookMs' | 'bell' | 'rung'> & { pause: number; rate: SessionRate },
): Moment {
  const pending = error instanceof PendingError ? error : undefined;
  const crowded = error.details.sqlstate === '53300';
  const { run } = pending?.look ?? {};
  const working = pending !== undefined && ['migrating', 'seeding'].includes(pendingState(pending.look, pending.plan));
  return {
    looks: wait.looks,
    lastPauseMs: wait.pause,
    lookMs: wait.lookMs,
    unreachable: error.outcome === 'unreachable' && !crowded,
    crowded,
    nearEnd: working && run !== undefined && (run.phase === 'seed' || run.done * 2 >= run.total),
    bell: wait.bell,
    rung: wait.rung,
    sessionRate: wait.rate.next(pending?.look.sessions),
  };
}

/** Sessions a second between two looks. */
class SessionRate {
  private last: { at: number; sessions: number } | undefined;

  next(sessions: number | undefined): number | undefined {
    if (sessions === undefined) return undefined;
    const at = now();
    const last = this.last;
    if (last && at - last.at < MIN_INTERVAL_MS) return undefined;
    this.last = { at, sessions };
    return last ? ((sessions - last.sessions) * 1000) / (at - last.at) : undefined;
  }
}

/** The server writes its counters at most once a second. */
const MIN_INTERVAL_MS = 1500;

function waitingHelps(error: KasmDbError): boolean {
  return error.outcome === 'pending' || error.outcome === 'unreachable' || error.outcome === 'locked';
}
