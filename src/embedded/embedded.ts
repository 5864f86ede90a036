import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { KasmDbError } from '../app/errors.js';
import type { RunEvents } from '../app/events.js';
import { pauseSync } from '../app/time.js';
import type { ConnectionFlags } from '../config/places.js';
import { type Account, embeddedBinaries, passable, serverAccount, sharedFolder } from './binaries.js';
import { generatedSecret, readGenerated } from './generated-secrets.js';
import { readOwnFile } from './own-file.js';
import { initdb, startServer } from './server-process.js';

export interface EmbeddedServer {
  flags: ConnectionFlags;
  /** Passwords and tokens for seeding it; made once, in a file that only this user can read. */
  generatedSecrets(): Promise<ReadonlyMap<string, string>>;
  stop(): Promise<void>;
}

const USER = 'kasm';
const DATABASE = 'kasm';

/**
 * Starts a private PostgreSQL 16 on a folder; it listens on a Unix socket that only this user can reach, and nowhere else.
 * @param folder made when it isn't there
 * @throws KasmDbError environment; locked when another kasm-db uses the folder
 */
export async function startEmbedded(folder: string, signal: AbortSignal, events: RunEvents): Promise<EmbeddedServer> {
  if (process.platform === 'win32')
    throw new KasmDbError('environment', '--embedded does not run on Windows', { hint: 'use WSL' });
  const account = serverAccount();
  const native = embeddedBinaries(account, process.versions.bun ? process.execPath : import.meta.filename);
  const data = dataFolder(resolve(folder), account);
  claim(data);
  try {
    return await startClaimed(folder, data, native, account, signal, events);
  } catch (error) {
    rmSync(ownerFile(data), { force: true });
    throw error;
  }
}

async function startClaimed(
  folder: string,
  data: string,
  native: string,
  account: Account | undefined,
  signal: AbortSignal,
  events: RunEvents,
): Promise<EmbeddedServer> {
  if (!existsSync(join(data, 'PG_VERSION'))) {
    events.progress?.(`making a private PostgreSQL in ${folder}`);
    await makeCluster(data, native, account);
  }
  signal.throwIfAborted();
  const sockets = mkdtempSync(join(tmpdir(), 'kasm-db-'));
  // Path length of a Unix socket is limited to 107 bytes, so it can't be in the data folder.
  give(sockets, account);
  chmodSync(sockets, 0o700);
  const cleanUp = () => {
    rmSync(sockets, { recursive: true, force: true });
    rmSync(ownerFile(data), { force: true });
  };
  try {
    const server = await startServer(
      native,
      data,
      account,
      ['-k', sockets, '-c', 'listen_addresses=', '-c', 'logging_collector=off'],
      signal,
    );
    await createDatabase(sockets);
    return {
      generatedSecrets: async () => generateSecrets(`${resolve(folder)}.credentials`, events),
      flags: { host: sockets, port: '5432', user: USER, dbname: DATABASE, sslmode: 'disable' },
      stop: async () => {
        await server.stop();
        cleanUp();
      },
    };
  } catch (error) {
    cleanUp();
    throw error;
  }
}

const GENERATED_KEYS = ['admin-password', 'user-password', 'manager-token', 'service-token'];

async function generateSecrets(file: string, events: RunEvents): Promise<ReadonlyMap<string, string>> {
  if (!existsSync(file)) {
    const lines = GENERATED_KEYS.map((key) => `${key}: ${generatedSecret()}\n`);
    writeFileSync(file, lines.join(''), { mode: 0o600, flag: 'wx' });
  }
  events.progress?.(`passwords and tokens of this database are in ${file}`);
  return readGenerated(file);
}

/** A cluster that is whole or not there: initdb works beside it, and may be killed. */
async function makeCluster(data: string, native: string, account: Account | undefined): Promise<void> {
  const half = `${data}.new-${process.pid}`;
  makeData(half, account);
  try {
    await initdb(native, half, account, [`--username=${USER}`, '--auth=trust', '--no-sync']);
    // rename() takes the place of an empty folder, and refuses one with something in it.
    renameSync(half, data);
  } catch (error) {
    rmSync(half, { recursive: true, force: true });
    const code = (error as NodeJS.ErrnoException).code;
    // A mount point can't be replaced.
    if (code === 'EBUSY') return initdb(native, data, account, [`--username=${USER}`, '--auth=trust', '--no-sync']);
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    throw new KasmDbError('environment', `${data} holds something that is no PostgreSQL database`, {
      hint: 'give --embedded another folder',
    });
  }
}

async function createDatabase(host: string): Promise<void> {
  const { default: pg } = await import('pg');
  const client = new pg.Client({ host, port: 5432, user: USER, database: 'postgres', password: '', ssl: false });
  await client.connect();
  const { rows } = await client.query('SELECT FROM pg_database WHERE datname = $1', [DATABASE]);
  if (rows.length === 0) await client.query(`CREATE DATABASE ${DATABASE}`);
  await client.end();
}

/**
 * The cluster's real folder. When we are root and the server's account can't reach the wanted one (a home folder), it is made below
 * /var/lib/kasm-db, and the wanted one becomes a link to it.
 */
function dataFolder(wanted: string, account: Account | undefined): string {
  mkdirSync(dirname(wanted), { recursive: true });
  const link = lstatSync(wanted, { throwIfNoEntry: false });
  if (link?.isSymbolicLink()) {
    const target = resolve(dirname(wanted), readlinkSync(wanted));
    if (!existsSync(target)) makeData(target, account);
    return target;
  }
  if (link !== undefined && account && readdirSync(wanted).length === 0) give(wanted, account);
  if (link !== undefined || account === undefined || passable(dirname(wanted), account)) {
    if (link === undefined) makeData(wanted, account);
    return wanted;
  }
  const id = createHash('sha256').update(wanted).digest('hex').slice(0, 12);
  const data = join(sharedFolder(), `data-${id}`);
  if (!existsSync(data)) makeData(data, account);
  symlinkSync(data, wanted);
  return data;
}

function makeData(path: string, account: Account | undefined): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  give(path, account);
}

function give(path: string, account: Account | undefined): void {
  if (account) chownSync(path, account.uid, account.gid);
}

const ownerFile = (data: string) => `${data}.owner`;

/** One kasm-db at a time; a server that a killed one left behind is ended first. */
function claim(data: string): void {
  const file = ownerFile(data);
  for (;;) {
    try {
      writeFileSync(file, `${process.pid} ${bornAt(process.pid)}`, { flag: 'wx' });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const [owner = '', born] = readOwnFile(file).text.split(' ');
    if (isAlive(Number(owner)) && bornAt(Number(owner)) === born) {
      throw new KasmDbError('locked', `the embedded server in ${data} is used by another kasm-db (PID ${owner})`, {
        hint: 'wait until it has ended',
      });
    }
    rmSync(file, { force: true });
  }
  const pidFile = join(data, 'postmaster.pid');
  const left = existsSync(pidFile) ? Number(readOwnFile(pidFile).text.split('\n')[0]) : 0;
  if (!isServer(left, data)) return;
  process.kill(left, 'SIGINT');
  for (let i = 0; i < 100 && isServer(left, data); i++) pauseSync(100);
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
