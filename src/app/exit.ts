import { kill, pid } from 'node:process';
import { endingSignal, isTimeUp, leaveSignalsToSystem } from './signals.js';
import { sleep } from './time.js';

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

const LOOK_MS = 10;

/**
 * Ends this process, whose result is printed. Node's process.exit waits for its threads (uv_library_shutdown of libuv): for a name server that does not answer, for a
 * key that takes its time. After a signal there is an end to that: then the system ends the process by that very signal, which to a shell and to Kubernetes is the same exit code.
 * Bun does not wait; as PID 1 nobody can be ended so.
 */
export async function exit(code: number): Promise<never> {
  const signal = endingSignal();
  if (signal?.exitCode !== code || process.versions.bun || pid === 1) return process.exit(code);
  while (atWork > 0 && !isTimeUp()) await sleep(LOOK_MS);
  if (atWork > 0) {
    leaveSignalsToSystem();
    kill(pid, signal.name);
  }
  return process.exit(code);
}
