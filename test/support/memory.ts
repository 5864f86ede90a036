import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** How much of a processor a child process has used so far, in milliseconds (Linux, where a tick is 10 ms). */
export function processorMs(child: Pick<ChildProcess, 'pid'>): number {
  const [, fields = ''] = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(/\) \S+ /);
  const [user = 0, system = 0] = fields.split(' ').slice(10, 12).map(Number);
  return (user + system) * 10;
}

/**
 * Watches how much of a processor a child process uses.
 * @returns reads it, in milliseconds
 */
export function watchProcessor(child: ChildProcess): () => number {
  let most = 0;
  const timer = setInterval(() => {
    most = processorMs(child);
  }, 20);
  child.once('exit', () => clearInterval(timer));
  return () => most;
}

/**
 * Watches how much memory a child process has had at most (Linux: VmHWM).
 * @returns reads it, in MB; 0 where nothing could be read
 */
export function watchMemory(child: ChildProcess): () => number {
  let most = 0;
  const look = () => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      most = Math.max(most, Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024);
    } catch {
      // It has ended.
    }
  };
  const timer = setInterval(look, 20);
  child.once('exit', () => clearInterval(timer));
  return () => most;
}
