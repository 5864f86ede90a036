import { KasmDbError } from '../app/errors.js';
import { now, sleep, spread } from '../app/time.js';
import type { Context } from '../config/context.js';
import { formatMs } from '../config/duration.js';
import { wantsRedis } from '../config/redis.js';
import type { Environment } from '../config/variables.js';
import { isAtWork, type MigrationState } from '../history/state.js';
import type { Migration } from '../migrations/files.js';
import { type Moment, nextPause } from './backoff.js';
import { checkOnce, type ExpectedSeed, PendingError, type Verdict } from './check.js';
import type { Bell } from './notifier.js';
import { pendingState } from './pending-state.js';

export interface WaitOptions {
  /** How long to wait, in milliseconds. */
  waitMs: number;
  seed?: ExpectedSeed | undefined;
  /** Give up as soon as the migrator has failed. */
  failFast: boolean;
  env: Environment;
}

/** After a ring hundreds of gates want to look, and a server of two cores answers some 300 a second: each of them gets its time. */
const LOOK_MS = 3.4;
/** Through a pooler, which logs nobody in anew. */
const POOLED_LOOK_MS = 1;
/** Where the ring doesn't say how many there are. */
const FEW = 50;
/** What a ring says is never believed further than this, in milliseconds. */
const LONGEST_WINDOW_MS = 14_000;
/** Redis gets this long to take the subscription before the gate goes on without it. */
const SUBSCRIBE_MS = 1000;

/**
 * Looks again and again until the answer is yes or the time is up. Each look is a connection of its own; nothing is held in between.
 * @throws KasmDbError as checkOnce; integrity and environment at once, since waiting does not cure them
 */
export async function waitUntilReady(ctx: Context, migrations: Migration[], options: WaitOptions): Promise<Verdict> {
  const started = now();
  let bell: Bell | undefined;
  let said = '';
  let pause = 0;
  let rung = false;
  let wasDead = false;
  let seen: MigrationState | undefined;
  let unheard = false;
  try {
    for (let looks = 1; ; looks++) {
      const began = now();
      let error: KasmDbError;
      try {
        return await checkOnce(ctx, migrations, { vendor: false, gate: true, seed: options.seed });
      } catch (caught) {
        if (!(caught instanceof KasmDbError) || !waitingHelps(caught)) throw caught;
        error = caught;
      }
      const lookMs = now() - began;
      if (options.failFast && error instanceof PendingError && error.state.run?.phase === 'failed') throw error;
      const text = `${error.message} (${error.details.hint})`;
      // Behind a pooler the lock is free for a moment between two migrations: only who is dead twice is dead.
      const dead = error instanceof PendingError && pendingState(error.state, error.plan) === 'died';
      if (text !== said && (!dead || wasDead)) {
        ctx.events.waiting?.(text);
        said = text;
      }
      wasDead = dead;
      const opening = bell === undefined;
      bell ??= await openBell(ctx, options.env);
      // A ring between that look and the subscription was not heard; it can only have come from a run that was at work (and may have let
      // the lock go since the row was read), or not seen.
      if (opening) unheard = !(error instanceof PendingError) || isAtWork(error.state.run);
      else if (error instanceof PendingError) unheard = false;
      if (error instanceof PendingError) {
        rung = false;
        seen = error.state;
      }
      pause = nextPause(momentOf(error, { looks, pause, lookMs, bell: bell?.listening ?? false, unheard, rung }));
      const left = options.waitMs - (now() - started);
      if (left <= 0) {
        throw new KasmDbError(error.outcome, `${error.message}; gave up after ${formatMs(options.waitMs)}`, {
          ...error.details,
          cause: error,
        });
      }
      const each = seen?.pooled ? POOLED_LOOK_MS : LOOK_MS;
      rung = (await rest(Math.min(spread(pause), left), left, each, bell, ctx.signal)) || rung;
    }
  } finally {
    bell?.close();
  }
}

/**
 * @param left of the whole wait, in milliseconds
 * @param each who heard the bell gets so long for its look, in milliseconds
 * @returns true when the bell rang meanwhile
 */
async function rest(
  ms: number,
  left: number,
  each: number,
  bell: Bell | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  if (!bell) {
    await sleep(ms, signal);
    return false;
  }
  const began = now();
  const ring = await bell.wait(ms, signal);
  if (ring) {
    const window = Math.min((ring.listeners ?? FEW) * each, LONGEST_WINDOW_MS, left - (now() - began));
    await sleep(Math.random() * window, signal);
  }
  return ring !== undefined;
}

/** ioredis is loaded only where Redis is configured, and only once there is something to wait for. */
async function openBell(ctx: Context, env: Environment): Promise<Bell | undefined> {
  if (!wantsRedis(env)) return undefined;
  const { listen } = await import('./notifier.js');
  const bell = listen(env, ctx.resolve().dbname, (text) => ctx.events.warning?.(text));
  await bell.opened(SUBSCRIBE_MS);
  return bell;
}

function momentOf(
  error: KasmDbError,
  wait: Pick<Moment, 'looks' | 'lookMs' | 'bell' | 'unheard' | 'rung'> & { pause: number },
): Moment {
  const pending = error instanceof PendingError ? error : undefined;
  const crowded = error.details.sqlstate === '53300';
  const { run } = pending?.state ?? {};
  return {
    looks: wait.looks,
    lastPauseMs: wait.pause,
    lookMs: wait.lookMs,
    unreachable: error.outcome === 'unreachable' && !crowded,
    crowded,
    nearEnd: isWorking(error) && run !== undefined && (run.phase === 'seed' || run.done * 2 >= run.total),
    bell: wait.bell,
    unheard: wait.unheard,
    rung: wait.rung,
    sessionRate: undefined,
  };
}

/** A run is at work, as far as the last look could tell. */
function isWorking(error: KasmDbError): boolean {
  return error instanceof PendingError && ['migrating', 'seeding'].includes(pendingState(error.state, error.plan));
}

function waitingHelps(error: KasmDbError): boolean {
  return error.outcome === 'pending' || error.outcome === 'unreachable' || error.outcome === 'locked';
}
