import { KasmDbError } from '../app/errors.js';
import { plural } from '../app/plural.js';
import { formatMs } from '../app/when.js';
import { ONCE } from '../history/state.js';
import type { Ending } from './program.js';

/** Why a program had to end. */
export type Reason = 'signal' | 'timeout' | KasmDbError;

/** A program that does not count as run. */
export interface Failed {
  /** Of `once`. */
  name: string;
  /** The program's path. */
  program: string;
  ending: Ending;
  /** undefined: it has ended by itself. */
  reason: Reason | undefined;
  /** The signal's, where one has come. */
  interruption: unknown;
  timeoutMs?: number | undefined;
}

/** The failure of a program, which tells how it has ended; its `fields` go into the result. */
export function programError(failed: Failed): KasmDbError {
  const { exitCode, signal } = failed.ending;
  const once = {
    name: failed.name,
    ran: true,
    ...(exitCode === null ? {} : { exitCode }),
    ...(signal ? { signal } : {}),
  };
  return Object.assign(describe(failed), { fields: { once } });
}

function describe({ name, program, ending, reason, interruption, timeoutMs = 0 }: Failed): KasmDbError {
  const who = `${ONCE}${name}: ${program}`;
  const how = ending.signal ? `was ended by ${ending.signal}` : `ended with exit code ${ending.exitCode}`;
  if (reason instanceof KasmDbError)
    return new KasmDbError(reason.outcome, `${who} was ended, since ${reason.message}; it ${how}`, reason.details);
  if (reason === 'signal') {
    const { exitCode } = interruption as KasmDbError;
    return new KasmDbError('interrupted', `${who} was interrupted; it ${how}, and counts as not run`, {
      exitCode,
      hint: 'run the same command again',
    });
  }
  if (reason === 'timeout')
    return new KasmDbError('failed', `${who} did not end within ${formatMs(timeoutMs)} (--timeout); it ${how}`, {
      hint: 'give it more time, or correct the program; then run the same command again',
    });
  if (ending.exitCode === 0)
    return new KasmDbError(
      'failed',
      `${who} ended with exit code 0, but left ${plural(ending.left, 'process', 'processes')} running, which kasm-db has ended`,
      { hint: 'run it in the foreground, so that it ends when all is done; then run the same command again' },
    );
  return new KasmDbError('failed', `${who} ${how}`, {
    hint: "find the cause in the program's own output and correct it; then run the same command again",
  });
}
