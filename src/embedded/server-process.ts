import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { KasmDbError } from '../app/errors.js';
import { sleep } from '../app/time.js';
import type { Account } from './binaries.js';

/** A PostgreSQL server that we start, for --embedded and for the tests. */
export interface ServerProcess {
  pid: number;
  /** Last lines of its log. */
  log(): string;
  /** Fast shutdown: sessions are ended, data is written. */
  stop(): Promise<void>;
}

/**
 * Makes a database cluster.
 * @param native folder with bin, lib and share
 * @throws KasmDbError environment with initdb's own words; the signal's reason, when nothing of it is left
 */
export async function initdb(
  native: string,
  data: string,
  account: Account | undefined,
  args: string[],
  signal?: AbortSignal,
): Promise<void> {
  signal?.throwIfAborted();
  const child = start(native, 'initdb', ['-D', data, '--encoding=UTF8', '--locale=C', ...args], account);
  const output = collect(child);
  // With the server that it runs; it takes away what it has made.
  const end = () => killGroup(child, 'SIGTERM');
  signal?.addEventListener('abort', end, { once: true });
  const code = await ended(child);
  signal?.removeEventListener('abort', end);
  signal?.throwIfAborted();
  if (code !== 0)
    throw new KasmDbError('environment', `initdb failed: ${output().trim()}`, {
      hint: 'correct what it says; --embedded takes another folder',
    });
}

/**
 * Starts a server and waits until it says that it is ready.
 * @throws KasmDbError environment with the server's own words
 */
export async function startServer(
  native: string,
  data: string,
  account: Account | undefined,
  args: string[],
  signal?: AbortSignal,
): Promise<ServerProcess> {
  const child = start(native, 'postgres', ['-D', data, ...args], account);
  const output = collect(child);
  let exited = false;
  const end = ended(child).then((code) => {
    exited = true;
    return code;
  });
  const stop = async () => {
    if (!exited) child.kill('SIGINT');
    await end;
  };
  // The line is the same in every locale here: LC_ALL is C.
  while (!output().includes('database system is ready to accept connections')) {
    if (exited)
      throw new KasmDbError('environment', `the embedded PostgreSQL did not start: ${output().trim()}`, {
        hint: 'correct what it says; --embedded takes another folder',
      });
    try {
      await sleep(20, signal);
    } catch (error) {
      await stop();
      throw error;
    }
  }
  return { pid: child.pid as number, log: output, stop };
}

function start(native: string, program: string, args: string[], account: Account | undefined): ChildProcess {
  return spawn(join(native, 'bin', program), args, {
    ...(account ?? {}),
    // Any folder that the account may be in.
    cwd: '/',
    env: { LC_ALL: 'C', TZ: 'UTC', PATH: process.env.PATH ?? '', LD_LIBRARY_PATH: join(native, 'lib') },
    stdio: ['ignore', 'pipe', 'pipe'],
    // Ctrl-C belongs to us: we end the server in our own order.
    detached: true,
  });
}

/** Each leads a group of its own (detached). */
function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    // It has ended.
  }
}

const KEPT_CHARACTERS = 20_000;

function collect(child: ChildProcess): () => string {
  let text = '';
  const add = (chunk: Buffer) => {
    text = (text + chunk.toString('utf8')).slice(-KEPT_CHARACTERS);
  };
  child.stdout?.on('data', add);
  child.stderr?.on('data', add);
  child.on('error', (error) => add(Buffer.from(error.message)));
  return () => text;
}

/** Also where this process ends first (its time after a signal is over): it is told to end then. @returns its exit code */
function ended(child: ChildProcess): Promise<number | null> {
  const leave = () => killGroup(child, 'SIGINT');
  process.once('exit', leave);
  return new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null));
    child.once('exit', (code) => resolve(code));
  }).finally(() => process.off('exit', leave));
}
