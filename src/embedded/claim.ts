import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KasmDbError } from '../app/errors.js';
import { sleep } from '../app/time.js';
import { readOwnFile } from './data-folder.js';

const ownerFile = (data: string) => `${data}.owner`;

/**
 * One kasm-db at a time; a server that a killed one left behind is ended first.
 * @param data the cluster's folder
 * @throws KasmDbError locked when another kasm-db uses it; the signal's reason
 */
export async function claim(data: string, signal: AbortSignal): Promise<void> {
  const file = ownerFile(data);
  for (;;) {
    try {
      writeFileSync(file, `${process.pid} ${bornAt(process.pid)}`, { flag: 'wx' });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const [owner = '', born] = readOwnFile(file).bytes.toString().split(' ');
    if (isAlive(Number(owner)) && bornAt(Number(owner)) === born) {
      throw new KasmDbError('locked', `the embedded server in ${data} is used by another kasm-db (PID ${owner})`, {
        hint: 'wait until it has ended',
      });
    }
    rmSync(file, { force: true });
  }
  const pidFile = join(data, 'postmaster.pid');
  const left = existsSync(pidFile) ? Number(readOwnFile(pidFile).bytes.toString().split('\n')[0]) : 0;
  if (!isServer(left, data)) return;
  process.kill(left, 'SIGINT');
  try {
    for (let i = 0; i < 100 && isServer(left, data); i++) await sleep(100, signal);
  } catch (error) {
    release(data);
    throw error;
  }
}

/** Another kasm-db may have it. */
export function release(data: string): void {
  rmSync(ownerFile(data), { force: true });
}

function isAlive(pid: number): boolean {
  if (!pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** When a process began, in the kernel's ticks: with its number it is the same process, for numbers are used again. '' without /proc. */
function bornAt(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

/** Is this process the server of this folder? A number in an old postmaster.pid may be someone else's by now. */
function isServer(pid: number, data: string): boolean {
  if (!isAlive(pid)) return false;
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(data);
  } catch {
    // Without /proc (macOS) the number has to be believed.
    return !existsSync('/proc/self');
  }
}
