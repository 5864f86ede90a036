import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, inject } from 'vitest';
import { SECRET_MARK } from './global-setup.js';
import { rounds } from './rounds.js';
import { VERSIONS, type Version } from './server.js';

export { VERSIONS, type Version };

/** The version for tests that don't depend on it. */
export const DEFAULT_VERSION: Version = 16;

/** For what each version may do in its own way: the oldest and the newest, and all of them in `npm run test:stress`. */
export const OLDEST_AND_NEWEST = rounds<readonly Version[]>([13, 18], VERSIONS);

export interface TestDatabase {
  name: string;
  user: string;
  password: string;
  port: number;
  version: Version;
  /** Connection settings as kasm-db reads them. */
  env: Record<string, string>;
  /** Runs SQL as the owner of the database (or as superuser) on a connection of its own. */
  query<R extends pg.QueryResultRow = Record<string, unknown>>(sql: string, values?: unknown[]): Promise<R[]>;
  superQuery<R extends pg.QueryResultRow = Record<string, unknown>>(sql: string, values?: unknown[]): Promise<R[]>;
  /** A connection as the owner; end it yourself. */
  connect(): Promise<pg.Client>;
}

// A full run makes a thousand databases, in memory: each file drops its own.
const drops: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const drop of drops.splice(0)) await drop();
});

/** A new, empty database owned by a role of its own that is no superuser. */
export async function createDatabase(version: Version = DEFAULT_VERSION): Promise<TestDatabase> {
  const server = inject('servers')[version];
  if (!server) throw new Error(`no PostgreSQL ${version} is running`);
  const name = `db_${randomBytes(5).toString('hex')}`;
  const user = `app_${name}`;
  const password = `${SECRET_MARK}${randomBytes(9).toString('hex')}`;
  const client = async (login: { user: string; password: string; database: string }) => {
    const connection = new pg.Client({ host: '127.0.0.1', port: server.port, ssl: false, ...login });
    connection.on('error', () => {});
    await connection.connect();
    return connection;
  };
  const once = async <R extends pg.QueryResultRow>(
    login: Parameters<typeof client>[0],
    sql: string,
    values?: unknown[],
  ) => {
    const connection = await client(login);
    try {
      return (await connection.query<R>(sql, values)).rows;
    } finally {
      await connection.end();
    }
  };
  const admin = { user: 'postgres', password: server.password, database: 'postgres' };
  await once(admin, `CREATE ROLE ${user} LOGIN PASSWORD '${password}'`);
  await once(admin, `CREATE DATABASE ${name} OWNER ${user}`);
  // Where it can't be dropped, as with a prepared transaction, the end of the server ends it.
  drops.push(async () => void (await once(admin, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`).catch(() => {})));
  const owner = { user, password, database: name };
  return {
    name,
    user,
    password,
    port: server.port,
    version,
    env: {
      POSTGRES_HOST: '127.0.0.1',
      POSTGRES_PORT: String(server.port),
      POSTGRES_DB: name,
      POSTGRES_USER: user,
      POSTGRES_PASSWORD: password,
    },
    query: (sql, values) => once(owner, sql, values),
    superQuery: (sql, values) => once({ ...admin, database: name }, sql, values),
    connect: () => client(owner),
  };
}

/** Waits until a query on the server answers with at least one row. */
export async function waitFor(look: () => Promise<unknown[]>, what: string, timeoutMs = 90_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    if ((await look()).length > 0) return;
    if (performance.now() > end) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
