import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { serverAccount } from '../../src/embedded/binaries.js';

/** A program of somebody else's that runs until it is stopped. */
export interface Daemon {
  pid: number;
  running(): boolean;
  /** @param signal what it takes for "end in good order"; it is killed when it does not within ten seconds */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** Starts a program, not as root, with its output in a file. Tests that are interrupted leave none behind: it is told to end then. */
export function startDaemon(program: string, args: string[], log: string, env: Record<string, string> = {}): Daemon {
  const output = openSync(log, 'a');
  const child: ChildProcess = spawn('setpriv', ['--pdeathsig', 'TERM', program, ...args], {
    ...(serverAccount() ?? {}),
    cwd: '/',
    env: { PATH: process.env.PATH ?? '', LC_ALL: 'C.UTF-8', TZ: 'UTC', ...env },
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  let running = true;
  const ended = new Promise<void>((resolve) => {
    for (const event of ['exit', 'error'])
      child.once(event, () => {
        running = false;
        resolve();
      });
  });
  return {
    pid: child.pid as number,
    running: () => running,
    stop: async (signal = 'SIGTERM') => {
      if (running) child.kill(signal);
      const cut = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await ended;
      clearTimeout(cut);
    },
  };
}

/** Processes whose parent is `pid`, on Linux. */
export function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === pid)
    .map(Number);
}

function parentOf(pid: string): number | undefined {
  try {
    // pid (name) state ppid; a name may hold blanks and brackets.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined;
  }
}

/** Sends a signal to processes, of which some may have ended meanwhile. */
export function signal(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}
