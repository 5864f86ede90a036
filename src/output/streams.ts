import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { isTimeUp, leaveSignalsToSystem } from '../app/signals.js';
import { pauseSync } from '../app/time.js';

/** Where text goes. */
export interface Sink {
  readonly isTTY: boolean;
  /** Of a terminal, which may change while it is used; undefined where there is none, or it doesn't say. */
  readonly columns?: number | undefined;
  /** Returns when all of it is written; what a reader that is gone would have got is dropped. */
  write(text: string): void;
  /** What kept it from being written, other than a reader that is gone. */
  readonly failure?: unknown;
}

/**
 * stdout or stderr by its descriptor. process.stdout and process.stderr would be made at their first mention, with Node's stream, net and
 * tty modules: 2 ms of a check's 40 on Node, 12 of 30 in the standalone executable. Writing at once also means that no text is left
 * behind at exit, which Bun's process.stdout does not promise for a pipe that is read slowly.
 */
class Descriptor implements Sink {
  private tty: boolean | undefined;
  failure: unknown;

  private target: number | undefined;

  constructor(private readonly fd: 1 | 2) {}

  get isTTY(): boolean {
    this.tty ??= isTerminal(this.fd);
    return this.tty;
  }

  get columns(): number | undefined {
    // Node's own stream follows a window that changes.
    return this.isTTY ? (this.fd === 1 ? process.stdout : process.stderr).columns : undefined;
  }

  write(text: string): void {
    this.target ??= withoutBlocking(this.fd);
    let bytes = Buffer.from(text);
    let takeSignalsBack = () => {};
    let waiting = false;
    while (bytes.length > 0) {
      try {
        bytes = bytes.subarray(writeSync(this.target, bytes));
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code;
        // `kasm-db status | head`: the reader has what it wants. A run that writes must not end because its log is gone.
        if (code !== 'EAGAIN' && code !== 'EINTR') {
          if (code !== 'EPIPE') this.failure ??= error;
          break;
        }
        if (isTimeUp()) break;
        // Nobody reads for now, perhaps never again: no signal would be seen here.
        if (!waiting) takeSignalsBack = leaveSignalsToSystem();
        waiting = true;
        pauseSync(5);
      }
    }
    takeSignalsBack();
  }
}

/** A pipe that nobody reads would hold the process in the system, deaf to signals. Opened anew it is ours alone to make non-blocking (Linux). */
function withoutBlocking(fd: 1 | 2): number {
  try {
    return fstatSync(fd).isFIFO() ? openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK) : fd;
  } catch {
    return fd;
  }
}

export const stdout: Sink = new Descriptor(1);
export const stderr: Sink = new Descriptor(2);

/** /dev/null: major number 1, minor 3 (Linux, admin-guide/devices.txt). */
const LINUX_NULL = 0x103;

function isTerminal(fd: number): boolean {
  try {
    // The cheap questions first: node:tty loads node:net.
    const status = fstatSync(fd);
    return status.isCharacterDevice() && status.rdev !== LINUX_NULL && process.getBuiltinModule('node:tty').isatty(fd);
  } catch {
    return false;
  }
}
