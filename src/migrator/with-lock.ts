import type { Context } from '../app/context.js';
import { KasmDbError } from '../app/errors.js';
import { jittered, now, sleep } from '../app/time.js';
import { MIN_SERVER_VERSION } from '../history/history.js';
import type { Look } from '../history/state.js';
import type { Client } from '../postgres/client.js';
import { connect } from '../postgres/connect.js';
import { describeHolder, type LockHolder } from '../postgres/lock-holder.js';
import { disconnect } from '../postgres/query.js';
import { toKasmDbError } from '../postgres/sqlstate.js';

export interface Waiting {
  /** How long to wait for another migrator, in milliseconds. */
  lockTimeoutMs: number;
  /** For messages, in the form "rolling back". */
  doing: string;
}

/**
 * Connects and lets `attempt` try for the migration lock, again and again until the time is up. Nobody holds a connection while waiting.
 * @throws KasmDbError
 */
export async function untilLocked<T extends object>(
  ctx: Context,
  { lockTimeoutMs, doing }: Waiting,
  attempt: (client: Client, deadline: number) => Promise<T | { busy: LockHolder | undefined }>,
): Promise<T & { waitedMs: number; holder: LockHolder | undefined }> {
  const started = now();
  const deadline = started + lockTimeoutMs;
  let holder: LockHolder | undefined;
  for (let tries = 0; ; tries++) {
    const waitedMs = tries === 0 ? 0 : now() - started;
    const client = await connect(ctx.resolve, { signal: ctx.signal, onRetry: ctx.events.retryConnect });
    client.on('notice', (notice) => ctx.events.notice?.(notice.message ?? ''));
    try {
      const result = await attempt(client, deadline);
      if (!('busy' in result)) return { ...result, waitedMs, holder };
      holder = result.busy ?? holder;
    } catch (error) {
      // An error that says what was done before it goes on as it is.
      if (!(error instanceof KasmDbError)) ctx.signal.throwIfAborted();
      throw toKasmDbError(error, doing);
    } finally {
      await disconnect(client);
    }
    ctx.events.waitForLock?.(holder);
    const pause = jittered(Math.min(100 * 1.5 ** tries, 2000));
    if (now() + pause > deadline) {
      throw new KasmDbError(
        'locked',
        `another migrator held the migration lock for the whole ${Math.round(lockTimeoutMs / 1000)} s: ${describeHolder(holder)}`,
        {
          hint: 'wait for it and run again, or give more time with --lock-timeout; kasm-db status shows what it is doing',
        },
      );
    }
    await sleep(pause, ctx.signal);
  }
}

/** @throws KasmDbError environment when this server cannot be written to */
export function requireWritable({ serverVersion, standby }: Look): void {
  if (serverVersion < MIN_SERVER_VERSION) {
    throw new KasmDbError('environment', `PostgreSQL ${Math.floor(serverVersion / 10_000)} is too old`, {
      hint: 'kasm-db needs PostgreSQL 13 or newer; Kasm 1.19 wants 16',
    });
  }
  if (standby) {
    throw new KasmDbError('environment', 'this server is a standby; it takes no writes', {
      hint: 'connect to the primary, or list all hosts and set PGTARGETSESSIONATTRS=read-write',
    });
  }
}
