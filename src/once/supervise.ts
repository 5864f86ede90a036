import { KasmDbError, RetoldError } from '../app/errors.js';
import { plural } from '../app/plural.js';
import type { ProgramSignal } from '../app/signals.js';
import { now, sleep } from '../app/time.js';
import { formatMs } from '../app/when.js';
import type { Context } from '../config/context.js';
import type { Environment } from '../config/variables.js';
import { ONCE } from '../history/state.js';
import { withDeadline } from '../postgres/deadline.js';
import type { Session } from '../postgres/session.js';
import { GRACE_MS } from './keeper-words.js';
import { type Ending, startProgram } from './program.js';

export interface SuperviseOptions {
  name: string;
  /** The program and its arguments. */
  command: readonly string[];
  env: Environment;
  /** Descriptor that the program's standard output becomes. */
  output: 1 | 2;
  /** How long it may run, in milliseconds; default: as long as it takes. */
  timeoutMs?: number | undefined;
  /** Has signals of this process sent to the program from now on. @returns ends that */
  passSignals?: ((send: (signal: ProgramSignal) => void) => () => void) | undefined;
}

/** Why a program had to end. */
type Reason = 'signal' | 'timeout' | KasmDbError;

/** How often the session is asked for a sign of life, in milliseconds. A server gives up on a client later than that: after 30 s. */
const ASK_MS = 2000;
const ANSWER_MS = 5000;

/** Runs the program until it has ended by itself, or has to. @param session holds the migration lock @returns milliseconds @throws KasmDbError */
export async function supervise(
  ctx: Context,
  session: Session,
  program: string,
  { command, env, output, name, timeoutMs, passSignals }: SuperviseOptions,
): Promise<number> {
  ctx.signal.throwIfAborted();
  const started = now();
  ctx.events.progress?.(`${ONCE}${name}: runs ${commandText(program, command.length - 1)}`);
  const done = new AbortController();
  const after = (ms: number, work: () => void) => void sleep(ms, done.signal).then(work, () => {});
  const running = startProgram(program, command.slice(1), withoutAdminLogin(env), output);
  const stopPassing = passSignals?.(running.send);
  let reason: Reason | undefined;
  const stop = (why: Reason) => {
    if (reason !== undefined) return;
    reason = why;
    // Where signals are passed on, the program has got that one already.
    if (why !== 'signal' || !stopPassing) running.send('SIGTERM');
    after(GRACE_MS, () => running.send('SIGKILL'));
  };
  const onSignal = () => stop('signal');
  ctx.signal.addEventListener('abort', onSignal, { once: true });
  if (ctx.signal.aborted) onSignal();
  void sessionLost(session, done.signal).then(stop);
  if (timeoutMs !== undefined) after(timeoutMs, () => stop('timeout'));
  try {
    const ending = await running.ended;
    if (reason === undefined && ending.exitCode === 0 && ending.left === 0) return now() - started;
    const error = failure(`${ONCE}${name}: ${program}`, ending, reason, ctx.signal, timeoutMs);
    const once = { name, ran: true, exitCode: ending.exitCode ?? undefined, signal: ending.signal ?? undefined };
    throw new RetoldError(error, error.message, { once });
  } finally {
    done.abort();
    stopPassing?.();
    ctx.signal.removeEventListener('abort', onSignal);
  }
}

/** Why a program does not count as run. @param reason undefined: it has ended by itself */
function failure(
  who: string,
  ending: Ending,
  reason: Reason | undefined,
  { reason: interruption }: AbortSignal,
  timeoutMs = 0,
): KasmDbError {
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

/** Arguments may hold secrets. */
export function commandText(program: string, args: number): string {
  return `${program} (${plural(args, 'argument')})`;
}

/** What bootstrap may do is nothing for anybody else. */
function withoutAdminLogin(env: Environment): Environment {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('DATABASE_MASTER_')));
}

/**
 * Watches the session that holds the migration lock.
 * @param stop ends the watch
 * @returns told when the session is lost, and with it the lock; never when the watch was ended before
 */
function sessionLost(session: Session, stop: AbortSignal): Promise<KasmDbError> {
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
