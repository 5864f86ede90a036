import { KasmDbError } from './errors.js';

/** What is left to do after a signal (cancel, roll back, unlock, report) is cut off here: SIGTERM has 2 s in all. */
const LAST_MS = 1800;

/**
 * Turns SIGTERM and SIGINT into an abort whose reason says so. Listening for them also makes them work as PID 1, where the kernel
 * ignores signals without a listener (TRAPS 5).
 */
export function abortOnSignals(): AbortSignal {
  const controller = new AbortController();
  const listen = (name: 'SIGTERM' | 'SIGINT', exitCode: number) => {
    process.on(name, () => {
      if (controller.signal.aborted) return;
      setTimeout(() => process.exit(exitCode), LAST_MS).unref();
      controller.abort(
        new KasmDbError('interrupted', `interrupted by ${name}; what was not committed is rolled back`, {
          exitCode,
          hint: 'run the same command again',
        }),
      );
    });
  };
  listen('SIGTERM', 143);
  listen('SIGINT', 130);
  return controller.signal;
}
