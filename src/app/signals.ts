import { readFileSync } from 'node:fs';
import { KasmDbError } from './errors.js';
import { now } from './time.js';

/** What is left to do after a signal (cancel, roll back, unlock, report) is cut off here: SIGTERM has 2 s in all. */
const LAST_MS = 1800;
/** A program that runs under us has 10 s to end after it, and then it is killed. */
const LAST_MS_OF_PROGRAM = 15_000;
let lastMs = LAST_MS;
/** Those that end a run. */
type Ending = 'SIGTERM' | 'SIGINT' | 'SIGHUP';

/** The one that has come. */
let came: { name: Ending; exitCode: number } | undefined;
let cutting: NodeJS.Timeout | undefined;
/** When its time is over. */
let cutAt = Number.POSITIVE_INFINITY;

/** Those of abortOnSignals. */
const listeners = new Map<NodeJS.Signals, () => void>();

/**
 * Turns SIGTERM, SIGINT and SIGHUP (a terminal that is closed) into an abort whose reason says so. Listening for them also makes them work as PID 1, where the kernel
 * ignores signals without a listener.
 * @param cut ends the process where the work has not ended soon after the signal
 */
export function abortOnSignals(cut: (reason: KasmDbError) => void): AbortSignal {
  const controller = new AbortController();
  const listen = (name: Ending, exitCode: number) => {
    const onSignal = () => {
      if (controller.signal.aborted) return;
      const reason = new KasmDbError('interrupted', `interrupted by ${name}; what was not committed is rolled back`, {
        exitCode,
        hint: 'run the same command again',
      });
      came = { name, exitCode };
      cutAt = now() + lastMs;
      cutting = setTimeout(() => cut(reason), lastMs).unref();
      controller.abort(reason);
    };
    listeners.set(name, onSignal);
    process.on(name, onSignal);
  };
  listen('SIGTERM', 143);
  listen('SIGINT', 130);
  if (!ignoresHangup()) listen('SIGHUP', 129);
  // It would open the debugger's port, through which anybody on this machine reads our memory, passwords and all.
  process.on('SIGUSR1', () => {});
  return controller.signal;
}

/** The signal that ends this process, whose result is there: nothing has to be cut off any more. */
export function endingSignal(): typeof came {
  clearTimeout(cutting);
  return came;
}

/** The time that a signal has left is over; for work that lets nothing else happen meanwhile. */
export function isTimeUp(): boolean {
  return now() >= cutAt;
}

/**
 * From here on the system itself ends this process at a signal: for work that lets nothing else happen meanwhile, and may not end.
 * @returns takes the signals back
 */
export function leaveSignalsToSystem(): () => void {
  // As PID 1 they would be lost, since the kernel drops what nobody listens for: there they wait instead.
  if (process.pid === 1) return () => {};
  for (const [name, onSignal] of listeners) process.off(name, onSignal);
  return () => {
    for (const [name, onSignal] of listeners) process.on(name, onSignal);
  };
}

/** Signals that a program which runs under us may get from us. */
export type ProgramSignal = 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'SIGQUIT' | 'SIGUSR1' | 'SIGUSR2' | 'SIGKILL';

/**
 * Passes the signals of this process on to a program that runs under it, and gives it the time to end.
 * @returns ends that
 */
export function passSignals(send: (signal: ProgramSignal) => void): () => void {
  const names: ProgramSignal[] = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'];
  if (!ignoresHangup()) names.push('SIGHUP');
  lastMs = LAST_MS_OF_PROGRAM;
  const pass = (name: NodeJS.Signals) => send(name as ProgramSignal);
  for (const name of names) process.on(name, pass);
  return () => {
    lastMs = LAST_MS;
    for (const name of names) process.off(name, pass);
  };
}

/** Whoever was started by nohup is to go on (Linux: the first bit of SigIgn). */
function ignoresHangup(): boolean {
  try {
    const mask = /^SigIgn:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
    return (BigInt(`0x${mask}`) & 1n) === 1n;
  } catch {
    return false;
  }
}
