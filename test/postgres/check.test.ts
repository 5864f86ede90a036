import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lchownSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { embeddedBinaries, serverAccount } from '../../src/embedded/binaries.js';
import { type ServerProcess, startServer } from '../../src/embedded/server-process.js';
import { LOCK_KEY } from '../../src/postgres/lock.js';
import { fingerprint } from '../fixtures/kasm/catalog.js';
import {
  check,
  createLogin,
  ENGINE_VERSIONS,
  midStatement,
  migrate,
  noSession,
  startMigrate,
} from '../fixtures/kasm/observe.js';
import { cli, folder, startCli } from '../support/cli.js';
import { createDatabase, DEFAULT_VERSION, waitFor } from '../support/database.js';
import { closeDoor, WAIT_FOR_DOOR } from '../support/door.js';
import { ONE, TWO } from '../support/migrations.js';
import { freePort, type RunningServer, startTestServer } from '../support/server.js';
import { busy } from '../support/time.js';

const SLOW = { ...ONE, '0002_two.sql': 'CREATE TABLE two (x integer);\nSELECT pg_sleep(30);\n' };

/** Lines that a waiting gate has written. */
const waitingLines = (stderr: string) => stderr.split('\n').filter((line) => line.startsWith('waiting'));

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › trap 13: check', (version) => {
  it('trap 13: passes as a role that may only SELECT the history, and in read-only transactions', async () => {
    const db = await createDatabase(version);
    const files = folder(TWO);
    await migrate(db, files);
    const { user, env } = await createLogin(db, 'gate');
    const gate = { ...db, env };
    expect((await check(gate, files)).code).toBe(9);
    await db.query(
      `GRANT USAGE ON SCHEMA kasm_db TO ${user}; GRANT SELECT ON kasm_db.migrations, kasm_db.run TO ${user}`,
    );
    await db.superQuery(`ALTER ROLE ${user} SET default_transaction_read_only = on`);
    const run = await check(gate, files);
    expect(run.code, run.stderr).toBe(0);
    expect(run.json()).toMatchObject({ command: 'check', outcome: 'ok', current: '0002_two' });
    expect((await check(gate, folder({ ...TWO, '0003_three.sql': 'SELECT 1;' }))).code).toBe(3);
    // Kasm's own schema with alembic_version, which this role may not read.
    const kasm = await createDatabase(version);
    await migrate(kasm);
    const other = await createLogin(kasm, 'gate');
    await kasm.query(
      `GRANT USAGE ON SCHEMA kasm_db TO ${other.user}; GRANT SELECT ON kasm_db.migrations, kasm_db.run TO ${other.user}`,
    );
    const passed = await check({ ...kasm, env: other.env });
    expect(passed.code, passed.stderr).toBe(0);
  });

  it('says on an empty database, as any role, that nothing was applied', async () => {
    const db = await createDatabase(version);
    const { env } = await createLogin(db, 'gate');
    for (const target of [db, { ...db, env }]) {
      const run = await check(target, folder(TWO));
      expect(run.code, run.stderr).toBe(3);
      expect(run.json().error).toMatchObject({ code: 'pending', hint: expect.stringContaining('kasm-db migrate') });
    }
  });

  it('trap 13: answers at once during a running migrate, and says how far it is', async () => {
    const db = await createDatabase(version);
    const { child, ended } = startMigrate(db, folder(SLOW));
    await midStatement(db, 'pg_sleep(30)');
    const run = await check(db, folder(SLOW));
    expect(run.code, run.stderr).toBe(3);
    expect(child.exitCode).toBeNull();
    expect(run.json().error?.message).toContain('1 of 2 migrations is applied');
    expect(run.json().error?.message).toContain('kasm-db/');
    child.kill('SIGTERM');
    await ended;
  });

  it('takes no lock but ACCESS SHARE on the history, and not the migration lock', async () => {
    const db = await createDatabase(version);
    const files = folder(TWO);
    await migrate(db, files);
    const client = await db.connect();
    // EXCLUSIVE conflicts with every table lock but ACCESS SHARE; the gate would wait for ever.
    await client.query('BEGIN; LOCK TABLE kasm_db.migrations, kasm_db.run IN EXCLUSIVE MODE');
    await client.query(`SELECT pg_advisory_lock(${LOCK_KEY})`);
    const run = await check(db, files);
    await client.end();
    expect(run.code, run.stderr).toBe(0);
  });

  it('trap 13: leaves the catalog and the history as they are', async () => {
    const db = await createDatabase(version);
    const files = folder(TWO);
    const empty = await fingerprint(db);
    await check(db, files);
    expect(await fingerprint(db)).toBe(empty);
    await migrate(db, files);
    const full = [
      await fingerprint(db),
      await db.query('SELECT m.*, m.xmin::text FROM kasm_db.migrations m'),
      await db.query('SELECT r.*, r.xmin::text FROM kasm_db.run r'),
    ];
    await check(db, files);
    await check(db, folder({ ...TWO, '0003_three.sql': 'SELECT 1;' }), '--wait', '300ms');
    expect([
      await fingerprint(db),
      await db.query('SELECT m.*, m.xmin::text FROM kasm_db.migrations m'),
      await db.query('SELECT r.*, r.xmin::text FROM kasm_db.run r'),
    ]).toEqual(full);
  });

  it('is the same command as --check', async () => {
    const db = await createDatabase(version);
    const files = folder(TWO);
    for (const args of [['check'], ['--check']]) {
      const run = await cli([...args, '--json', '--migrations', files], db.env);
      expect(run.json()).toMatchObject({ command: 'check', outcome: 'pending', exitCode: 3 });
    }
    await expect(db.query('SELECT FROM kasm_db.migrations')).rejects.toMatchObject({ code: '42P01' });
  });
});

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › check --wait', (version) => {
  it('passes when a migrator finishes meanwhile, and prints one line for each change', async () => {
    const db = await createDatabase(version);
    const openDoor = await closeDoor(await db.connect());
    const files = folder({ ...ONE, '0002_two.sql': `CREATE TABLE two (x integer);\n${WAIT_FOR_DOOR}\n` });
    const gate = startCli(['--check', '--wait', '10m', '--json', '--migrations', files], db.env);
    await waitFor(async () => waitingLines(gate.stderr()), 'the gate to wait');
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(waitingLines(gate.stderr())).toHaveLength(1);
    const migrating = migrate(db, files);
    await waitFor(async () => (gate.stderr().includes('1 of 2') ? [1] : []), 'the gate to see the first migration');
    await openDoor();
    expect((await migrating).code).toBe(0);
    const run = await gate.ended;
    expect(run.code, run.stderr).toBe(0);
    const lines = waitingLines(run.stderr);
    expect(lines[0]).toContain('there is no history');
    expect(new Set(lines).size).toBe(lines.length);
    expect(lines.length).toBeLessThanOrEqual(3);
  });

  it('gives up with 3 when the time is up, at once with 6 where waiting does not help', async () => {
    const db = await createDatabase(version);
    const run = await check(db, folder(TWO), '--wait', `${busy(1000)}ms`);
    expect(run.code, run.stderr).toBe(3);
    expect(run.ms).toBeGreaterThan(1000);
    expect(run.ms).toBeLessThan(busy(10_000));
    expect(run.json().error?.message).toContain('gave up after');
    await migrate(db, folder(TWO));
    const changed = await check(db, folder({ ...TWO, '0002_two.sql': 'SELECT 2;' }), '--wait', '10m');
    expect(changed.code).toBe(6);
    expect(waitingLines(changed.stderr)).toEqual([]);
  });

  it('--fail-fast gives up when the migrator has failed; without it the gate goes on', async () => {
    const db = await createDatabase(version);
    const bad = folder({ ...ONE, '0002_two.sql': 'SELECT 1 / 0;\n' });
    const gate = startCli(['check', '--wait', '10m', '--fail-fast', '--json', '--migrations', bad], db.env);
    const patient = startCli(['check', '--wait', '10m', '--json', '--migrations', bad], db.env);
    await waitFor(async () => (gate.stderr() && patient.stderr() ? [1] : []), 'both gates to wait');
    expect((await migrate(db, bad)).code).toBe(7);
    const run = await gate.ended;
    expect(run.code, run.stderr).toBe(3);
    expect(run.json().error?.message).toContain('0002_two');
    expect(run.json().error?.message).not.toContain('gave up after');
    await waitFor(
      async () => (patient.stderr().includes('the last run failed') ? [1] : []),
      'the patient gate to see the failure',
    );
    expect(patient.child.exitCode).toBeNull();
    await db.query(
      "INSERT INTO kasm_db.migrations (name, checksum, app_version, kind) SELECT '0002_two', encode(sha256('SELECT 1 / 0;'), 'hex'), '0.1.0', 'repaired'",
    );
    expect((await patient.ended).code).toBe(0);
  });

  it('SIGTERM ends it with 143', async () => {
    const db = await createDatabase(version);
    const gate = startCli(['check', '--wait', '--json', '--migrations', folder(TWO)], db.env);
    await waitFor(async () => waitingLines(gate.stderr()), 'the gate to wait');
    const sent = performance.now();
    gate.child.kill('SIGTERM');
    const run = await gate.ended;
    expect(run.code).toBe(143);
    expect(performance.now() - sent).toBeLessThan(busy(2000));
    expect(run.json().outcome).toBe('interrupted');
  });

  it('sixteen gates wait without using up the connections', async () => {
    const db = await createDatabase(version);
    const files = folder(TWO);
    const gates = Array.from({ length: 16 }, () =>
      startCli(['check', '--wait', '10m', '--json', '--migrations', files], db.env),
    );
    await waitFor(
      async () => (gates.every(({ stderr }) => waitingLines(stderr()).length > 0) ? [1] : []),
      'all gates to wait',
    );
    await noSession(db);
    expect(gates.filter(({ child }) => child.exitCode !== null)).toEqual([]);
    expect((await migrate(db, files)).code).toBe(0);
    for (const { ended } of gates) expect((await ended).code).toBe(0);
  });
});

