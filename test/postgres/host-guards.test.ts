import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import * as library from '../../src/index.js';
import type { CheckLine } from '../../src/output/result.js';
import { ENGINE_VERSIONS } from '../fixtures/kasm/observe.js';
import { cli, folder, startCli } from '../support/cli.js';
import { createDatabase, type TestDatabase, type Version, waitFor } from '../support/database.js';
import { ONE, TWO } from '../support/migrations.js';
import { startProxy } from '../support/proxy.js';
import { startTestServer } from '../support/server.js';
import { error, ready } from '../support/wire.js';

const VERSIONS: Version[] = [13, 15, 18];
const UUID = { '0001_extensions.sql': 'CREATE EXTENSION IF NOT EXISTS "uuid-ossp";\nCREATE TABLE one (x int);\n' };

const migrate = (db: TestDatabase, files: Record<string, string> = TWO, lockTimeout = '60s') =>
  library.migrate({ env: db.env, migrations: folder(files), lockTimeout });

/** Lines of doctor about one thing. */
async function doctor(env: Record<string, string>, name: string, files: Record<string, string> = TWO) {
  const run = await cli(['doctor', '--no-seed', '--json', '--migrations', folder(files)], env);
  const lines = run.json().checks?.filter((line) => line.name === name) as CheckLine[];
  return { code: run.code, lines };
}

const open: { end(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.end();
});

describe.each(VERSIONS)('PostgreSQL %i › default_transaction_read_only', (version) => {
  it('of the database is whoever wants no writes: 9, naming it, and doctor says so; of the role: a warning', async () => {
    const db = await createDatabase(version);
    await db.superQuery(`ALTER DATABASE ${db.name} SET default_transaction_read_only = on`);
    expect(await migrate(db)).toMatchObject({
      exitCode: 9,
      error: {
        message: expect.stringMatching(/^default_transaction_read_only is on, set for the database/),
        hint: expect.stringContaining(`ALTER DATABASE "${db.name}" RESET default_transaction_read_only`),
      },
    });
    expect(await db.query("SELECT FROM pg_namespace WHERE nspname = 'kasm_db'")).toEqual([]);
    const asked = await doctor(db.env, 'read-only');
    expect(asked).toMatchObject({
      code: 9,
      lines: [{ state: 'failed', text: expect.stringContaining('the database') }],
    });

    await db.superQuery(`BEGIN READ WRITE; ALTER DATABASE ${db.name} RESET default_transaction_read_only; COMMIT`);
    await db.superQuery(`ALTER ROLE ${db.user} SET default_transaction_read_only = on`);
    const run = await cli(['migrate', '--json', '--migrations', folder(TWO)], db.env);
    expect(run.code, run.stderr).toBe(0);
    expect(run.stderr).toMatch(/warning: default_transaction_read_only is on, set for the role/);
    expect(await doctor(db.env, 'read-only')).toMatchObject({ code: 0, lines: [{ state: 'warning' }] });
  });
});

it('default_transaction_read_only of the server: 9 from each command that writes', async () => {
  const scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kasm-db-read-only-'));
  const server = await startTestServer(16, scratch, ['default_transaction_read_only=on']);
  open.push({ end: () => server.stop().then(() => rmSync(scratch, { recursive: true, force: true })) });
  const login = { POSTGRES_USER: 'postgres', POSTGRES_PASSWORD: server.info.password };
  const env = {
    POSTGRES_HOST: '127.0.0.1',
    POSTGRES_PORT: String(server.info.port),
    POSTGRES_DB: 'postgres',
    ...login,
  };
  const migrations = folder(ONE);
  const guarded = { exitCode: 9, error: { message: expect.stringMatching(/set for the server/) } };
  expect(await library.migrate({ env, migrations })).toMatchObject(guarded);
  expect(await library.rollback({ env, migrations, steps: 1 })).toMatchObject(guarded);
  expect(await library.repair({ env, migrations, applied: '0001_one', yes: true })).toMatchObject(guarded);
  const admin = { DATABASE_MASTER_USER: 'postgres', DATABASE_MASTER_PASSWORD: server.info.password };
  const wanted = { POSTGRES_DB: 'kasm', POSTGRES_USER: 'kasmapp', POSTGRES_PASSWORD: 's3cr3t-app' };
  expect(await library.bootstrap({ env: { ...env, ...wanted, ...admin } })).toMatchObject(guarded);
});

it.each([
  'DROP EXTENSION IF EXISTS citext;',
  'DROP /* and its functions */ SCHEMA public CASCADE; CREATE SCHEMA public;',
  "DO $$ BEGIN EXECUTE 'DROP EXTENSION citext'; END $$;",
])('an extension that a file drops (%s) and makes anew is there afterwards', async (drop) => {
  const db = await createDatabase();
  await db.superQuery(`ALTER SCHEMA public OWNER TO ${db.user}`);
  const create = 'CREATE EXTENSION IF NOT EXISTS citext;\n';
  expect(await migrate(db, { '0001_x.sql': create, '0002_y.sql': `${drop}\n${create}` })).toMatchObject({
    exitCode: 0,
  });
  expect(await db.query("SELECT extname FROM pg_extension WHERE extname = 'citext'")).toHaveLength(1);
});

