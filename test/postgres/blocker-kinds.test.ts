import { mkdtempSync } from 'node:fs';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { cli, startCli } from '../support/cli.js';
import { waitFor } from '../support/database.js';
import { folder } from '../support/folder.js';
import { SECRET_MARK } from '../support/global-setup.js';
import { type RunningServer, startTestServer } from '../support/server.js';
import { busy } from '../support/time.js';

const PLAIN = { user: 'plain', password: `${SECRET_MARK}plain` };
/** Slow enough that no worker is through before the test is; of this table alone, or else all workers are busy with the catalogs. */
const SLOW =
  'autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1';

describe.each([13, 18] as const)('PostgreSQL %i › who has the table is told for what it is', (version) => {
  let server: RunningServer;
  const open: pg.Client[] = [];

  beforeAll(async () => {
    const scratch = mkdtempSync(join(dirname(inject('outputLog')), 'kinds-'));
    server = await startTestServer(version, scratch, [
      ...['autovacuum_naptime=1', 'deadlock_timeout=1s', 'max_prepared_transactions=3', 'wal_level=logical'],
    ]);
    const admin = await connect('postgres');
    await admin.query(`CREATE ROLE plain LOGIN PASSWORD '${PLAIN.password}'`);
  });
  afterAll(async () => {
    await Promise.all(open.map((client) => client.end().catch(() => {})));
    await server.stop();
  });

  async function connect(database: string, more: pg.ClientConfig = {}): Promise<pg.Client> {
    const { port, password } = server.info;
    const client = new pg.Client({
      host: '127.0.0.1',
      port,
      user: 'postgres',
      password,
      database,
      ssl: false,
      ...more,
    });
    client.on('error', () => {});
    await client.connect();
    open.push(client);
    return client;
  }

  /** A database of a role that may see nothing of others, with a table `busy`; and a superuser in it. */
  async function database(name: string): Promise<pg.Client> {
    const first = await connect('postgres');
    await first.query(`CREATE DATABASE ${name} OWNER plain`);
    const admin = await connect(name);
    await admin.query('CREATE TABLE busy (x int PRIMARY KEY, y int); INSERT INTO busy VALUES (1, 1)');
    await admin.query('ALTER TABLE busy OWNER TO plain; GRANT CREATE ON SCHEMA public TO plain');
    return admin;
  }

  const env = (name: string, { user, password } = PLAIN) => ({
    POSTGRES_HOST: '127.0.0.1',
    POSTGRES_PORT: String(server.info.port),
    POSTGRES_DB: name,
    POSTGRES_USER: user,
    POSTGRES_PASSWORD: password,
  });
  const ALTER = [
    'migrate',
    '--json',
    '--migrations',
    folder({ '0001_alter.sql': 'ALTER TABLE busy ADD COLUMN z int;\n' }),
  ];

  /** The migration gives up. */
  async function blocked(name: string, login = PLAIN) {
    const run = await cli([...ALTER, '--lock-timeout', `${busy(1500)}ms`], env(name, login));
    expect(run.code, run.stderr).toBe(5);
    const { error, lock } = run.json();
    return { blockers: lock?.blockers, message: error?.message, hint: error?.hint };
  }
  const asSuperuser = () => ({ user: 'postgres', password: server.info.password });

  it('trap 43: an autovacuum worker that has the table gives way, because the attempt waits longer than deadlock_timeout', async () => {
    const admin = await database('worker');
    await admin.query(`ALTER TABLE busy SET (${SLOW}); INSERT INTO busy SELECT i FROM generate_series(2, 100000) i`);
    await admin.query('DELETE FROM busy WHERE x % 2 = 0');
    const vacuuming = "SELECT FROM pg_stat_progress_vacuum WHERE relid = 'busy'::regclass";
    await waitFor(async () => (await admin.query(vacuuming)).rows, 'autovacuum to take the table');
    const run = await cli(ALTER, env('worker'));
    expect(run.code, run.stderr).toBe(0);
    expect(run.stderr).toContain('an autovacuum worker');
    expect(run.json().lock?.blockers).toMatchObject([{ kind: 'autovacuum', relation: 'public.busy' }]);
    expect(server.log()).toContain('canceling autovacuum task');
  });

  it('trap 43: a worker and a forgotten transaction › that one is waited for, not the worker', async () => {
    const admin = await database('shared');
    await admin.query(`ALTER TABLE busy SET (${SLOW}); INSERT INTO busy SELECT i FROM generate_series(2, 100000) i`);
    await admin.query('DELETE FROM busy WHERE x % 2 = 0');
    const vacuuming = "SELECT FROM pg_stat_progress_vacuum WHERE relid = 'busy'::regclass";
    await waitFor(async () => (await admin.query(vacuuming)).rows, 'autovacuum to take the table');
    const forgotten = await connect('shared');
    await forgotten.query('BEGIN; SELECT FROM busy LIMIT 1');
    const run = startCli(ALTER, env('shared'));
    await waitFor(async () => (run.stderr().includes('gives way') ? [1] : []), 'the attempt to give way');
    await forgotten.query('COMMIT');
    const result = await run.ended;
    expect(result.code, result.stderr).toBe(0);
  });

  it('who may set deadlock_timeout makes it short for himself, so that a worker gives way at once; others do without', async () => {
    const setting = "SELECT current_setting('deadlock_timeout') AS value";
    const files = folder({
      '0001_whole.sql': `CREATE TABLE seen AS ${setting};\n`,
      '0002_each.sql': `-- kasm-db: no-transaction\nCREATE TABLE seen_too AS ${setting};\n`,
    });
    for (const [name, login, expected] of [
      ['ordinary', PLAIN, '1s'],
      ['privileged', asSuperuser(), '50ms'],
    ] as const) {
      const admin = await database(name);
      const run = await cli(['migrate', '--migrations', files], env(name, login));
      expect(run.code, run.stderr).toBe(0);
      const { rows } = await admin.query('SELECT value FROM seen UNION ALL SELECT value FROM seen_too');
      expect(rows).toEqual([{ value: expected }, { value: expected }]);
    }
  });

  it('trap 43: a worker that prevents wraparound never gives way › told so, with how far it is, and nobody waits behind it', async () => {
    const admin = await database('wraparound');
    // A worker that came before the table is old would be an ordinary one.
    await admin.query(`ALTER TABLE busy SET (autovacuum_enabled = off)`);
    await admin.query('INSERT INTO busy SELECT i FROM generate_series(2, 200000) i');
    // A number of its own for each of the 100,000 small transactions in it.
    await admin.query(`CREATE TABLE burnt (); DO $$ BEGIN FOR i IN 1..101000 LOOP
      BEGIN INSERT INTO burnt DEFAULT VALUES; EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$`);
    await admin.query(`ALTER TABLE busy SET (${SLOW}, autovacuum_enabled = on, autovacuum_freeze_max_age = 100000)`);
    const vacuuming = "SELECT FROM pg_stat_progress_vacuum WHERE relid = 'busy'::regclass";
    await waitFor(async () => (await admin.query(vacuuming)).rows, 'autovacuum to take the table');
    expect((await blocked('wraparound')).blockers).toMatchObject([{ kind: 'wraparound autovacuum' }]);
    const { blockers, message, hint } = await blocked('wraparound', asSuperuser());
    expect(blockers).toMatchObject([
      { kind: 'wraparound autovacuum', detail: expect.stringMatching(/, \d+ % of the table$/) },
    ]);
    expect(message).toMatch(
      /an autovacuum worker that prevents wraparound, which never gives way: [a-z ]+, \d+ % of the table/,
    );
    expect(hint).toContain('one that was ended begins again');
    expect((await admin.query(vacuuming)).rows).toHaveLength(1);
  });

  it('a prepared transaction › its name, and what ends it; the run goes on when it has ended', async () => {
    const admin = await database('prepared');
    await admin.query("BEGIN; INSERT INTO busy VALUES (2); PREPARE TRANSACTION 'it''s mine'");
    const { blockers, message, hint } = await blocked('prepared');
    expect(blockers).toMatchObject([
      {
        pid: 0,
        kind: 'prepared transaction',
        detail: "'it''s mine'",
        relation: 'public.busy',
        held: 'RowExclusiveLock',
      },
    ]);
    expect(message).toMatch(
      /a prepared transaction: 'it''s mine', transaction of \d+ s, holds RowExclusiveLock on public.busy/,
    );
    expect(hint).toContain('ROLLBACK PREPARED');
    const run = startCli(ALTER, env('prepared'));
    await waitFor(async () => (run.stderr().includes('gives way') ? [1] : []), 'the attempt to give way');
    await admin.query("COMMIT PREPARED 'it''s mine'");
    const result = await run.ended;
    expect(result.code, result.stderr).toBe(0);
  });

  it('a dump, a standby or subscriber that copies, an index that is built, a VACUUM: each by its name, with what to do', async () => {
    const admin = await database('others');
    const dump = await connect('others', { application_name: 'pg_dump' });
    const walsender = await connect('others', { replication: 'database', application_name: 'copy' } as pg.ClientConfig);
    for (const client of [dump, walsender]) await client.query('BEGIN; SELECT * FROM busy');
    const several = await blocked('others');
    expect(several.blockers?.map(({ kind, applicationName }) => [applicationName, kind]).sort()).toEqual([
      ['copy', 'replication'],
      ['pg_dump', 'dump'],
    ]);
    expect(several.hint).toContain('migrate at another time');
    expect(several.hint).not.toContain('pg_terminate_backend');
    for (const client of [dump, walsender]) await client.query('COMMIT');

    // It waits for a transaction that has nothing to do with us.
    const old = await connect('others');
    await old.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM pg_class LIMIT 1');
    const built = (await connect('others')).query('CREATE INDEX CONCURRENTLY busy_y ON busy (y)');
    const building = "SELECT FROM pg_stat_progress_create_index WHERE relid = 'busy'::regclass";
    await waitFor(async () => (await admin.query(building)).rows, 'the index to be built');
    const index = await blocked('others', asSuperuser());
    expect(index.blockers).toMatchObject([{ kind: 'index build', detail: expect.stringContaining('waiting for') }]);
    expect(index.hint).toContain('one that was interrupted stays behind, invalid');
    await old.query('ROLLBACK');
    await built;

    const vacuum = await connect('others');
    await admin.query('ALTER TABLE busy SET (autovacuum_enabled = off)');
    await admin.query('INSERT INTO busy SELECT i FROM generate_series(10, 200000) i');
    await vacuum.query('SET vacuum_cost_delay = 100; SET vacuum_cost_limit = 1');
    const vacuumed = vacuum.query('VACUUM (FREEZE) busy').catch(() => {});
    const vacuuming = "SELECT pid FROM pg_stat_progress_vacuum WHERE relid = 'busy'::regclass";
    await waitFor(async () => (await admin.query(vacuuming)).rows, 'the VACUUM');
    expect((await blocked('others')).blockers).toMatchObject([{ kind: 'vacuum' }]);
    await admin.query(`SELECT pg_cancel_backend(pid) FROM (${vacuuming}) v`);
    await vacuumed;
  });

  it('a worker of a subscription', async () => {
    const publisher = await database('publisher');
    const admin = await database('subscriber');
    await publisher.query('CREATE PUBLICATION p FOR TABLE busy');
    await publisher.query("SELECT pg_create_logical_replication_slot('s', 'pgoutput')");
    const { port, password } = server.info;
    await admin.query(`CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port=${port} dbname=publisher user=postgres password=${password}'
      PUBLICATION p WITH (create_slot = false, slot_name = 's', copy_data = false)`);
    const inTheWay = await connect('subscriber', { application_name: 'in the way' });
    await inTheWay.query('BEGIN; UPDATE busy SET y = 2');
    await publisher.query('UPDATE busy SET y = 3');
    const applying =
      "SELECT FROM pg_locks WHERE relation = 'busy'::regclass AND mode = 'RowExclusiveLock' AND pid IN (SELECT pid FROM pg_stat_subscription)";
    await waitFor(async () => (await admin.query(applying)).rows, 'the worker to take the table');
    const { blockers, message } = await blocked('subscriber');
    expect(blockers?.map(({ kind }) => kind).sort()).toEqual(['subscription', undefined]);
    expect(message).toContain('a worker of a subscription: s');
    await inTheWay.query('ROLLBACK');
    await admin.query('ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name = NONE)');
    await admin.query('DROP SUBSCRIPTION s');
  });
});
