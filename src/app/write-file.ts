import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { pauseSync } from './time.js';
import { formatMs } from './when.js';

/** Whoever reads a pipe has so long to take some of it, in milliseconds: meanwhile no signal is handled. */
const PIPE_MS = 1000;
const PIPE_PAUSE_MS = 5;

const { O_WRONLY, O_CREAT, O_TRUNC, O_EXCL, O_NONBLOCK } = constants;

/**
 * Writes a file that a user has named, without waiting for anybody: a pipe that nobody reads cannot hang us.
 * @param fresh only a file that is not there yet (else an Error with code EEXIST)
 * @throws Error that says why, with `code` where the system refused
 */
export function writeFile(path: string, text: string, { fresh = false } = {}): void {
  const fd = open(path, O_WRONLY | O_CREAT | O_NONBLOCK | (fresh ? O_EXCL : O_TRUNC));
  try {
    let bytes = Buffer.from(text);
    let deadline = Date.now() + PIPE_MS;
    while (bytes.length > 0) {
      const written = writeOrWait(fd, bytes);
      if (written > 0) deadline = Date.now() + PIPE_MS;
      else if (Date.now() > deadline) throw new Error(`it is a pipe, and nothing was read for ${formatMs(PIPE_MS)}`);
      bytes = bytes.subarray(written);
    }
  } finally {
    closeSync(fd);
  }
}

function open(path: string, flags: number): number {
  try {
    return openSync(path, flags, 0o666);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error;
    throw new Error('it is a pipe that nobody reads, or a socket');
  }
}

/** @returns how many bytes were taken; 0: none for now */
function writeOrWait(fd: number, bytes: Buffer): number {
  try {
    return writeSync(fd, bytes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    pauseSync(PIPE_PAUSE_MS);
    return 0;
  }
}