describe('a server of its own', () => {
  const native = () =>
    embeddedBinaries(serverAccount(), join(process.cwd(), 'test/.servers/package.json'), `postgres-${DEFAULT_VERSION}`);
  let scratch: string;
  let primary: RunningServer;
  const started: ServerProcess[] = [];
  const env = (port: number) => ({
    POSTGRES_HOST: '127.0.0.1',
    POSTGRES_PORT: String(port),
    POSTGRES_DB: 'postgres',
    POSTGRES_USER: 'postgres',
    POSTGRES_PASSWORD: primary.info.password,
  });
  const start = async (data: string, port: number) => {
    const server = await startServer(native(), data, serverAccount(), [
      '-p',
      String(port),
      '-k',
      dirname(data),
      ...SETTINGS,
    ]);
    started.push(server);
    return server;
  };
  /** startServer waits for a server that takes writes; a standby never says so. Returns what ends it. */
  const startStandby = (data: string, port: number) => {
    const end = new AbortController();
    const args = ['-p', String(port), '-k', dirname(data), ...SETTINGS];
    const ended = startServer(native(), data, serverAccount(), args, end.signal).catch(() => {});
    return async () => {
      end.abort();
      await ended;
    };
  };
  let standby = async () => {};
  const login = async (port: number) => {
    const client = new pg.Client({
      host: '127.0.0.1',
      port,
      user: 'postgres',
      database: 'postgres',
      password: primary.info.password,
    });
    client.on('error', () => {});
    await client.connect();
    return client;
  };
  const query = async (port: number, sql: string) => {
    const client = await login(port);
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  };

  beforeAll(async () => {
    scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kasm-db-check-'));
    primary = await startTestServer(DEFAULT_VERSION, scratch, [
      'autovacuum=off',
      'wal_level=replica',
      'max_wal_senders=4',
    ]);
  });
  afterAll(async () => {
    await standby();
    for (const server of started.reverse()) await server.stop();
    await primary?.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  it('trap 13: check assigns no transaction id: it writes nothing at all', async () => {
    const { port } = primary.info;
    const files = folder(TWO);
    const nextXid = async () => (await query(port, 'SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS x'))[0].x;
    const wal = async () => (await query(port, 'SELECT pg_current_wal_insert_lsn()::text AS x'))[0].x;
    const look = async () => {
      const before = [await nextXid(), await wal()];
      for (let i = 0; i < 3; i++) await cli(['check', '--json', '--migrations', files], env(port));
      await cli(
        ['check', '--wait', '400ms', '--migrations', folder({ ...TWO, '0009_none.sql': 'SELECT 1;' })],
        env(port),
      );
      return { before, after: [await nextXid(), await wal()] };
    };
    const empty = await look();
    expect(empty.after[0]).toBe(empty.before[0]);
    expect((await cli(['migrate', '--migrations', files], env(port))).code).toBe(0);
    // The first reader after a write may still set hint bits; ours may not be counted for it.
    await cli(['check', '--migrations', files], env(port));
    const full = await look();
    expect(full.after[0]).toBe(full.before[0]);
  });

  it('trap 32: check --wait survives a restart of the server', async () => {
    const { port } = primary.info;
    const files = folder({ ...TWO, '0003_three.sql': 'CREATE TABLE three (x int);' });
    const gate = startCli(['check', '--wait', '10m', '--json', '--migrations', files], env(port));
    await waitFor(async () => waitingLines(gate.stderr()), 'the gate to wait');
    await primary.stop();
    await waitFor(
      async () => (waitingLines(gate.stderr()).length > 1 ? [1] : []),
      'the gate to see that the server is gone',
    );
    expect(gate.child.exitCode).toBeNull();
    const again = await start(primary.data, port);
    expect((await cli(['migrate', '--migrations', files], env(port))).code).toBe(0);
    const run = await gate.ended;
    expect(run.code, run.stderr).toBe(0);
    expect(run.stderr).not.toMatch(/\n\s+at /);
    await again.stop();
  });

  it('trap 32: a server that is shut down in mid-run › exit 4, and the rerun completes', async () => {
    const { port } = primary.info;
    await primary.stop();
    const server = await start(primary.data, port);
    const files = folder({
      ...TWO,
      '0003_three.sql': 'CREATE TABLE three (x int);',
      '0004_four.sql': 'CREATE TABLE four (x int);\nSELECT pg_sleep(30);',
    });
    const migrator = startCli(['migrate', '--json', '--migrations', files, '--connect-timeout', '1s'], env(port));
    await waitFor(
      () =>
        query(
          port,
          "SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%four%pg_sleep%' AND pid <> pg_backend_pid()",
        ),
      'pg_sleep',
    );
    await server.stop();
    const run = await migrator.ended;
    expect(run.code, run.stderr).toBe(4);
    const back = await start(primary.data, port);
    const rerun = await cli(
      [
        'migrate',
        '--json',
        '--migrations',
        folder({
          ...TWO,
          '0003_three.sql': 'CREATE TABLE three (x int);',
          '0004_four.sql': 'CREATE TABLE four (x int);',
        }),
      ],
      env(port),
    );
    expect(rerun.json().applied?.map(({ name }) => name)).toEqual(['0004_four']);
    await back.stop();
  });

  it('trap 22: migrate says that a hot standby is one, trap 13: check works and waits there', async () => {
    const files = folder({
      ...TWO,
      '0003_three.sql': 'CREATE TABLE three (x int);',
      '0004_four.sql': 'CREATE TABLE four (x int);',
    });
    const more = folder({
      ...TWO,
      '0003_three.sql': 'CREATE TABLE three (x int);',
      '0004_four.sql': 'CREATE TABLE four (x int);',
      '0005_five.sql': `CREATE TABLE five (x int);\n${WAIT_FOR_DOOR}`,
    });
    await primary.stop();
    const before = await start(primary.data, primary.info.port);
    expect((await cli(['migrate', '--migrations', files], env(primary.info.port))).code).toBe(0);
    await before.stop();
    // There is no pg_basebackup among the programs: the data of the stopped primary is copied.
    const data = join(scratch, 'standby', 'data');
    cpSync(primary.data, data, { recursive: true });
    chmodSync(data, 0o700);
    const account = serverAccount();
    writeFileSync(join(data, 'standby.signal'), '');
    writeFileSync(
      join(data, 'postgresql.auto.conf'),
      `primary_conninfo = 'host=127.0.0.1 port=${primary.info.port} user=postgres password=${primary.info.password} sslmode=disable'\n`,
    );
    if (account) chownTree(join(scratch, 'standby'), account.uid, account.gid);
    await start(primary.data, primary.info.port);
    const port = await freePort();
    standby = startStandby(data, port);
    await waitFor(
      () => query(primary.info.port, "SELECT FROM pg_stat_replication WHERE state = 'streaming'"),
      'the standby to stream',
    );

    const passed = await cli(['check', '--json', '--migrations', files], env(port));
    expect(passed.code, passed.stderr).toBe(0);
    const refused = await cli(['migrate', '--json', '--connect-timeout', '1s', '--migrations', more], env(port));
    // A failover may be under way: it is waited for, and trying again may help.
    expect(refused.code, refused.stderr).toBe(4);
    expect(refused.json().error?.message).toContain('standby');
    expect((await cli(['status', '--json', '--migrations', files], env(port))).json().run?.phase).toBe('done');

    const gate = startCli(['check', '--wait', '10m', '--json', '--migrations', more], env(port));
    await waitFor(async () => waitingLines(gate.stderr()), 'the gate to wait');
    const openDoor = await closeDoor(await login(primary.info.port));
    const migrator = startCli(['migrate', '--json', '--migrations', more], env(primary.info.port));
    await waitFor(async () => {
      const state = (await cli(['status', '--json', '--migrations', more], env(port))).json();
      return state.run?.phase === 'migrate' ? [1] : [];
    }, 'the standby to show the run in progress');
    await openDoor();
    expect((await migrator.ended).code).toBe(0);
    const run = await gate.ended;
    expect(run.code, run.stderr).toBe(0);
  });
});

const SETTINGS = [
  'fsync=off',
  'listen_addresses=127.0.0.1',
  'wal_level=replica',
  'autovacuum=off',
  'max_connections=200',
].flatMap((setting) => ['-c', setting]);

function chownTree(path: string, uid: number, gid: number): void {
  chownSync(path, uid, gid);
  for (const entry of readdirSync(path, { withFileTypes: true, recursive: true })) {
    lchownSync(join(entry.parentPath, entry.name), uid, gid);
  }
}
