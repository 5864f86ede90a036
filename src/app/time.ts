/** A clock that only goes forward, in milliseconds. process.uptime() is there at once; `performance` would load a module of its own at start-up. */
export function now(): number {
  return process.uptime() * 1000;
}

/** Waits, and stops waiting with the signal's reason. @param ms milliseconds */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}

/**
 * Waits for `work`, but no longer than `ms`, nor after the signal.
 * @param late makes what is thrown when the time is up
 * @throws whatever `work` or `late` give; the signal's reason
 */
export async function within<T>(ms: number, work: Promise<T>, late: () => unknown, signal?: AbortSignal): Promise<T> {
  const done = new AbortController();
  const stop = signal ? AbortSignal.any([signal, done.signal]) : done.signal;
  const time = sleep(ms, stop).then(() => Promise.reject(late()));
  try {
    return await Promise.race([work, time]);
  } finally {
    done.abort();
    time.catch(() => {});
  }
}

/** Waits for `work`, but not after the signal; what was begun then goes on, and nobody hears of it. @throws whatever `work` throws; the signal's reason */
export async function unlessStopped<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const done = new AbortController();
  const stopped = new Promise<never>((_, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true, signal: done.signal });
  });
  try {
    return await Promise.race([work, stopped]);
  } finally {
    done.abort();
  }
}

/** Holds up everything, signals too. @param ms milliseconds */
export function pauseSync(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** A loop that computes may keep the event loop, where signals are handled, for so long, in milliseconds. */
const BREATH_MS = 100;

/** Lets the event loop run now and then; to be awaited at each step of a long loop. Mostly there is nothing to wait for. @throws the signal's reason */
export type Breathe = () => Promise<void> | undefined;

/** @param signal ends the loop */
export function breather(signal?: AbortSignal): Breathe {
  let last = now();
  return () => {
    if (now() - last < BREATH_MS) return undefined;
    return new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      last = now();
      signal?.throwIfAborted();
    });
  };
}
