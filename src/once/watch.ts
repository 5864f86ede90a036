import { KasmDbError } from '../app/errors.js';
import { sleep } from '../app/time.js';
import { withDeadline } from '../postgres/deadline.js';
import type { Session } from '../postgres/session.js';

/** How often the session is asked for a sign of life, in milliseconds. A server gives up on a client later than that: after 30 s. */
const ASK_MS = 2000;
const ANSWER_MS = 5000;

/**
 * Watches the session that holds the migration lock.
 * @param stop ends the watch
 * @returns told when the session is lost, and with it the lock; never when the watch was ended before
 */
export function sessionLost(session: Session, stop: AbortSignal): Promise<KasmDbError> {
  return new Promise((resolve) => {
    const lost = (cause?: unknown) => {
      if (stop.aborted) return;
      resolve(
        new KasmDbError('unreachable', 'the session that holds the migration lock was lost', {
          hint: 'run the same command again: the program is run once more, as it has not ended by itself',
          cause,
        }),
      );
    };
    session.client.once('end', () => lost());
    const ask = async () => {
      for (;;) {
        await sleep(ASK_MS, stop);
        await withDeadline(session.client, ANSWER_MS, () => session.query('SELECT'));
      }
    };
    ask().catch(lost);
  });
}
