import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { messageOf } from '../app/errors.js';
import { GRACE_MS, onLines, type Report } from './keeper-words.js';
import { killAll, MARK, type ProcessTree, signalAll, untilGone } from './processes.js';

/** Signals mean the program, and its order comes from kasm-db alone. */
const IGNORED = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/**
 * Runs a program for as long as kasm-db lives: that is, as long as standard input is open, on which names of signals come for it. When kasm-db is
 * gone, by whatever (nobody hears of a SIGKILL), the pipe is closed by the kernel, and the program is killed at once: the lock is free then.
 *
 * Standard output is for reports; the program's own goes to descriptor 3.
 * @param args the mark, the program, its arguments
 * @returns the exit code of the keeper
 */
export async function keep([mark = '', program = '', ...args]: readonly string[]): Promise<number> {
  for (const name of IGNORED) process.on(name, () => {});
  // A session and group of its own: Ctrl-C on a terminal reaches kasm-db, which passes it on.
  const child = spawn(program, args, {
    env: { ...process.env, [MARK]: mark },
    stdio: ['ignore', 3, 2],
    detached: true,
  });
  const tree: ProcessTree = { pid: child.pid, mark };
  obey(tree);
  try {
    await once(child, 'spawn');
  } catch (error) {
    report({ told: 'refused', message: messageOf(error) });
    return 0;
  }
  report({ told: 'started', pid: child.pid as number });
  const [exitCode, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  report({ told: 'ended', exitCode, signal });
  report({ told: 'gone', left: await endRest(tree) });
  return 0;
}

/** What the program has left behind may end by itself; what does not is ended. @returns how many did not */
async function endRest(tree: ProcessTree): Promise<number> {
  const left = await untilGone(tree, GRACE_MS);
  if (left === 0) return 0;
  signalAll(tree, 'SIGTERM');
  await untilGone(tree, GRACE_MS);
  await killAll(tree);
  return left;
}

/** Passes signals on that come on standard input, and kills everything when it is closed. */
function obey(tree: ProcessTree): void {
  onLines(process.stdin, (name) => {
    if (name === 'SIGKILL') void killAll(tree);
    else signalAll(tree, name as NodeJS.Signals);
  });
  const kasmDbIsGone = () => void killAll(tree).then(() => process.exit(0));
  process.stdin.once('end', kasmDbIsGone);
  process.stdin.once('error', kasmDbIsGone);
}

function report(said: Report): void {
  try {
    writeSync(1, `${JSON.stringify(said)}\n`);
  } catch {
    // Nobody reads it any more: then standard input has ended too.
  }
}
