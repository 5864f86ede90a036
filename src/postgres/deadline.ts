import { KasmDbError, messageOf } from '../app/errors.js';
import { within } from '../app/time.js';
import { formatMs } from '../app/when.js';
import type { Client } from './client.js';
import { destroy, reasonOf } from './query.js';
import { hostText } from './refusal.js';

/** An answer about the state holds a history, some rows and names; 5,000 migrations are 3 MB of it. */
const ANSWER_BYTES = 16 << 20;

/**
 * Reads from a server that may never answer, or never end: after `ms` the connection is cut, and when the signal comes; a cancel request would be for
 * nothing, since the work only reads (blockers.ts says who dies of one). A migration's statement may take as long as it takes.
 * @param ms for all of the work together
 * @param options.bytes what the server may answer in all, with some 256 bytes for each message
 * @throws KasmDbError unreachable when the time or the size is used up, or when the answer is not what was asked for; the signal's reason;
 *   whatever `work` throws
 */
export async function withDeadline<T>(
  client: Client,
  ms: number,
  work: () => Promise<T>,
  { signal, bytes = ANSWER_BYTES }: { signal?: AbortSignal | undefined; bytes?: number } = {},
): Promise<T> {
  const at = hostText(client);
  const unlimited = client.wire.limit(bytes);
  const cut = () => destroy(client);
  const late = () => {
    cut();
    return new KasmDbError('unreachable', `${at} did not answer within ${formatMs(ms)}`, {
      hint: 'what stands between may have dropped the connection, or the server is overloaded; run the same command again',
    });
  };
  try {
    signal?.throwIfAborted();
    signal?.addEventListener('abort', cut, { once: true });
    return await within(ms, work(), late);
  } catch (caught) {
    signal?.throwIfAborted();
    const error = reasonOf(client, caught);
    // A row without the columns that were asked for, JSON that is none: a server of ours gives no such answer.
    const origin = error instanceof KasmDbError && error.outcome === 'internal' ? error.cause : error;
    if (![TypeError, SyntaxError, RangeError].some((kind) => origin instanceof kind)) throw error;
    throw new KasmDbError(
      'unreachable',
      `${at} gives an answer that is not what was asked for (${messageOf(origin)})`,
      { hint: 'is it PostgreSQL that answers there? check POSTGRES_HOST and POSTGRES_PORT', cause: error },
    );
  } finally {
    signal?.removeEventListener('abort', cut);
    unlimited();
  }
}
