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
