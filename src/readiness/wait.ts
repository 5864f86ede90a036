import { KasmDbError } from '../app/errors.js';
import type { RunEvents } from '../app/events.js';
import { backoff, retry } from '../app/retry.js';
import { now, sleep } from '../app/time.js';
import { formatMs } from '../app/when.js';
import type { Context } from '../config/context.js';
import { wantsRedis } from '../config/redis.js';
import type { Environment } from '../config/variables.js';
import type { Migration } from '../migrations/files.js';
import { type CheckResult, check, type ExpectedSeed, PendingError } from './check.js';
import type { Subscription } from './notifier.js';
import { pendingState } from './pending-state.js';

export interface WaitOptions {
  /** How long to wait, in milliseconds. */
  waitMs: number;
  seed?: ExpectedSeed | undefined;
  /** Give up as soon as the migrator has failed. */
  failFast: boolean;
  env: Environment;
}

/**
 * Pauses between checks. 500 gates that have come to the longest cost a server some 50 logins a second, and hear of the end by themselves
 * within 14 s.
 */
const PAUSES = { firstMs: 500, factor: 3, maxMs: 14_000 };
/** After a notification the database is nearly ready, and a replica that is behind has it seconds later. */
const PAUSES_WHEN_NOTIFIED = { firstMs: 500, factor: 1.5, maxMs: 14_000 };
/** Gates that were notified check within this time, each at a moment of its own: hundreds may have been. */
const NOTIFIED_MS = 1000;
/**
 * After a notification none counts for so long: anybody may publish, and whoever sends them without end makes a gate check no more often than
 * one that has just begun to poll.
 */
const IGNORED_MS = PAUSES.maxMs;
/** The last check gets at least this. */
const LEAST_ATTEMPT_MS = 1000;
/** No check takes longer. */
const MOST_ATTEMPT_MS = 10_000;

/**
 * Checks again and again until the answer is yes or the time is up. Each check is a connection of its own; nothing is held in between.
 * @throws KasmDbError as check; integrity and environment at once, since waiting does not cure them
 */
export async function waitUntilReady(
  ctx: Context,
  migrations: Migration[],
  options: WaitOptions,
): Promise<CheckResult> {
  const deadline = now() + options.waitMs;
  const report = waitReporter(ctx.events);
  let pauses = backoff(PAUSES);
  let last: unknown;
  let subscription: Subscription | undefined;
  let ignoredUntil = 0;
  try {
    return await retry(
      async () => {
        const attemptMs = Math.min(Math.max(deadline - now(), LEAST_ATTEMPT_MS), MOST_ATTEMPT_MS);
        const began = now();
        try {
          return await check(ctx, migrations, { vendor: false, seed: options.seed, attemptMs });
        } catch (error) {
          // That the time was up while a busy server was asked again tells less than what it has said before.
          const cut = now() >= deadline && now() - began >= attemptMs;
          if (!cut) last = error;
          throw cut && isRetryable(last) ? last : error;
        }
      },
      {
        deadline,
        backoff: () => pauses(),
        retryable: (error) => isRetryable(error) && !(options.failFast && hasFailed(error)),
        onRetry: report,
        signal: ctx.signal,
        pause: async (ms) => {
          if (!wantsRedis(options.env)) return sleep(ms, ctx.signal);
          subscription ??= await subscribe(ctx, options.env);
          if (now() < ignoredUntil) return sleep(ms, ctx.signal);
          if (!(await subscription.wait(ms, ctx.signal))) return;
          ignoredUntil = now() + IGNORED_MS;
          // Whatever the next check does not find yet (on a replica that is behind, or where there was no connection left) comes soon.
          pauses = backoff(PAUSES_WHEN_NOTIFIED);
          await sleep(Math.min(Math.random() * NOTIFIED_MS, deadline - now()), ctx.signal);
        },
      },
    );
  } catch (error) {
    if (!isRetryable(error) || now() < deadline) throw error;
    throw new KasmDbError(error.outcome, `${error.message}; gave up after ${formatMs(options.waitMs)}`, {
      ...error.details,
      cause: error,
    });
  } finally {
    subscription?.close();
  }
}

/** ioredis is loaded only where Redis is configured, and only once there is something to wait for. */
async function subscribe(ctx: Context, env: Environment): Promise<Subscription> {
  const notifier = await import('./notifier.js');
  return notifier.subscribe(env, ctx.resolve().dbname, (text) => ctx.events.warning?.(text));
}

/** Whoever reads the log of a gate sees that it lives, in milliseconds. */
const HEARTBEAT_MS = 60_000;

/** Says what is waited for: once for each change, and once a minute. @param clock milliseconds, for tests */
export function waitReporter(events: RunEvents, clock = now): (error: unknown) => void {
  const began = clock();
  let said = '';
  let saidAt = began;
  let wasDead = false;
  return (error) => {
    const { message, details } = error as KasmDbError;
    const text = details.hint ? `${message} (${details.hint})` : message;
    // Behind a pooler the lock is free for a moment between two migrations: only who is dead twice is dead.
    const dead = error instanceof PendingError && pendingState(error.state, error.plan) === 'died';
    if (text !== said && (!dead || wasDead)) {
      events.waiting?.(text);
      said = text;
      saidAt = clock();
    } else if (text === said && clock() - saidAt >= HEARTBEAT_MS) {
      events.waiting?.(`${text}, for ${formatMs(clock() - began)} so far`);
      saidAt = clock();
    }
    wasDead = dead;
  };
}

function isRetryable(error: unknown): error is KasmDbError {
  return error instanceof KasmDbError && ['pending', 'unreachable', 'locked'].includes(error.outcome);
}

function hasFailed(error: KasmDbError): boolean {
  return error instanceof PendingError && error.state.run?.phase === 'failed';
}