describe.each(VERSIONS)('PostgreSQL %i › a host that refuses CREATE EXTENSION even with IF NOT EXISTS', (version) => {
  it("9 with the host's own HINT, as doctor has asked; once an admin has made it, nobody asks", async () => {
    const db = await createDatabase(version);
    await db.superQuery(`CREATE FUNCTION public.allowed() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
      IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RAISE EXCEPTION 'extension is not allow-listed' USING ERRCODE = '0A000', HINT = 'see azure.extensions';
      END IF; END $$;
      CREATE EVENT TRIGGER allowed ON ddl_command_start WHEN TAG IN ('CREATE EXTENSION') EXECUTE FUNCTION public.allowed()`);
    expect(await doctor(db.env, 'extension', UUID)).toMatchObject({
      code: 9,
      lines: [
        {
          state: 'failed',
          text: expect.stringContaining('not allow-listed'),
          fix: expect.stringMatching(/see azure.extensions/),
        },
      ],
    });
    const refused = await migrate(db, UUID);
    expect(refused).toMatchObject({ exitCode: 9, error: { sqlstate: '0A000', line: 1 } });
    expect(refused.error?.hint).toMatch(/see azure.extensions/);
    await db.superQuery('CREATE EXTENSION "uuid-ossp"');
    expect(await doctor(db.env, 'extension', UUID)).toMatchObject({
      lines: [{ state: 'ok', text: 'uuid-ossp is there' }],
    });
    expect(await migrate(db, UUID)).toMatchObject({ exitCode: 0, applied: [{ name: '0001_extensions' }] });
    // What fails later in the file is found at its line.
    const failing = {
      ...UUID,
      '0002_x.sql': 'CREATE EXTENSION IF NOT EXISTS "uuid-ossp"\n  SCHEMA public;\nSELECT nothing;\n',
    };
    expect(await migrate(db, failing)).toMatchObject({ exitCode: 7, error: { sqlstate: '42703', line: 3 } });
  });
});

it('doctor asks for the extensions that the migrations make, in a transaction that leaves nothing', async () => {
  const db = await createDatabase();
  const asked = await doctor(db.env, 'extension', {
    '0001_x.sql': 'CREATE EXTENSION citext; CREATE EXTENSION file_fdw;',
  });
  expect(asked).toMatchObject({ code: 9, lines: [{ text: 'citext can be made' }, { state: 'failed' }] });
  expect(await db.query("SELECT FROM pg_extension WHERE extname <> 'plpgsql'")).toEqual([]);
});

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › the history is somebody else’s', (version) => {
  const held = async (db: TestDatabase, sql: string) => {
    const other = await db.connect();
    open.push(other);
    await other.query(`BEGIN; ${sql}`);
    return other;
  };

  it('locked: migrate waits as long as --lock-timeout says, names the session, and goes on when it is gone', async () => {
    const db = await createDatabase(version);
    expect((await migrate(db, ONE)).exitCode).toBe(0);
    const other = await held(db, 'LOCK TABLE kasm_db.migrations');
    const [{ pid }] = (await other.query('SELECT pg_backend_pid() AS pid')).rows;
    expect(await migrate(db, TWO, '1s')).toMatchObject({
      exitCode: 5,
      error: { message: `PID ${pid} holds ACCESS EXCLUSIVE on kasm_db.migrations, so the history cannot be read` },
    });
    const patient = startCli(['migrate', '--json', '--migrations', folder(TWO)], db.env);
    await waitFor(async () => (patient.stderr().includes(`PID ${pid} holds`) ? [1] : []), 'the wait to be told');
    await other.query('ROLLBACK');
    expect((await patient.ended).code).toBe(0);
  });

  it('the run row locked: the same, as for any table', async () => {
    const db = await createDatabase(version);
    expect((await migrate(db, ONE)).exitCode).toBe(0);
    const other = await held(db, 'LOCK TABLE kasm_db.run IN SHARE MODE');
    const short = await migrate(db, TWO, '1s');
    expect(short).toMatchObject({
      exitCode: 5,
      error: { sqlstate: '55P03', message: expect.stringContaining('in the way') },
    });
    const patient = startCli(['migrate', '--json', '--migrations', folder(TWO)], db.env);
    await waitFor(async () => (patient.stderr().includes('gives way') ? [1] : []), 'the wait to be told');
    await other.query('ROLLBACK');
    expect((await patient.ended).code).toBe(0);
  });

  it('locked in mid-run: the record is waited for as long, then the migration is rolled back', async () => {
    const db = await createDatabase(version);
    expect((await migrate(db, ONE)).exitCode).toBe(0);
    const waits = 'SELECT pg_advisory_xact_lock_shared(77);\nCREATE TABLE two (x int);\n';
    const other = await held(db, 'SELECT pg_advisory_lock(77)');
    const running = migrate(db, { ...ONE, '0002_two.sql': `SET LOCAL lock_timeout = 0;\n${waits}` }, '1s');
    await waitFor(
      () => db.superQuery("SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted"),
      'the file',
    );
    await other.query('LOCK TABLE kasm_db.migrations IN SHARE MODE; SELECT pg_advisory_unlock(77)');
    expect(await running).toMatchObject({ exitCode: 5, error: { sqlstate: '55P03', migration: '0002_two' } });
    expect(await db.query("SELECT to_regclass('public.two') AS two")).toEqual([{ two: null }]);
  });

  it('pg_locks is revoked: status answers, doctor and migrate say what is missing, a check of a run at work is no failure', async () => {
    const db = await createDatabase(version);
    expect((await migrate(db, ONE)).exitCode).toBe(0);
    await db.superQuery('REVOKE SELECT ON pg_catalog.pg_locks FROM PUBLIC');
    const status = await cli(['status', '--migrations', folder(TWO)], db.env);
    expect(status.code, status.stderr).toBe(0);
    expect(status.stdout).toContain('Migration lock: not known, this role may not read pg_locks.');
    expect(await doctor(db.env, 'lock')).toMatchObject({
      code: 9,
      lines: [{ state: 'failed', fix: expect.stringContaining('GRANT SELECT ON pg_catalog.pg_locks') }],
    });
    expect(await migrate(db)).toMatchObject({
      exitCode: 9,
      error: { hint: expect.stringContaining('GRANT SELECT ON pg_catalog.pg_locks') },
    });
    await db.query("UPDATE kasm_db.run SET phase = 'migrate'");
    expect(await library.check({ env: db.env, migrations: folder(TWO) })).toMatchObject({ exitCode: 3 });
  });
});

