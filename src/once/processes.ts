import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { sleep } from '../app/time.js';

/** Stands in the environment of the program and of all that it starts, so that what has left its process group is found too. */
export const MARK = 'KASM_DB_ONCE';

/** A program and what it has started. */
export interface ProcessTree {
  /** Of the program, whose process group has the same number; undefined: it is not known. */
  pid: number | undefined;
  /** Value of the variable MARK in its environment. */
  mark: string;
}

/** How often it is looked whether they are gone, and whether there are orphans, in milliseconds. */
const LOOK_MS = 50;
const REAP_MS = 1000;
/** waitpid(2): answer at once. */
const WNOHANG = 1;

/** @returns PIDs of those that live; where no /proc tells, the group's number as long as it has anybody */
function living(tree: ProcessTree): number[] {
  if (hasProc()) return numbersIn('/proc').filter((pid) => belongs(pid, tree));
  return tree.pid !== undefined && send(-tree.pid, 0) ? [-tree.pid] : [];
}

/** Sends a signal to the whole group, and to those that have left it. */
export function signalAll(tree: ProcessTree, signal: NodeJS.Signals): void {
  if (tree.pid !== undefined) send(-tree.pid, signal);
  for (const pid of living(tree)) if (tree.pid === undefined || groupOf(pid) !== tree.pid) send(pid, signal);
}

/** Waits until none lives. @returns how many still do when the time is up */
export async function untilGone(tree: ProcessTree, ms: number): Promise<number> {
  for (let left = ms; ; left -= LOOK_MS) {
    const count = living(tree).length;
    if (count === 0 || left <= 0) return count;
    await sleep(LOOK_MS);
  }
}

/** Kills until none lives: one may start another one meanwhile. @returns how many were left, such as one that a broken disk keeps */
export async function killAll(tree: ProcessTree): Promise<number> {
  for (let attempts = 0; ; attempts++) {
    signalAll(tree, 'SIGKILL');
    const left = await untilGone(tree, LOOK_MS);
    if (left === 0 || attempts === 100) return left;
  }
}

function belongs(pid: number, { pid: group, mark }: ProcessTree): boolean {
  if (pid === process.pid) return false;
  if (group !== undefined && groupOf(pid) === group) return true;
  // That of a dead one is empty, that of another account's process cannot be read.
  return read(`/proc/${pid}/environ`)?.split('\0').includes(`${MARK}=${mark}`) ?? false;
}

/** Of a process that lives: one that has ended and that nobody has asked about yet (Z) does nothing any more. */
function groupOf(pid: number): number | undefined {
  const [state, , group] = statOf(pid);
  return state === undefined || state === 'Z' || state === 'X' ? undefined : Number(group);
}

/** State, parent, process group and so on: what follows the name, which may hold anything (proc_pid_stat(5)). */
function statOf(pid: number): string[] {
  const stat = read(`/proc/${pid}/stat`);
  return stat === undefined ? [] : stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/**
 * As the first process of a container we inherit every process whose parent has ended, and each keeps its number until somebody asks how it has
 * ended. Node knows its own children alone and has no such call; the standalone executable, which is what the image has, calls the C library's. On
 * Node they stay until the container ends.
 * @param keeper whose end is asked for elsewhere
 * @returns ends that
 */
export async function reapOrphans(keeper: number | undefined): Promise<() => void> {
  if (process.pid !== 1 || !process.versions.bun) return () => {};
  const { dlopen } = await import('bun:ffi');
  const { symbols } = dlopen('libc.so.6', { waitpid: { args: ['i32', 'ptr', 'i32'], returns: 'i32' } });
  const isOrphan = (pid: number) => {
    const [state, parent] = statOf(pid);
    return pid !== keeper && state === 'Z' && Number(parent) === process.pid;
  };
  const timer = setInterval(() => {
    for (const pid of numbersIn('/proc').filter(isOrphan)) symbols.waitpid(pid, null, WNOHANG);
  }, REAP_MS);
  return () => clearInterval(timer);
}

/** macOS has none, and one of another PID namespace has other numbers. */
function hasProc(): boolean {
  try {
    return readlinkSync('/proc/self') === String(process.pid);
  } catch {
    return false;
  }
}

function numbersIn(folder: string): number[] {
  return readdirSync(folder)
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}

function send(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
