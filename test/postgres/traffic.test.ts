import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { createLogin, ENGINE_VERSIONS, migrate, startMigrate } from '../fixtures/kasm/observe.js';
import { createDatabase, type TestDatabase, waitFor } from '../support/database.js';
import { folder } from '../support/folder.js';

const BASE = { '0001_busy.sql': 'CREATE TABLE busy (x int);\nINSERT INTO busy VALUES (1);\n' };
const ALTER = { ...BASE, '0002_alter.sql': 'ALTER TABLE busy ADD COLUMN y int;\n' };

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › traffic', (version) => {
  async function busy(): Promise<TestDatabase> {
    const db = await createDatabase(version);
    expect((await migrate(db, folder(BASE))).code).toBe(0);
    return db;
  }

  it('trap 42: while a forgotten transaction has the table, nobody waits behind the migration', async () => {
    const db = await busy();
    const forgotten = await db.connect();
    await forgotten.query('BEGIN; SELECT * FROM busy');
    const run = startMigrate(db, folder(ALTER));
    await waitFor(
      async () => (run.stderr().includes('0002_alter waits for a lock') ? [1] : []),
      'the blocker to be seen',
    );
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
    expect(result.json().lock?.blockers).toMatchObject([{ state: 'idle in transaction', relation: 'public.busy' }]);
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
    const run = await migrate(db, files, '--cancel-blockers', '1ms', '--lock-timeout', '500ms');
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
  });
});
