import type { ProgramSignal } from '../app/signals.js';
import { now, sleep } from '../app/time.js';
import type { Context } from '../config/context.js';
import type { Environment } from '../config/variables.js';
import { ONCE } from '../history/state.js';
import type { Session } from '../postgres/session.js';
import { ProgramError, type Reason } from './failure.js';
import { GRACE_MS } from './keeper-words.js';
import { startProgram } from './program.js';
import { sessionLost } from './watch.js';

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

/** Runs the program until it has ended by itself, or has to. @param session holds the migration lock @returns milliseconds @throws KasmDbError */
export async function supervise(
  ctx: Context,
  session: Session,
  program: string,
  options: SuperviseOptions,
): Promise<number> {
  ctx.signal.throwIfAborted();
  const { command, env, output, name, timeoutMs } = options;
  const started = now();
  ctx.events.progress?.(`${ONCE}${name}: runs ${commandText(program, command.length - 1)}`);
  const done = new AbortController();
  const running = startProgram({ program, args: command.slice(1), env: withoutAdminLogin(env), output });
  const stopPassing = options.passSignals?.(running.send);
  let reason: Reason | undefined;
  const stop = (why: Reason) => {
    if (reason !== undefined) return;
    reason = why;
    // Where signals are passed on, the program has got that one already.
    if (why !== 'signal' || !stopPassing) running.send('SIGTERM');
    sleep(GRACE_MS, done.signal).then(
      () => running.send('SIGKILL'),
      () => {},
    );
  };
  const onSignal = () => stop('signal');
  ctx.signal.addEventListener('abort', onSignal, { once: true });
  if (ctx.signal.aborted) onSignal();
  void sessionLost(session, done.signal).then(stop);
  if (timeoutMs !== undefined)
    sleep(timeoutMs, done.signal).then(
      () => stop('timeout'),
      () => {},
    );
  try {
    const ending = await running.ended;
    if (reason === undefined && ending.exitCode === 0 && ending.left === 0) return now() - started;
    throw new ProgramError({ name, program, ending, reason, interruption: ctx.signal.reason, timeoutMs });
  } finally {
    done.abort();
    stopPassing?.();
    ctx.signal.removeEventListener('abort', onSignal);
  }
}

/** Arguments may hold secrets. */
export function commandText(program: string, args: number): string {
  return `${program} (${args} ${args === 1 ? 'argument' : 'arguments'})`;
}

/** What bootstrap may do is nothing for anybody else. */
function withoutAdminLogin(env: Environment): Environment {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('DATABASE_MASTER_')));
}
