import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { KasmDbError, messageOf } from './errors.js';
import { pauseSync } from './time.js';
import { formatMs } from './when.js';

/** What a file of a kind may hold at most, in bytes. */
export const FILE_LIMITS = {
  secret: 64 << 10,
  /** Certificates, keys, revocation lists. */
  pem: 1 << 20,
  /** libpq's service and password files. */
  settings: 1 << 20,
  migration: 100 << 20,
  /** Kasm's documents of default rows, and its Export Configuration. */
  seeds: 8 << 20,
  /** Of a catalog. */
  snapshot: 64 << 20,
  /** Kasm's Export Schema. */
  schemaExport: 1 << 20,
} as const;

export type FileKind = keyof typeof FILE_LIMITS;

/** Whoever is at the other end of a pipe has so long, in milliseconds: meanwhile no signal is handled. */
export const PIPE_MS = 1000;
const PIPE_PAUSE_MS = 10;

/** A pipe gives its text once, and a Secret is read at every attempt. One that gave nothing is not waited for again soon: signals would wait with us. */
const pipes = new Map<string, FileContent | NothingCame>();
const NOT_AGAIN_MS = 10 * PIPE_MS;

export interface FileContent {
  bytes: Buffer;
  /** Of the file that was read, whatever stands at its path by now. */
  stats: Stats;
}

/**
 * Reads a file that a user has named. It is opened once, without waiting for anybody, and must be a plain file; a Secret may also come from a
 * pipe, such as the shell's `<(…)`. No file can hang us or fill the memory (a FIFO, /dev/zero, a folder).
 * @throws Error that says why, without the path; with `code` where the system refused
 */
export function readFile(path: string, kind: FileKind): FileContent {
  const before = pipes.get(path);
  if (before instanceof NothingCame) {
    if (Date.now() - before.at < NOT_AGAIN_MS) throw before;
  } else if (before) return before;
  const limit = FILE_LIMITS[kind];
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(fd);
    const pipe = kind === 'secret' && stats.isFIFO();
    if (!stats.isFile() && !pipe) throw new Error(`it is ${typeName(stats)}, not a file`);
    // Of files of /proc and of a pipe nobody knows the size.
    const bytes = readUpTo(fd, limit + 1, stats.size > 0 ? stats.size + 1 : 4096, pipe);
    if (bytes.length > limit) throw new Error(`it is larger than ${sizeText(limit)}`);
    const content = { bytes, stats };
    if (pipe) pipes.set(path, content);
    return content;
  } catch (error) {
    if (error instanceof NothingCame) pipes.set(path, error);
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** From a pipe, in its time. */
class NothingCame extends Error {
  readonly at = Date.now();

  constructor() {
    super(`nothing came for ${formatMs(PIPE_MS)}`);
  }
}

/**
 * The same for a file that a setting names.
 * @param cannot how the message begins: `sslcert: cannot use PATH`
 * @throws KasmDbError usage
 */
export function readSettingFile(path: string, kind: FileKind, cannot: string, hint: string): FileContent {
  try {
    return readFile(path, kind);
  } catch (cause) {
    throw new KasmDbError('usage', `${cannot} (${messageOf(cause)})`, { hint, cause });
  }
}

/** @param expected its size and one more byte, to see the end */
function readUpTo(fd: number, most: number, expected: number, pipe: boolean): Buffer {
  let buffer = Buffer.allocUnsafe(Math.min(most, expected));
  let size = 0;
  const deadline = Date.now() + PIPE_MS;
  while (size < most) {
    if (size === buffer.length) buffer = Buffer.concat([buffer], Math.min(most, size * 2));
    const got = unlessNotReady(() => readSync(fd, buffer, size, buffer.length - size, null));
    if (got === 0) break;
    if (got === undefined && (!pipe || Date.now() > deadline)) throw new NothingCame();
    size += got ?? 0;
  }
  return buffer.subarray(0, size);
}

/** A call on what was opened without waiting for anybody. @returns undefined, after a pause, where it has nothing to read or no room to write */
export function unlessNotReady(call: () => number): number | undefined {
  try {
    return call();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    pauseSync(PIPE_PAUSE_MS);
    return undefined;
  }
}

function typeName(stats: Stats): string {
  if (stats.isDirectory()) return 'a folder';
  if (stats.isFIFO()) return 'a pipe';
  return stats.isSocket() ? 'a socket' : 'a device';
}

function sizeText(bytes: number): string {
  return bytes >= 1 << 20 ? `${bytes >> 20} MB` : `${bytes >> 10} KB`;
}
