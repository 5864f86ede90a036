import { now, sleep } from './time.js';

/** How the pauses between attempts grow, in milliseconds. */
export interface BackoffOptions {
  firstMs: number;
  /** Each pause is that many times the one before; default 2. */
  factor?: number;
  /** No pause is longer. */
  maxMs: number;
}

/**
 * Growing pauses with jitter: each is between half and the whole of what it would be without, so that many who wait spread out
 * and none waits longer than maxMs.
 * @returns gives the next pause in milliseconds, each time it is called
 */
export function backoff({ firstMs, factor = 2, maxMs }: BackoffOptions): () => number {
  let next = Math.min(firstMs, maxMs);
  return () => {
    const pause = next * (0.5 + Math.random() / 2);
    next = Math.min(next * factor, maxMs);
    return pause;
  };
}

export interface RetryOptions {
  /** When the last attempt begins, by the clock of `now`, in milliseconds. */
  deadline: number;
  /** The pause after an attempt that failed, in milliseconds; see `backoff`. */
  backoff: (error: unknown) => number;
  /** May another attempt succeed? */
  retryable: (error: unknown) => boolean;
  /** Told before each pause. */
  onRetry?: ((error: unknown) => void) | undefined;
  /** Ends a pause, with its reason. */
  signal?: AbortSignal | undefined;
  /** How to pause; default: nothing but time ends it early. */
  pause?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/**
 * Does `work` again and again until it succeeds. The last pause is cut to what is left, so that the last attempt is made when the time
 * is up, not a pause earlier.
 * @param work told how many attempts there were before
 * @throws what the last attempt threw, where the time was up or another attempt would not have helped; the signal's reason, where it is the
 * signal that ended the wait
 */
export async function retry<T>(work: (attempts: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const { deadline, backoff: nextPause, retryable, onRetry, signal, pause = sleep } = options;
  for (let attempts = 0; ; attempts++) {
    signal?.throwIfAborted();
    try {
      return await work(attempts);
    } catch (error) {
      const left = deadline - now();
      if (left <= 0 || !retryable(error)) throw error;
      signal?.throwIfAborted();
      onRetry?.(error);
      await pause(Math.min(nextPause(error), left), signal);
    }
  }
}
