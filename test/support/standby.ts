import { chmodSync, chownSync, cpSync, lchownSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { embeddedBinaries, serverAccount } from '../../src/embedded/binaries.js';
import { startServer } from '../../src/embedded/server-process.js';
import { waitFor } from './database.js';
import { freePort, startTestServer, type Version } from './server.js';

export interface Node {
  port: number;
  query(sql: string): Promise<Record<string, unknown>[]>;
  stop(): Promise<void>;
}

/** A primary and a hot standby that streams from it. */
export interface Cluster {
  primary: Node;
  standby: Node;
  /** Login as superuser to database postgres, without host and port. */
  env: Record<string, string>;
  password: string;
  /** Waits until the standby has replayed all that the primary has written. */
  caughtUp(): Promise<void>;
  /** Ends the primary (as by a crash), and makes the standby one. */
  failover(): Promise<void>;
  stop(): Promise<void>;
}

const SETTINGS = ['fsync=off', 'listen_addresses=127.0.0.1', 'wal_level=replica', 'max_connections=200'];

/** The npm packages have no pg_basebackup: the data of the stopped primary is copied. */
export async function startCluster(version: Version, scratch: string): Promise<Cluster> {
  const first = await startTestServer(version, scratch, SETTINGS);
  await first.stop();
  const { password } = first.info;
  const account = serverAccount();
  const native = embeddedBinaries(account, join(process.cwd(), 'test/.servers/package.json'), `postgres-${version}`);
  const data = join(scratch, `standby-${version}`, 'data');
  cpSync(first.data, data, { recursive: true });
  chmodSync(data, 0o700);
  writeFileSync(join(data, 'standby.signal'), '');
  writeFileSync(
    join(data, 'postgresql.auto.conf'),
    `primary_conninfo = 'host=127.0.0.1 port=${first.info.port} user=postgres password=${password} sslmode=disable'\nwal_retrieve_retry_interval = '200ms'\n`,
  );
  if (account) chownTree(dirname(data), account.uid, account.gid);

  const node = (folder: string, port: number): Node => {
    const end = new AbortController();
    const args = ['-p', String(port), '-k', dirname(folder), ...SETTINGS.flatMap((setting) => ['-c', setting])];
    // startServer waits for a server that takes writes; a standby never says so.
    const running = startServer(native, folder, account, args, end.signal).catch(() => undefined);
    return {
      port,
      query: (sql) => query(port, password, sql),
      stop: async () => {
        end.abort();
        await (await running)?.stop();
      },
    };
  };
  const primary = node(first.data, first.info.port);
  const standby = node(data, await freePort());
  const caughtUp = () =>
    waitFor(
      () =>
        primary
          .query(
            "SELECT FROM pg_stat_replication WHERE state = 'streaming' AND replay_lsn = pg_current_wal_insert_lsn()",
          )
          .catch(() => []),
      'the standby to have it all',
    );
  await caughtUp();
  return {
    primary,
    standby,
    password,
    env: { POSTGRES_DB: 'postgres', POSTGRES_USER: 'postgres', POSTGRES_PASSWORD: password },
    caughtUp,
    failover: async () => {
      await primary.stop();
      await standby.query('SELECT pg_promote(true)');
    },
    stop: async () => {
      await standby.stop();
      await primary.stop();
    },
  };
}

async function query(port: number, password: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'postgres',
    database: 'postgres',
    password,
    ssl: false,
  });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

function chownTree(path: string, uid: number, gid: number): void {
  chownSync(path, uid, gid);
  for (const entry of readdirSync(path, { withFileTypes: true, recursive: true })) {
    lchownSync(join(entry.parentPath, entry.name), uid, gid);
  }
}
