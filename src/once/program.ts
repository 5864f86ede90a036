import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { KasmDbError } from '../app/errors.js';
import type { ProgramSignal } from '../app/signals.js';
import type { Environment } from '../config/variables.js';
import { KEEPER, onLines, type Report } from './keeper-words.js';
import { killAll, type ProcessTree, reapOrphans } from './processes.js';

/** How a program has ended. */
export interface Ending {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  /** How many of the processes that it had started did not end by themselves, and were ended. */
  left: number;
}

export interface RunningProgram {
  /** Sends a signal to the program and to all that it has started; SIGKILL also to what has left its process group. */
  send(signal: ProgramSignal): void;
  /** Told when nothing of it lives any more. @throws KasmDbError usage where it could not be started, failed where it is not known how it ended */
  ended: Promise<Ending>;
}

/**
 * Starts a program in the care of a process of ours that ends it when this one is gone. Its standard input is empty. What it writes does not pass
 * through us, so that it waits for whoever reads it, and nobody's memory grows.
 * @param program its path
 * @param output descriptor that its standard output becomes
 */
export function startProgram(
  program: string,
  args: readonly string[],
  env: Environment,
  output: 1 | 2,
): RunningProgram {
  const tree: ProcessTree = { pid: undefined, mark: randomUUID() };
  const [runtime, ...self] = ourselves();
  const keeper = spawn(runtime, [...self, KEEPER, tree.mark, program, ...args], {
    env,
    stdio: ['pipe', 'pipe', 2, output],
    detached: true,
  });
  const orders = keeper.stdin as Writable;
  // A keeper that is gone takes no orders; how it ended is told below.
  orders.on('error', () => {});
  const reports: Report[] = [];
  onLines(keeper.stdout as Readable, (line) => {
    const report = JSON.parse(line) as Report;
    reports.push(report);
    if (report.told === 'started') tree.pid = report.pid;
  });
  const orphans = reapOrphans(keeper.pid);
  const closed = once(keeper, 'close').finally(async () => (await orphans)());
  return {
    send: (signal) => orders.write(`${signal}\n`),
    ended: closed.then(() => endingOf(program, reports, tree)),
  };
}

async function endingOf(program: string, reports: readonly Report[], tree: ProcessTree): Promise<Ending> {
  const find = <T extends Report['told']>(told: T) =>
    reports.find((report) => report.told === told) as Extract<Report, { told: T }> | undefined;
  const refused = find('refused');
  if (refused) {
    throw new KasmDbError('usage', `${program} cannot be started (${refused.message})`, {
      hint: 'is it made for this system and processor, and is the interpreter that its first line names there?',
    });
  }
  const [ended, gone] = [find('ended'), find('gone')];
  if (ended && gone) return { exitCode: ended.exitCode, signal: ended.signal, left: gone.left };
  await killAll(tree);
  throw new KasmDbError('failed', `the process that kept ${program} was killed, so the program was killed too`, {
    hint: 'was there too little memory? Then run the same command again',
  });
}

/** How this very program is started again. */
function ourselves(): [string, ...string[]] {
  // The standalone executable has its files in a folder that only it sees.
  if (import.meta.dirname.startsWith('/$bunfs')) return [process.execPath];
  return [process.execPath, join(import.meta.dirname, 'kasm-db.mjs')];
}
