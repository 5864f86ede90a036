import type pg from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { LOCK_KEY } from '../../src/postgres/lock.js';
import { fingerprint, historyOf } from '../fixtures/kasm/catalog.js';
import {
  advisoryLocks,
  check,
  ENGINE_VERSIONS,
  midStatement,
  migrate,
  noSession,
  sessions,
  shippedAnd,
  startMigrate,
  tableExists,
} from '../fixtures/kasm/observe.js';
import { folder, startCli } from '../support/cli.js';
import { createDatabase, type TestDatabase, waitFor } from '../support/database.js';
import { once } from '../support/once.js';
import { startProxy, type Verdict } from '../support/proxy.js';
import { rounds } from '../support/rounds.js';

const COUNTED = {
  '0001_effects.sql': 'CREATE TABLE effects (name text);\n',
  '0002_count.sql': "INSERT INTO effects VALUES ('0002');\n",
};

const open: pg.Client[] = [];
afterEach(async () => {
  for (const client of open.splice(0)) await client.end();
});

/** A session of the owner that ends with the test. */
async function session(db: TestDatabase, ...statements: string[]): Promise<{ client: pg.Client; pid: number }> {
  const client = await db.connect();
  open.push(client);
  for (const sql of statements) await client.query(sql);
  const { rows } = await client.query('SELECT pg_backend_pid() AS pid');
  return { client, pid: rows[0].pid };
}

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › many migrators at once', (version) => {
  const count = rounds(2, 20);
  it(
    `trap 11: 16 on an empty database › all exit 0, each migration is applied exactly once; ${count} rounds`,
    { timeout: 180_000 * count },
    async () => {
      const files = shippedAnd({
        '0100_count.sql': 'CREATE TABLE effects (x int);\n',
        '0101_count.sql': 'INSERT INTO effects VALUES (1);\n',
      });
      let expected = '';
      for (let round = 0; round < count; round++) {
        const db = await createDatabase(version);
        const runs = await Promise.all(Array.from({ length: 16 }, () => migrate(db, files)));
        for (const run of runs) {
          expect(run.code, `round ${round}: ${run.stderr}`).toBe(0);
          expect(run.stderr).not.toMatch(/SQLSTATE/);
        }
        const applied = runs.flatMap((run) => run.json().applied ?? []).map(({ name }) => name);
        const names = (await historyOf(db)).map(({ name }) => name);
        expect([...applied].sort(), `round ${round}`).toEqual(names);
        expect(await db.query('SELECT count(*)::int AS n FROM effects')).toEqual([{ n: 1 }]);
        expect(await advisoryLocks(db)).toEqual([]);
        expected ||= await fingerprint(db);
        expect(await fingerprint(db)).toBe(expected);
      }
    },
  );

  it('trap 12: one that planned before the other had finished reads the history again and applies nothing', async () => {
    const db = await createDatabase(version);
    const files = folder(COUNTED);
    const planned = once();
    const go = once();
    const proxy = await startProxy(db.port, {
      onMessage: async ({ direction, text }): Promise<Verdict> => {
        if (direction === 'to server' && text().includes('pg_try_advisory_lock')) {
          planned.happen();
          await go.happened;
        }
        return 'pass';
      },
    });
    const late = startCli(['migrate', '--json', '--migrations', files], {
      ...db.env,
      POSTGRES_PORT: String(proxy.port),
    });
    await planned.happened;
    expect((await migrate(db, files)).json().applied).toHaveLength(2);
    go.happen();
    const run = await late.ended;
    proxy.stop();
    expect(run.json()).toMatchObject({ outcome: 'ok', applied: [] });
    expect(await db.query('SELECT count(*)::int AS n FROM effects')).toEqual([{ n: 1 }]);
    expect(await historyOf(db)).toHaveLength(2);
  });
});

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › the migration lock', (version) => {
  it('held for the whole --lock-timeout › exit 5 naming the holder', async () => {
    const db = await createDatabase(version);
    const { pid } = await session(db, "SET application_name = 'somebody'", `SELECT pg_advisory_lock(${LOCK_KEY})`);
    const run = await migrate(db, folder(COUNTED), '--lock-timeout', '1s');
    expect(run.code, run.stderr).toBe(5);
    expect(run.json().error).toMatchObject({ code: 'locked' });
    expect(run.json().error?.message).toContain(`PID ${pid} (somebody`);
    expect(await tableExists(db, 'kasm_db.migrations')).toBe(false);
  });

  it('a waiter holds no connection between its tries, says who it waits for, and goes on when the lock is free', async () => {
    const db = await createDatabase(version);
    const { client, pid } = await session(db, `SELECT pg_advisory_lock(${LOCK_KEY})`);
    const waiter = startMigrate(db, folder(COUNTED));
    await waitFor(async () => (waiter.stderr().includes('waiting') ? [1] : []), 'the waiter to wait');
    for (let tries = 0; tries < 2; tries++) {
      await noSession(db);
      await waitFor(() => sessions(db), 'the next try');
    }
    expect(waiter.stderr()).toContain(`PID ${pid}`);
    await client.query(`SELECT pg_advisory_unlock(${LOCK_KEY})`);
    const run = await waiter.ended;
    expect(run.code, run.stderr).toBe(0);
    expect(run.json().lock?.holder).toMatchObject({ pid });
    expect(run.json().lock?.waitedMs).toBeGreaterThan(0);
  });

  it('is not waited for when there is nothing to do', async () => {
    const db = await createDatabase(version);
    const files = folder(COUNTED);
    await migrate(db, files);
    await session(db, `SELECT pg_advisory_lock(${LOCK_KEY})`);
    const run = await migrate(db, files, '--lock-timeout', '1s');
    expect(run.json()).toMatchObject({ outcome: 'ok', applied: [] });
  });

  it('trap 25: waiting for a migrator is not cut by the lock-timeout of a migration, trap 18: nor by timeouts of the role', async () => {
    const db = await createDatabase(version);
    const { client } = await session(db, `SELECT pg_advisory_lock(${LOCK_KEY})`);
    for (const name of ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']) {
      await db.superQuery(`ALTER ROLE ${db.user} SET ${name} = '300ms'`);
    }
    const { ended, stderr } = startMigrate(
      db,
      folder({ '0001_short.sql': '-- kasm-db: lock-timeout 100ms\nCREATE TABLE short (x int);\n' }),
    );
    await waitFor(async () => (stderr().includes('waiting for the migration lock') ? [1] : []), 'it to wait');
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await client.query(`SELECT pg_advisory_unlock(${LOCK_KEY})`);
    const run = await ended;
    expect(run.code, run.stderr).toBe(0);
  });

  it('trap 19: is free after success, after a failure and after an error before the first statement', async () => {
    const db = await createDatabase(version);
    expect((await migrate(db, folder({ ...COUNTED, '0003_bad.sql': 'SELECT 1 / 0;' }))).code).toBe(7);
    expect(await advisoryLocks(db)).toEqual([]);
    await db.superQuery('ALTER TABLE kasm_db.migrations ADD COLUMN extra int');
    expect((await migrate(db, folder({ ...COUNTED, '0003_good.sql': 'SELECT 1;' }))).code).toBe(6);
    expect(await advisoryLocks(db)).toEqual([]);
    await db.superQuery('ALTER TABLE kasm_db.migrations DROP COLUMN extra');
    expect((await migrate(db, folder({ ...COUNTED, '0003_good.sql': 'SELECT 1;' }))).code).toBe(0);
    expect(await advisoryLocks(db)).toEqual([]);
    await noSession(db);
  });

  it('trap 20: a server whose advisory locks always say yes is found out', async () => {
    const db = await createDatabase(version);
    await session(db, `SELECT pg_advisory_lock(${LOCK_KEY})`);
    // Such a server is played by a function in the place of the real one; one in another schema is never called (CVE-2018-1058).
    await db.superQuery(
      `SET allow_system_table_mods = on; ALTER FUNCTION pg_catalog.pg_try_advisory_lock(bigint) RENAME TO really_try_advisory_lock;
       CREATE FUNCTION pg_catalog.pg_try_advisory_lock(bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true'`,
    );
    const run = await migrate(db, folder(COUNTED), '--lock-timeout', '1s');
    expect(run.code, run.stderr).toBe(9);
    expect(run.json().error?.message).toContain('do not exclude each other');
    expect(await tableExists(db, 'public.effects')).toBe(false);
  });
});

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › DDL that has to wait for a table', (version) => {
  const files = (timeout: string) =>
    folder({
      '0001_busy.sql': 'CREATE TABLE busy (x int);\nINSERT INTO busy VALUES (1);\n',
      '0002_alter.sql': `-- kasm-db: lock-timeout ${timeout}\nALTER TABLE busy ADD COLUMN y int;\n`,
    });

  it('trap 17: gives way to readers, and succeeds after the long one has ended', async () => {
    const db = await createDatabase(version);
    await migrate(db, files('1s'), '--to', '0001_busy');
    const reader = await session(db, 'BEGIN', 'SELECT * FROM busy');
    const others = await session(db);
    const run = startMigrate(db, files('1s'));
    const read = async () => expect((await others.client.query('SELECT * FROM busy')).rows).toEqual([{ x: 1 }]);
    const waiting = () =>
      db.superQuery(
        "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
      );
    // A new reader reads while the old one still has the table, whether it comes into the queue or after it.
    while (run.child.exitCode === null && !run.stderr().includes('0002_alter gives way')) await read();
    await waitFor(async () => (run.stderr().includes('waits for a lock') ? [1] : []), 'the reader to be seen');
    await waitFor(async () => ((await waiting()).length === 0 ? [1] : []), 'the attempt to give way');
    // From now on nobody waits: kasm-db is out of the queue until the old reader has ended.
    for (let reads = 0; reads < 5; reads++) {
      await read();
      expect(await waiting()).toEqual([]);
    }
    expect(run.child.exitCode).toBe(null);
    await reader.client.query('COMMIT');
    const result = await run.ended;
    expect(result.code, result.stderr).toBe(0);
    await db.query('SELECT y FROM busy');
  });

  it('--lock-timeout counts what was waited, not what earlier migrations or the statements before took', async () => {
    const db = await createDatabase(version);
    await migrate(db, files('200ms'), '--to', '0001_busy');
    const reader = await session(db, 'BEGIN', 'SELECT * FROM busy');
    const slow = folder({
      '0001_busy.sql': 'CREATE TABLE busy (x int);\nINSERT INTO busy VALUES (1);\n',
      '0002_slow.sql': 'SELECT pg_sleep(3);\n',
      '0003_alter.sql': '-- kasm-db: lock-timeout 200ms\nSELECT pg_sleep(3);\nALTER TABLE busy ADD COLUMN y int;\n',
    });
    const run = startMigrate(db, slow, '--lock-timeout', '2s');
    await waitFor(async () => (run.stderr().includes('0003_alter gives way') ? [1] : []), 'the ALTER to give way');
    await reader.client.query('COMMIT');
    const result = await run.ended;
    expect(result.code, result.stderr).toBe(0);
  });

  it('gives up with exit 5 after --lock-timeout, and nothing of it is kept', async () => {
    const db = await createDatabase(version);
    await migrate(db, files('200ms'), '--to', '0001_busy');
    await session(db, 'BEGIN', 'SELECT * FROM busy');
    const run = await migrate(db, files('200ms'), '--lock-timeout', '1500ms');
    expect(run.code, run.stderr).toBe(5);
    expect(run.json().error).toMatchObject({ sqlstate: '55P03', migration: '0002_alter' });
    expect(await historyOf(db)).toHaveLength(1);
    expect(await advisoryLocks(db)).toEqual([]);
  });

  it.runIf(version >= 14)('trap 18: is not cut by idle_session_timeout of the role while it pauses', async () => {
    const db = await createDatabase(version);
    await migrate(db, files('100ms'), '--to', '0001_busy');
    const reader = await session(db, 'BEGIN', 'SELECT * FROM busy');
    await db.superQuery(`ALTER ROLE ${db.user} SET idle_session_timeout = '400ms'`);
    const { ended, stderr } = startMigrate(db, files('100ms'));
    await waitFor(async () => (stderr().includes('gives way') ? [1] : []), 'the ALTER to give way');
    // Its pauses have grown beyond that time.
    await new Promise((resolve) => setTimeout(resolve, 4000));
    await reader.client.query('COMMIT');
    const run = await ended;
    expect(run.code, run.stderr).toBe(0);
  });

  it('a deadlock with other sessions is tried again', async () => {
    const db = await createDatabase(version);
    const both = folder({
      '0001_two.sql':
        'CREATE TABLE a (x int); CREATE TABLE b (x int); INSERT INTO a VALUES (1); INSERT INTO b VALUES (1);\n',
      '0002_both.sql':
        '-- kasm-db: lock-timeout 10s\nUPDATE a SET x = 2;\nSELECT pg_sleep(0.5);\nUPDATE b SET x = 2;\n',
    });
    await migrate(db, both, '--to', '0001_two');
    const other = await session(db, 'BEGIN', 'UPDATE b SET x = 3');
    const { ended } = startMigrate(db, both);
    await midStatement(db, 'pg_sleep(0.5)');
    // Waits for the migrator's row; then the migrator waits for ours: the server ends one of the two.
    await other.client.query('UPDATE a SET x = 3').then(
      () => other.client.query('COMMIT'),
      () => other.client.query('ROLLBACK'),
    );
    const run = await ended;
    expect(run.code, run.stderr).toBe(0);
    expect(await db.query('SELECT x FROM a UNION ALL SELECT x FROM b')).toEqual([{ x: 2 }, { x: 2 }]);
    expect((await check(db, both)).code).toBe(0);
  });
});
