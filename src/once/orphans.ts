import { deadChildren } from './processes.js';

/** How often, in milliseconds. */
const LOOK_MS = 1000;
/** waitpid(2): answer at once. */
const WNOHANG = 1;

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
  const timer = setInterval(() => {
    for (const pid of deadChildren()) if (pid !== keeper) symbols.waitpid(pid, null, WNOHANG);
  }, LOOK_MS);
  return () => clearInterval(timer);
}
