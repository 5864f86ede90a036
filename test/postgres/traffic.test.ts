import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { createLogin, ENGINE_VERSIONS, midStatement, migrate, startMigrate, status } from '../fixtures/kasm/observe.js';
import { cli, startCli } from '../support/cli.js';
import { createDatabase, type TestDatabase, waitFor } from '../support/database.js';
import { closeDoor, UNTIL_OPEN } from '../support/door.js';
import { folder } from '../support/folder.js';
import { hasPgbouncer, startPgbouncer } from '../support/pgbouncer.js';

const BASE = { '0001_busy.sql': 'CREATE TABLE busy (x int);\nINSERT INTO busy VALUES (1);\n' };
const ALTER = { ...BASE, '0002_alter.sql': 'ALTER TABLE busy ADD COLUMN y int;\n' };

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › traffic', (version) => {
  async function busy(): Promise<TestDatabase> {
    const db = await createDatabase(version);
    expect((await migrate(db, folder(BASE))).code).toBe(0);
    return db;
  }

  /** What needs the table, each in a database where that is the next thing to do. */
  const WAYS: Record<string, (db: TestDatabase) => Promise<string[]>> = {
    'a migration': async () => ['migrate', folder(ALTER)],
    'a no-transaction file': async () => [
      'migrate',
      folder({ ...BASE, '0002_alter.sql': `-- kasm-db: no-transaction\n${ALTER['0002_alter.sql']}` }),
    ],
    'a DO block of one': async () => [
      'migrate',
      folder({
        ...BASE,
        '0002_alter.sql': '-- kasm-db: no-transaction\nDO $$ BEGIN ALTER TABLE busy ADD COLUMN y int; END $$;\n',
      }),
    ],
    'a rollback': async (db) => {
      const files = folder({ ...ALTER, '0002_alter.down.sql': 'ALTER TABLE busy DROP COLUMN y;\n' });
      expect((await migrate(db, files)).code).toBe(0);
      return ['rollback', files, '--steps', '1'];
    },
    "repair's drop of an index": async (db) => {
      await db.query('INSERT INTO busy VALUES (1)');
      const build = db.query('CREATE UNIQUE INDEX CONCURRENTLY busy_x ON busy (x)');
      await expect(build).rejects.toThrow(/could not create unique index/);
      return ['repair', folder(BASE), '--yes'];
    },
  };

  async function nobodyWaits(db: TestDatabase, [command = '', files = '', ...more]: string[], env = db.env) {
    const forgotten = await db.connect();
    await forgotten.query('BEGIN; SELECT * FROM busy');
    const run = startCli([command, '--json', '--migrations', files, ...more], env);
    await waitFor(async () => (run.stderr().includes('waits for a lock') ? [1] : []), 'the blocker to be seen');
    const waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    await waitFor(async () => ((await db.superQuery(waiting)).length === 0 ? [1] : []), 'the attempt to give way');
    // The blocker is known: until its transaction has ended there is no further attempt.
    for (let i = 0; i < 20; i++) {
      await db.query('SELECT * FROM busy');
      expect(await db.superQuery(waiting)).toEqual([]);
    }
    await forgotten.query('COMMIT');
    await forgotten.end();
    const result = await run.ended;
    expect(result.code, result.stderr).toBe(0);
    expect(result.stderr).toContain('gives way');
    return result;
  }

  it.each(
    Object.keys(WAYS),
  )('trap 42: while a forgotten transaction has the table, nobody waits behind %s', async (way) => {
    const db = await busy();
    const result = await nobodyWaits(db, (await WAYS[way]?.(db)) ?? []);
    if (way !== 'a migration') return;
    expect(result.json().lock?.blockers).toMatchObject([{ state: 'idle in transaction', relation: 'public.busy' }]);
  });

  it.skipIf(!hasPgbouncer())('trap 42: the same behind PgBouncer', async () => {
    const db = await busy();
    const pooler = await startPgbouncer(db, 'transaction');
    const result = await nobodyWaits(db, ['migrate', folder(ALTER)], pooler.env).finally(() => pooler.stop());
    expect(result.json().database?.connection).toBe('pooled');
  });

  it('a table that short transactions always have › attempts get longer until one gets it', async () => {
    const db = await busy();
    let done = false;
    const client = async () => {
      const connection = await db.connect();
      while (!done) await connection.query('BEGIN; SELECT * FROM busy; SELECT pg_sleep(0.3); COMMIT');
      await connection.end();
    };
    const clients = [];
    for (let i = 0; i < 6; i++) {
      clients.push(client());
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const result = await migrate(db, folder(ALTER));
    done = true;
    await Promise.all(clients);
    expect(result.code, result.stderr).toBe(0);
  });

  it('one connection that has the table again at once, under the same PID › is another blocker each time, and it comes through', async () => {
    const db = await busy();
    const connection = await db.connect();
    let done = false;
    const loop = (async () => {
      // A message each, so that the next transaction begins before anybody can look.
      while (!done) await connection.query('SELECT * FROM busy; SELECT pg_sleep(0.3)');
      await connection.end();
    })();
    const run = await migrate(db, folder(ALTER));
    done = true;
    await loop;
    expect(run.code, run.stderr).toBe(0);
  });

  it('a lock-timeout that is shorter than the first attempt › each attempt is as short, and it comes through when the table is free', async () => {
    const db = await busy();
    const reader = await db.connect();
    await reader.query('BEGIN; SELECT * FROM busy');
    const run = startMigrate(
      db,
      folder({ ...BASE, '0002_alter.sql': `-- kasm-db: lock-timeout 5ms\n${ALTER['0002_alter.sql']}` }),
    );
    await waitFor(async () => (run.stderr().includes('gives way') ? [1] : []), 'an attempt to give way');
    expect(run.stderr()).toMatch(/SQLSTATE 55P03/);
    await reader.query('COMMIT');
    await reader.end();
    const result = await run.ended;
    expect(result.code, result.stderr).toBe(0);
  });

  it("a lock timeout that the file's own DO block catches is the file's: applied, once, without another attempt", async () => {
    const db = await busy();
    const reader = await db.connect();
    await reader.query('BEGIN; SELECT * FROM busy');
    const catching = `DO $$ BEGIN ALTER TABLE busy ADD COLUMN y int; EXCEPTION WHEN lock_not_available THEN CREATE TABLE skipped (); END $$;\n`;
    const run = await migrate(db, folder({ ...BASE, '0002_alter.sql': catching }));
    await reader.query('COMMIT');
    await reader.end();
    expect(run.code, run.stderr).toBe(0);
    expect(run.stderr).not.toContain('gives way');
    expect(await db.query("SELECT to_regclass('skipped') IS NOT NULL AS skipped")).toEqual([{ skipped: true }]);
    expect((await migrate(db, folder({ ...BASE, '0002_alter.sql': catching }))).json().applied).toEqual([]);
  });

  it("a server's clock that has jumped back › no age is below zero, nobody is ended for it, and it comes through", async () => {
    const db = await busy();
    await db.superQuery(
      `SET allow_system_table_mods = on; ALTER FUNCTION pg_catalog.clock_timestamp() RENAME TO real_clock_timestamp;
       CREATE FUNCTION pg_catalog.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT now() - interval '1 hour' $$`,
    );
    const reader = await db.connect();
    await reader.query('BEGIN; SELECT * FROM busy');
    const run = startMigrate(db, folder(ALTER), '--cancel-blockers', '1ms');
    await waitFor(async () => (run.stderr().includes('waits for a lock') ? [1] : []), 'the blocker to be seen');
    await reader.query('COMMIT');
    await reader.end();
    const result = await run.ended;
    expect(result.code, result.stderr).toBe(0);
    expect(result.json().lock?.blockers).toMatchObject([{ querySeconds: 0, transactionSeconds: 0 }]);
    expect(result.json().lock?.cancelled).toBe(undefined);
    expect(result.json().applied).toMatchObject([{ name: '0002_alter' }]);
  });

  it('a table of 500 partitions, one of which is in use › told which; then all of its locks are in the result', async () => {
    const db = await createDatabase(version);
    const files = {
      '0001_parts.sql': `CREATE TABLE parts (x int) PARTITION BY LIST (x);
DO $$ BEGIN FOR i IN 1..500 LOOP EXECUTE format('CREATE TABLE parts_%s PARTITION OF parts FOR VALUES IN (%s)', i, i); END LOOP; END $$;\n`,
    };
    expect((await migrate(db, folder(files))).code).toBe(0);
    const reader = await db.connect();
    await reader.query('BEGIN; SELECT * FROM parts_250');
    const log = join(folder({}), 'termination-log');
    const all = folder({ ...files, '0002_alter.sql': 'ALTER TABLE parts ADD COLUMN y int;\n' });
    const run = startCli(['migrate', '--json', '--migrations', all], { ...db.env, KASM_DB_TERMINATION_LOG: log });
    await waitFor(async () => (run.stderr().includes('waits for a lock') ? [1] : []), 'the blocker to be seen');
    expect(run.stderr()).toContain('on public.parts_250');
    await reader.query('COMMIT');
    await reader.end();
    const result = await run.ended;
    expect(result.code, result.stderr).toBe(0);
    expect(result.json().applied?.[0]?.locks).toHaveLength(501);
    const cut = readFileSync(log, 'utf8');
    expect(cut.length).toBeLessThanOrEqual(4096);
    expect(JSON.parse(cut)).toMatchObject({ outcome: 'ok', exitCode: 0 });
  });

  it('--cancel-blockers ends who is idle in a transaction for longer, tells it, and ends nobody else', async () => {
    const db = await busy();
    const idle = await db.connect();
    idle.on('error', () => {});
    await idle.query("SET application_name = 'forgotten'; BEGIN; SELECT * FROM busy");
    const run = await migrate(db, folder(ALTER), '--cancel-blockers', '100ms');
    expect(run.code, run.stderr).toBe(0);
    expect(run.json().lock?.cancelled).toMatchObject([{ applicationName: 'forgotten' }]);
    expect(run.stderr).toContain('ended a session that was idle in a transaction');
    await expect(idle.query('SELECT 1')).rejects.toThrow();

    const more = folder({ ...ALTER, '0003_more.sql': 'ALTER TABLE busy ADD COLUMN z int;\n' });
    const busyOne = await db.connect();
    await busyOne.query('BEGIN; SELECT * FROM busy');
    const query = busyOne.query('SELECT pg_sleep(600)').catch(() => {});
    const second = await migrate(db, more, '--cancel-blockers', '100ms', '--lock-timeout', '500ms');
    expect(second.code, second.stderr).toBe(5);
    expect(second.json().lock?.cancelled).toBe(undefined);
    await db.superQuery("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'");
    await query;
    await busyOne.end();
  });

  it('--cancel-blockers ends nobody in another database', async () => {
    const db = await busy();
    const elsewhere = new pg.Client({
      host: '127.0.0.1',
      port: db.port,
      database: 'postgres',
      user: db.user,
      password: db.password,
      ssl: false,
    });
    await elsewhere.connect();
    await elsewhere.query("BEGIN; ALTER ROLE CURRENT_USER SET work_mem = '5MB'");
    const files = folder({ ...BASE, '0002_role.sql': "ALTER ROLE CURRENT_USER SET work_mem = '6MB';\n" });
    const run = await migrate(db, files, '--cancel-blockers', '1ms', '--lock-timeout', '2s');
    expect(run.code, run.stderr).toBe(5);
    expect(run.json().lock?.blockers).toMatchObject([{ state: 'idle in transaction' }]);
    expect(run.json().lock?.cancelled).toBe(undefined);
    await elsewhere.query('COMMIT');
    await elsewhere.end();
  });

  it('--cancel-blockers without the right to end somebody › told once, and it goes on waiting', async () => {
    const db = await busy();
    const stranger = await createLogin(db, 'stranger');
    await db.query(`GRANT SELECT ON busy TO ${stranger.user}`);
    const idle = new pg.Client({
      host: '127.0.0.1',
      port: db.port,
      database: db.name,
      user: stranger.user,
      password: stranger.env.POSTGRES_PASSWORD as string,
      ssl: false,
    });
    await idle.connect();
    await idle.query('BEGIN; SELECT * FROM busy');
    const run = startMigrate(db, folder(ALTER), '--cancel-blockers', '1ms');
    await waitFor(async () => (run.stderr().includes('may not end the sessions') ? [1] : []), 'the warning');
    await idle.query('COMMIT');
    await idle.end();
    const result = await run.ended;
    expect(result.code, result.stderr).toBe(0);
    expect(result.stderr.match(/may not end the sessions/g)).toHaveLength(1);
  });

  it('the result says what each migration has locked: the strongest mode, of what was there before', async () => {
    const db = await createDatabase(version);
    const files = folder({
      '0001_two.sql': 'CREATE TABLE one (x int PRIMARY KEY);\nCREATE TABLE two (x int);\nCREATE TABLE three (x int);\n',
      '0002_locks.sql':
        'CREATE INDEX two_x ON two (x);\nALTER TABLE one ADD COLUMN y int;\nCREATE TABLE four (x int REFERENCES one);\nDROP TABLE three;\nCOMMENT ON TABLE two IS NULL;\n',
      '0003_none.sql': 'INSERT INTO two VALUES (1);\n',
    });
    const run = await migrate(db, files);
    expect(run.code, run.stderr).toBe(0);
    expect(run.json().applied?.map(({ locks }) => locks)).toEqual([
      undefined,
      [
        { relation: 'public.one', mode: 'ACCESS EXCLUSIVE' },
        { relation: 'public.three', mode: 'ACCESS EXCLUSIVE' },
        { relation: 'public.two', mode: 'SHARE' },
      ],
      undefined,
    ]);
    const told = (await status(db, files)).json().applied;
    expect(told?.map(({ locks }) => locks)).toEqual(run.json().applied?.map(({ locks }) => locks));
    const { stdout } = await cli(['status', '--migrations', files], db.env);
    expect(stdout).toContain(
      '  0002_locks locked public.one (ACCESS EXCLUSIVE), public.three (ACCESS EXCLUSIVE), public.two (SHARE)\n',
    );
  });

  it('of a no-transaction file too: the strongest of all its statements, but of those that run alone', async () => {
    const db = await busy();
    const files = folder({
      ...BASE,
      '0002_each.sql': `-- kasm-db: no-transaction
CREATE TABLE own (x int);
CREATE INDEX busy_x ON busy (x);
ALTER TABLE busy ADD COLUMN y int;
ALTER TABLE own ADD COLUMN y int;
CREATE INDEX CONCURRENTLY busy_y ON busy (y);
`,
    });
    const locks = [{ relation: 'public.busy', mode: 'ACCESS EXCLUSIVE' }];
    expect((await migrate(db, files)).json().applied).toMatchObject([{ name: '0002_each', locks }]);
    expect((await status(db, files)).json().applied?.[1]).toMatchObject({ name: '0002_each', locks });
  });

  it('a table of the history that somebody has in mid-run › a no-transaction file gives way with its ALTER, and comes through', async () => {
    const db = await busy();
    const holder = await db.connect();
    const openDoor = await closeDoor(await db.connect());
    await db.query(`CREATE FUNCTION slow() RETURNS void LANGUAGE plpgsql AS $$ BEGIN ${UNTIL_OPEN} END $$`);
    const files = folder({
      ...BASE,
      '0002_each.sql': '-- kasm-db: no-transaction\nSELECT slow();\nALTER TABLE busy ADD COLUMN y int;\n',
    });
    const run = startMigrate(db, files);
    await midStatement(db, 'slow()');
    await holder.query('BEGIN; LOCK TABLE kasm_db.migrations IN SHARE MODE');
    await openDoor();
    await waitFor(async () => (run.stderr().includes('gives way') ? [1] : []), 'an attempt to give way');
    await db.query('SELECT * FROM busy');
    await holder.query('COMMIT');
    await holder.end();
    const result = await run.ended;
    expect(result.code, result.stderr).toBe(0);
  });

  it('a schema kasm_db that somebody else has made, without a table for the locks › the run does without, and status too', async () => {
    const db = await busy();
    await db.superQuery(
      `DROP TABLE kasm_db.locks; ALTER SCHEMA kasm_db OWNER TO postgres; GRANT USAGE ON SCHEMA kasm_db TO ${db.user}`,
    );
    const run = await migrate(db, folder(ALTER));
    expect(run.code, run.stderr).toBe(0);
    expect(run.json().applied).toMatchObject([{ locks: [{ relation: 'public.busy' }] }]);
    const { code, json } = await status(db, folder(ALTER));
    expect(code).toBe(0);
    expect(json().applied?.[1]).not.toHaveProperty('locks');
  });
});
