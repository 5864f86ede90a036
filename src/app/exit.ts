import { kill, pid } from 'node:process';
import { cameSignal, leaveSignalsToSystem } from './signals.js';

/** Work that is going on in threads of Node's own. */
let atWork = 0;

/** Counts work that Node does in a thread of its own: asking the system's name server, making a key. */
export async function onThread<T>(work: Promise<T>): Promise<T> {
  atWork++;
  try {
    return await work;
  } finally {
    atWork--;
  }
}

/**
 * Ends this process, whose result is printed. Node's process.exit waits for its threads (uv_library_shutdown of libuv): for a name server that does not answer, for a
 * key that takes its time. After a signal there is no such time, so the system ends the process by that very signal, which to a shell and to Kubernetes is the same exit code. Bun
 * does not wait; as PID 1 nobody can be ended so.
 */
export function exit(code: number): never {
  const name = cameSignal();
  if (name !== undefined && atWork > 0 && !process.versions.bun && pid !== 1) {
    leaveSignalsToSystem();
    kill(pid, name);
  }
  return process.exit(code);
}
