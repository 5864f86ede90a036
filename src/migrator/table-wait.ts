import type { Context } from '../app/context.js';
import { KasmDbError } from '../app/errors.js';
import { jittered, now } from '../app/time.js';
import { type Blocker, describeBlockers } from '../postgres/blocker.js';
import type { Client } from '../postgres/client.js';

/** What a run has waited for table locks; goes into its result. */
export interface TableWaits {
  /** Spent in attempts that gave way, and between them, in milliseconds. */
  ms: number;
  /** Who was in the way of which migration, as last seen. */
  blockers: readonly Blocker[];
  migration?: string;
}

/** Of a session whose lock_timeout is longer, who blocks it is looked up this often, in milliseconds. */
const LOOK_MS = 1000;

/**
 * Runs `work`, and while it takes long, looks who keeps it from a lock. Two looks fall into each lock_timeout, so that whoever makes an
 * attempt give way has been seen; what is done sooner costs no connection.
 * @param pid of the session that works, as its server counts it
 */
export async function watched<T>(
  ctx: Context,
  client: Client,
  {
    migration,
    pid,
    lockTimeoutMs,
    waits,
  }: { migration: string; pid: number; lockTimeoutMs: number; waits: TableWaits },
  work: () => Promise<T>,
): Promise<T> {
  const { host, port } = client;
  const everyMs = Math.min(lockTimeoutMs / 3, LOOK_MS);
  let watch: { stop: () => void } | undefined;
  let ended = false;
  const start = setTimeout(async () => {
    const { watchBlockers } = await import('../postgres/blockers.js');
    if (ended) return;
    watch = watchBlockers(
      () => ({ ...ctx.resolve(), hosts: [{ host, port }] }),
      pid,
      everyMs,
      (blockers) => {
        Object.assign(waits, { blockers, migration });
        ctx.events.blocked?.(migration, blockers);
      },
    );
  }, everyMs);
  try {
    return await work();
  } finally {
    ended = true;
    clearTimeout(start);
    watch?.stop();
  }
}

/** A lock that was not granted in time, with the sessions that kept it. */
export function withBlockers(error: unknown, { blockers, migration }: TableWaits): unknown {
  if (!(error instanceof KasmDbError) || error.details.sqlstate !== '55P03') return error;
  if (blockers.length === 0 || error.details.migration !== migration) return error;
  const pids = blockers.filter(({ pid }) => pid !== 0).map(({ pid }) => pid);
  const end =
    pids.length > 0
      ? `, or end them: SELECT pg_terminate_backend(${pids.slice(0, 3).join('), pg_terminate_backend(')})`
      : '';
  return new KasmDbError(error.outcome, `${error.message}; in the way: ${describeBlockers(blockers)}`, {
    ...error.details,
    hint: `let these sessions end${end}; then run the same command again, or give it more time with --lock-timeout`,
    cause: error.cause,
  });
}

/** A pause between two attempts is never longer, in milliseconds. */
const MAX_PAUSE_MS = 5000;

/**
 * How long to leave a table to others after an attempt gave way: what queued up behind the attempt has to drain, or it would add up
 * from attempt to attempt.
 * @param tries attempts before this one
 * @param lockTimeoutMs how long that attempt made others wait
 * @returns milliseconds, jittered
 */
export function retryPause(tries: number, lockTimeoutMs: number): number {
  return jittered(Math.min(Math.max(250 * 2 ** tries, lockTimeoutMs), MAX_PAUSE_MS));
}

/** Milliseconds since `started` are counted as waited for tables. */
export function addWait(waits: TableWaits, started: number): void {
  waits.ms += now() - started;
}
