import { mkdtempSync } from 'node:fs';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createLogin, ENGINE_VERSIONS, migrate, startMigrate } from '../fixtures/kasm/observe.js';
import { cli } from '../support/cli.js';
import { createDatabase, type TestDatabase, type Version, waitFor } from '../support/database.js';
import { folder } from '../support/folder.js';

import { type RunningServer, startTestServer } from '../support/server.js';

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
    const query = busyOne.query('SELECT pg_sleep(2)');
    const second = await migrate(db, more, '--cancel-blockers', '100ms', '--lock-timeout', '500ms');
    expect(second.code, second.stderr).toBe(5);
    expect(second.json().lock?.cancelled).toBe(undefined);
    await query;
    await busyOne.end();
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

describe.each([13, 18] as Version[])('PostgreSQL %i › autovacuum, made slow', (version) => {
  let server: RunningServer;
  beforeAll(async () => {
    const scratch = mkdtempSync(join(dirname(inject('outputLog')), 'autovacuum-'));
    server = await startTestServer(version, scratch, [
      ...['autovacuum_naptime=1', 'autovacuum_vacuum_threshold=0', 'autovacuum_vacuum_scale_factor=0'],
      ...['autovacuum_vacuum_cost_delay=100', 'autovacuum_vacuum_cost_limit=1', 'deadlock_timeout=1s'],
    ]);
  });
  afterAll(() => server.stop());

  it('trap 43: a worker that has the table gives way, because the attempt waits longer than deadlock_timeout', async () => {
    const env = {
      POSTGRES_HOST: '127.0.0.1',
      POSTGRES_PORT: String(server.info.port),
      POSTGRES_DB: 'postgres',
      POSTGRES_USER: 'postgres',
      POSTGRES_PASSWORD: server.info.password,
    };
    const run = (files: Record<string, string>) => cli(['migrate', '--json', '--migrations', folder(files)], env);
    const base = { '0001_large.sql': 'CREATE TABLE large AS SELECT generate_series(1, 100000) AS x;\n' };
    expect((await run(base)).code).toBe(0);
    const admin = new pg.Client({
      host: '127.0.0.1',
      port: server.info.port,
      database: 'postgres',
      user: 'postgres',
      password: server.info.password,
      ssl: false,
    });
    await admin.connect();
    await admin.query('DELETE FROM large WHERE x % 2 = 0');
    const vacuuming = "SELECT FROM pg_stat_progress_vacuum WHERE relid = 'large'::regclass";
    await waitFor(async () => (await admin.query(vacuuming)).rows, 'autovacuum to take the table', 60_000);
    const result = await run({ ...base, '0002_alter.sql': 'ALTER TABLE large ADD COLUMN y int;\n' });
    await admin.end();
    expect(result.code, result.stderr).toBe(0);
    expect(result.stderr).toContain('an autovacuum worker');
    expect(server.log()).toContain('canceling autovacuum task');
  });
});