describe.each<Version>([14, 18])('PostgreSQL %i › a server that lacks one of our settings', (version) => {
  it('is migrated without it, and doctor says what is lost', async () => {
    const db = await createDatabase(version);
    // As on Windows and BSD, where the platform cannot do it.
    const proxy = await startProxy(db.port, {
      onMessage: (message, { client }) => {
        if (message.direction === 'to client' || message.type !== 'Q') return 'pass';
        if (!/client_connection_check_interval = 1000/.test(message.text())) return 'pass';
        const detail = 'client_connection_check_interval must be set to 0 on this platform.';
        client.write(Buffer.concat([error('22023', 'invalid value for parameter', { D: detail }), ready('E')]));
        return 'drop';
      },
    });
    open.push({ end: () => proxy.stop() });
    const env = { ...db.env, POSTGRES_PORT: String(proxy.port) };
    const files = { ...ONE, '0002_index.sql': '-- kasm-db: no-transaction\nCREATE INDEX CONCURRENTLY i ON one (x);\n' };
    const run = await cli(['migrate', '--json', '--migrations', folder(files)], env);
    expect(run.code, run.stderr).toBe(0);
    expect(run.json().applied).toHaveLength(2);
    // The others hold.
    expect(proxy.passed.some(({ type, text }) => type === 'Q' && /tcp_keepalives_idle = 10/.test(text()))).toBe(true);
    expect((await doctor(env, 'protection')).lines).toMatchObject([
      { state: 'warning', text: expect.stringContaining('client_connection_check_interval') },
    ]);
    expect((await doctor(db.env, 'protection')).lines).toEqual([]);
  });
});

it('a number that fits one migration names it', async () => {
  const db = await createDatabase();
  const files = folder({ ...TWO, '0002_two.down.sql': 'DROP TABLE two;\n' });
  const call = { env: db.env, migrations: files };
  expect(await library.migrate({ ...call, to: '1' })).toMatchObject({ exitCode: 0, current: '0001_one' });
  expect(await library.plan({ ...call, to: '0002' })).toMatchObject({ exitCode: 0, pending: ['0002_two'] });
  expect(await library.migrate({ ...call, to: '0002' })).toMatchObject({ exitCode: 0, current: '0002_two' });
  expect(await library.rollback({ ...call, to: '0001' })).toMatchObject({
    exitCode: 0,
    rolledBack: [{ name: '0002_two' }],
  });
  expect(await library.repair({ ...call, applied: '2', yes: true })).toMatchObject({
    exitCode: 0,
    repairs: [{ name: '0002_two' }],
  });
  expect(await library.migrate({ ...call, to: '3' })).toMatchObject({ exitCode: 2 });
});

it('doctor warns of tables that a publication holds and that have no primary key', async () => {
  const db = await createDatabase();
  await db.query('CREATE TABLE plain (x int); CREATE TABLE keyed (x int PRIMARY KEY)');
  await db.superQuery('CREATE PUBLICATION everything FOR ALL TABLES');
  const { code, lines } = await doctor(db.env, 'publication');
  expect(code).toBe(0);
  expect(lines).toMatchObject([{ state: 'warning', text: expect.stringMatching(/refuses: plain$/) }]);
});
