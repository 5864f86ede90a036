import pg from 'pg';
import { afterEach, describe, expect, inject, it } from 'vitest';
import * as library from '../../src/index.js';
import type { ErrorInfo } from '../../src/output/result.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase, type TestDatabase, type Version, waitFor } from '../support/database.js';
import { ONE, TWO } from '../support/migrations.js';
import { hasPgbouncer, startPgbouncer, type TestPooler } from '../support/pgbouncer.js';
import { withEnoughTime } from '../support/time.js';

const VERSIONS: Version[] = [13, 15, 18];

/** What a check says of a server that does not let us in. */
async function refused(db: TestDatabase, env: Record<string, string> = {}): Promise<ErrorInfo> {
  const result = await withEnoughTime(
    (connectTimeout) => library.check({ env: { ...db.env, ...env }, connectTimeout }),
    ({ error }) => error?.message ?? '',
  );
  expect(result.exitCode).toBe(4);
  return result.error as ErrorInfo;
}

describe.each(VERSIONS)('PostgreSQL %i › a login that is refused › the hint is that of the cause', (version) => {
  let db: TestDatabase;
  const undo: string[] = [];
  afterEach(async () => {
    for (const sql of undo.splice(0)) await adminQuery(db, sql);
  });
  const database = async () => {
    db ??= await createDatabase(version);
    return db;
  };
  it.each<[string, cause: (db: TestDatabase) => [string, string], sqlstate: string, hint: RegExp]>([
    [
      "the role's own limit",
      ({ user }) => [`ALTER ROLE ${user} CONNECTION LIMIT 0`, `ALTER ROLE ${user} CONNECTION LIMIT -1`],
      '53300',
      /^this role's own limit is reached: ALTER ROLE "\w+" CONNECTION LIMIT/,
    ],
    [
      "the database's own limit",
      ({ name }) => [`ALTER DATABASE ${name} CONNECTION LIMIT 0`, `ALTER DATABASE ${name} CONNECTION LIMIT -1`],
      '53300',
      /^this database's own limit is reached: ALTER DATABASE "\w+" CONNECTION LIMIT/,
    ],
    [
      'NOLOGIN',
      ({ user }) => [`ALTER ROLE ${user} NOLOGIN`, `ALTER ROLE ${user} LOGIN`],
      '28000',
      /may not log in: ALTER ROLE "\w+" LOGIN/,
    ],
    [
      'REVOKE CONNECT',
      ({ name, user }) => [
        `REVOKE CONNECT ON DATABASE ${name} FROM PUBLIC, ${user}`,
        `GRANT CONNECT ON DATABASE ${name} TO PUBLIC`,
      ],
      '42501',
      /GRANT CONNECT ON DATABASE "\w+" TO "\w+"/,
    ],
    [
      'ALLOW_CONNECTIONS false',
      ({ name }) => [`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`, `ALTER DATABASE ${name} ALLOW_CONNECTIONS true`],
      '55000',
      /ALTER DATABASE "\w+" ALLOW_CONNECTIONS true/,
    ],
    [
      'a library that is not there',
      ({ name }) => [
        `ALTER DATABASE ${name} SET session_preload_libraries = 'not_there'`,
        `ALTER DATABASE ${name} RESET session_preload_libraries`,
      ],
      '58P01',
      /session_preload_libraries .* RESET session_preload_libraries/,
    ],
  ])('%s', async (_name, cause, sqlstate, hint) => {
    const [make, back] = cause(await database());
    undo.push(back);
    await adminQuery(db, make);
    const error = await refused(db);
    expect(error).toMatchObject({ sqlstate, hint: expect.stringMatching(hint) });
    expect(error.message).toContain(`(SQLSTATE ${sqlstate})`);
    if (sqlstate === '42501') expect(error.detail).toMatch(/CONNECT/);
  });

  it('a database called "*", and a password with a line break at its end', async () => {
    await database();
    expect(await refused(db, { POSTGRES_DB: '*' })).toMatchObject({
      sqlstate: '3D000',
      hint: expect.stringMatching(/^"\*" is what a superuser's Secret says/),
    });
    const error = await refused(db, { POSTGRES_PASSWORD: `${db.password}\n` });
    expect(error).toMatchObject({
      sqlstate: '28P01',
      hint: expect.stringMatching(/^the password \(POSTGRES_PASSWORD\) ends with a line break/),
    });
    expect((await refused(db, { POSTGRES_PASSWORD: 'wrong-one' })).hint).toMatch(/^check user and password/);
  });
});

it('bootstrap makes no database called "*"', async () => {
  const db = await createDatabase();
  const env = { ...db.env, POSTGRES_DB: '*', DATABASE_MASTER_USER: db.user, DATABASE_MASTER_PASSWORD: db.password };
  expect(await library.bootstrap({ env })).toMatchObject({
    exitCode: 2,
    error: { message: 'dbname "*" names no database' },
  });
});

describe.each(VERSIONS)('PostgreSQL %i › an event trigger of the host', (version) => {
  const trigger = (raise: string, tags = '') => `CREATE FUNCTION public.no_ddl() RETURNS event_trigger LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'not here' USING ${raise}; END $$;
    CREATE EVENT TRIGGER host_guard ON ddl_command_start ${tags} EXECUTE FUNCTION public.no_ddl()`;

  it('refuses the history, or a migration › it is named, with its own DETAIL and HINT', async () => {
    const db = await createDatabase(version);
    await db.superQuery(trigger("ERRCODE = '42501', DETAIL = 'policy 7', HINT = 'ask the platform team'"));
    const migrations = folder(TWO);
    const first = await library.migrate({ env: db.env, migrations });
    expect(first).toMatchObject({
      exitCode: 9,
      error: { sqlstate: '42501', detail: 'policy 7', context: expect.stringContaining('no_ddl()') },
    });
    expect(first.error?.message).toMatch(/event trigger host_guard of postgres/);
    expect(first.error?.hint).toMatch(/ALTER EVENT TRIGGER "host_guard" DISABLE.*ask the platform team/);
    expect(first.error?.hint).not.toMatch(/GRANT CREATE/);

    await db.superQuery('DROP EVENT TRIGGER host_guard; DROP FUNCTION public.no_ddl()');
    expect((await library.migrate({ env: db.env, migrations: folder(ONE) })).exitCode).toBe(0);
    await db.superQuery(trigger("ERRCODE = 'P0001'", "WHEN TAG IN ('CREATE TABLE')"));
    const second = await library.migrate({ env: db.env, migrations });
    expect(second).toMatchObject({ exitCode: 7, error: { sqlstate: 'P0001', migration: '0002_two', line: 1 } });
    expect(second.error?.message).toMatch(/event trigger host_guard/);
    expect((await db.query('SELECT phase, error FROM kasm_db.run'))[0]).toMatchObject({
      phase: 'failed',
      error: expect.stringContaining('host_guard'),
    });
  });
});

describe('what else the server says', () => {
  it('a WARNING is shown as one, without --verbose; a NOTICE is not', async () => {
    const db = await createDatabase();
    const sql = "DO $$ BEGIN RAISE WARNING 'mind this'; RAISE NOTICE 'by the way'; END $$;\n";
    const run = await cli(['migrate', '--migrations', folder({ '0001_it.sql': sql })], db.env);
    expect(run.code, run.stderr).toBe(0);
    expect(run.stderr).toContain('warning: the server says: mind this\n');
    expect(run.stderr).not.toContain('by the way');
    expect(run.stderr).not.toMatch(/no transaction in progress/);
  });

  it('DETAIL and the calls of CONTEXT stand below the message; of rows nothing does', async () => {
    const db = await createDatabase();
    await db.query(`CREATE TABLE users (id int PRIMARY KEY, name text);
      CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN INSERT INTO users VALUES (1, 's3cr3t-value'); END $$;
      CREATE FUNCTION g() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'no' USING DETAIL = 'because', HINT = 'wait'; END $$;
      INSERT INTO users VALUES (1, 's3cr3t-value')`);
    const run = await cli(['migrate', '--migrations', folder({ '0001_it.sql': 'SELECT f();\n' })], db.env);
    expect(run.code).toBe(7);
    expect(run.stderr).toMatch(/context: PL\/pgSQL function f\(\) line 1/);
    expect(run.stderr).not.toContain('s3cr3t-value');
    const raised = await cli(['migrate', '--migrations', folder({ '0001_it.sql': 'SELECT public.g();\n' })], db.env);
    expect(raised.stderr).toMatch(/\ndetail: because\n/);
    expect(raised.stderr).toMatch(/\nnext: .*PostgreSQL says: wait\n/);
  });

  it('why it ended a session while nothing was asked', async () => {
    const db = await createDatabase();
    expect((await library.migrate({ env: db.env, migrations: folder(ONE) })).exitCode).toBe(0);
    const blocker = await db.connect();
    await blocker.query('BEGIN; SELECT FROM one');
    const files = folder({ ...ONE, '0002_alter.sql': 'ALTER TABLE one ADD y int;\n' });
    const run = library.migrate({ env: db.env, migrations: files });
    const idle = `FROM pg_stat_activity WHERE datname = '${db.name}' AND state = 'idle' AND query = 'SET idle_session_timeout = 0' AND application_name LIKE 'kasm-db%'`;
    await waitFor(() => db.superQuery(`SELECT pid ${idle}`), 'the run to rest between two attempts');
    await db.superQuery(`SELECT pg_terminate_backend(pid) ${idle}`);
    await blocker.end();
    const { error, exitCode } = await run;
    expect(exitCode).toBe(4);
    expect(error).toMatchObject({ sqlstate: '57P01', message: expect.stringMatching(/administrator command/) });
  });
});

describe.runIf(hasPgbouncer())('a pooler speaks for itself › it is named, with the way around it', () => {
  const open: TestPooler[] = [];
  afterEach(async () => {
    for (const pooler of open.splice(0)) await pooler.stop();
  });
  const through = async (db: TestDatabase, ...settings: string[]) => {
    const pooler = await startPgbouncer(db, 'transaction', settings);
    open.push(pooler);
    return pooler.env;
  };
  const hint = (words: RegExp) => expect.stringMatching(new RegExp(`${words.source}.*KASM_DB_DIRECT_URL`));

  it('query_timeout ends a migration', async () => {
    const db = await createDatabase();
    const env = await through(db, 'query_timeout = 1');
    const migrations = folder({ '0001_slow.sql': 'SELECT pg_sleep(20);\n' });
    expect(await library.migrate({ env, migrations })).toMatchObject({
      exitCode: 4,
      error: { message: expect.stringContaining('query timeout'), hint: hint(/query_timeout/) },
    });
  });

  it('query_wait_timeout: the pool is used up', async () => {
    const db = await createDatabase();
    const env = await through(db, 'query_wait_timeout = 1', 'max_db_connections = 1');
    const holder = await hold(db, env);
    await holder.query('BEGIN');
    expect(await library.check({ env, connectTimeout: '3s' })).toMatchObject({
      exitCode: 4,
      error: { message: expect.stringContaining('query_wait_timeout'), hint: hint(/larger pool/) },
    });
    await holder.end();
  });

  it('disable_pqexec: nothing but another setting helps, so it is 9 at once', async () => {
    const db = await createDatabase();
    const env = await through(db, 'disable_pqexec = 1');
    const result = await library.migrate({ env, migrations: folder(ONE), connectTimeout: '60s' });
    expect(result).toMatchObject({ exitCode: 9, error: { hint: hint(/disable_pqexec/) } });
    expect(result.durationMs).toBeLessThan(30_000);
  });

  it('max_client_conn', async () => {
    const db = await createDatabase();
    const env = await through(db, 'max_client_conn = 1');
    const holder = await hold(db, env);
    const result = await withEnoughTime(
      (connectTimeout) => library.check({ env, connectTimeout }),
      ({ error }) => error?.message ?? '',
    );
    expect(result).toMatchObject({
      exitCode: 4,
      error: { message: expect.stringContaining('max_client_conn'), hint: hint(/max_client_conn/) },
    });
    await holder.end();
  });
});

/** A client that keeps its place. */
async function hold({ user, password, name }: TestDatabase, env: Record<string, string>): Promise<pg.Client> {
  const at = { host: '127.0.0.1', port: Number(env.POSTGRES_PORT), ssl: false };
  const client = new pg.Client({ ...at, user, password, database: name });
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** As superuser in database postgres: nobody may get into the other one. */
async function adminQuery(db: TestDatabase, sql: string): Promise<void> {
  const admin = new pg.Client({
    host: '127.0.0.1',
    port: db.port,
    user: 'postgres',
    password: inject('servers')[db.version]?.password as string,
    database: 'postgres',
    ssl: false,
  });
  await admin.connect();
  await admin.query(sql);
  await admin.end();
}
