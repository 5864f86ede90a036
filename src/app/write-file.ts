import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { PIPE_MS, unlessNotReady } from './read-file.js';
import { formatMs } from './when.js';

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
      const written = unlessNotReady(() => writeSync(fd, bytes)) ?? 0;
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
