import { chmodSync, existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { KasmDbError } from '../app/errors.js';
import type { RunEvents } from '../app/events.js';
import type { ConnectionFlags } from '../config/places.js';
import { type Account, embeddedBinaries, serverAccount } from './binaries.js';
import { claim, release } from './claim.js';
import { dataFolder, give, makeData } from './data-folder.js';
import { generatedSecrets } from './generated-secrets.js';
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
 * @throws KasmDbError environment; usage where the folder cannot be used; locked when another kasm-db uses it
 */
export async function startEmbedded(folder: string, signal: AbortSignal, events: RunEvents): Promise<EmbeddedServer> {
  try {
    return await start(folder, signal, events);
  } catch (cause) {
    if (!(cause instanceof Error && 'syscall' in cause && 'path' in cause)) throw cause;
    throw new KasmDbError('usage', `--embedded: cannot use ${folder} (${cause.message})`, {
      hint: 'give --embedded a folder that this user may make and write',
      cause,
    });
  }
}

async function start(folder: string, signal: AbortSignal, events: RunEvents): Promise<EmbeddedServer> {
  if (process.platform === 'win32')
    throw new KasmDbError('environment', '--embedded does not run on Windows', { hint: 'use WSL' });
  const account = serverAccount();
  const native = embeddedBinaries(account, process.versions.bun ? process.execPath : import.meta.filename);
  const data = dataFolder(resolve(folder), account);
  await claim(data, signal);
  let sockets: string | undefined;
  const cleanUp = () => {
    process.off('exit', cleanUp);
    if (sockets !== undefined) rmSync(sockets, { recursive: true, force: true });
    release(data);
  };
  // Where the time after a signal is over before the server has ended.
  process.once('exit', cleanUp);
  try {
    if (!existsSync(join(data, 'PG_VERSION'))) {
      events.progress?.(`making a private PostgreSQL in ${folder}`);
      await makeCluster(native, data, account, signal);
    }
    signal.throwIfAborted();
    // Path length of a Unix socket is limited to 107 bytes, so it can't be in the data folder.
    sockets = mkdtempSync(join(tmpdir(), 'kasm-db-'));
    give(sockets, account);
    chmodSync(sockets, 0o700);
    const args = ['-k', sockets, '-c', 'listen_addresses=', '-c', 'logging_collector=off'];
    const server = await startServer(native, data, account, args, signal);
    await createDatabase(sockets).catch(async (error) => {
      await server.stop();
      throw error;
    });
    return {
      flags: { host: sockets, port: '5432', user: USER, dbname: DATABASE, sslmode: 'disable' },
      generatedSecrets: async () => {
        const file = `${resolve(folder)}.credentials`;
        const secrets = generatedSecrets(file);
        events.progress?.(`passwords and tokens of this database are in ${file}`);
        return secrets;
      },
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

/** A cluster that is whole or not there: initdb works beside it, and may be killed. */
async function makeCluster(
  native: string,
  data: string,
  account: Account | undefined,
  signal: AbortSignal,
): Promise<void> {
  const args = [`--username=${USER}`, '--auth=trust', '--no-sync'];
  const half = `${data}.new-${process.pid}`;
  makeData(half, account);
  try {
    await initdb(native, half, account, args, signal);
    // rename() takes the place of an empty folder, and refuses one with something in it.
    renameSync(half, data);
  } catch (error) {
    rmSync(half, { recursive: true, force: true });
    const code = (error as NodeJS.ErrnoException).code;
    // A mount point can't be replaced.
    if (code === 'EBUSY') return initdb(native, data, account, args, signal);
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
