import { afterEach, describe, expect, it } from 'vitest';
import { fingerprint, historyOf } from '../fixtures/kasm/catalog.js';
import { advisoryLocks, lockTaken, midStatement, noSession, runRow, tableExists } from '../fixtures/kasm/observe.js';
import { cli, folder, startCli } from '../support/cli.js';
import { createDatabase, waitFor } from '../support/database.js';
import { hasPgbouncer, startPgbouncer, type TestPooler } from '../support/pgbouncer.js';
import { startProxy } from '../support/proxy.js';
import { rounds } from '../support/rounds.js';
import { busy } from '../support/time.js';

const FILES = {
  '0001_effects.sql': 'CREATE TABLE effects (name text);\n',
  '0002_one.sql': "INSERT INTO effects VALUES ('0002');\n",
  '0003_two.sql': "INSERT INTO effects VALUES ('0003');\nCREATE TABLE two (x int);\n",
  '0004_three.sql': "INSERT INTO effects VALUES ('0004');\n",
};
const CONCURRENT = {
  ...FILES,
  '0005_index.sql': '-- kasm-db: no-transaction\nCREATE INDEX CONCURRENTLY effects_name ON effects (name);\n',
};

let pooler: TestPooler | undefined;
afterEach(async () => {
  await pooler?.stop();
  pooler = undefined;
});

const migrate = (env: Record<string, string>, files: string, ...args: string[]) =>
  cli(['migrate', '--json', '--migrations', files, ...args], env);

describe.runIf(hasPgbouncer())('through PgBouncer', () => {
  const count = rounds(3, 40);
  it(
    `trap 2: transaction mode, two server connections, 8 migrators at once › exactly once, no lock left; ${count} rounds`,
    { timeout: 60_000 * count },
    async () => {
      const files = folder(FILES);
      for (let round = 0; round < count; round++) {
        const db = await createDatabase();
        pooler = await startPgbouncer(db, 'transaction');
        const { env } = pooler;
        const runs = await Promise.all(Array.from({ length: 8 }, () => migrate(env, files)));
        for (const run of runs) {
          expect([run.code, run.json().database?.connection], `round ${round}: ${run.stderr}`).toEqual([0, 'pooled']);
        }
        const applied = runs.flatMap((run) => run.json().applied ?? []).map(({ name }) => name);
        expect([...applied].sort(), `round ${round}`).toEqual(['0001_effects', '0002_one', '0003_two', '0004_three']);
        expect(await db.query('SELECT name FROM effects ORDER BY name')).toEqual(
          ['0002', '0003', '0004'].map((name) => ({ name })),
        );
        expect(await historyOf(db)).toHaveLength(4);
        // PgBouncer still holds its server connections: a session lock would show.
        expect(await advisoryLocks(db), `round ${round}`).toEqual([]);
        await pooler.stop();
      }
      console.log(`8 migrators × ${count} rounds through PgBouncer: exactly once, 0 locks left`);
      pooler = undefined;
    },
  );

  it('trap 2: a no-transaction migration › exit 9 naming KASM_DB_DIRECT_URL before anything runs; with it, done', async () => {
    const db = await createDatabase();
    pooler = await startPgbouncer(db, 'transaction');
    const files = folder(CONCURRENT);
    const refused = await migrate(pooler.env, files);
    expect(refused.code, refused.stderr).toBe(9);
    expect(refused.json().error).toMatchObject({ code: 'environment', migration: '0005_index' });
    expect(refused.json().error?.hint).toContain('KASM_DB_DIRECT_URL');
    expect(await tableExists(db, 'effects')).toBe(false);
    const direct = `postgresql://${db.user}:${db.password}@127.0.0.1:${db.port}/${db.name}`;
    const run = await migrate({ ...pooler.env, KASM_DB_DIRECT_URL: direct }, files);
    expect([run.code, run.json().database?.connection], run.stderr).toEqual([0, 'direct']);
    expect(run.json().applied).toHaveLength(5);
    const checked = await cli(['check', '--json', '--migrations', files], {
      ...pooler.env,
      KASM_DB_DIRECT_URL: direct,
    });
    expect([checked.code, checked.json().database?.connection], checked.stderr).toEqual([0, 'pooled']);
  });

  it.each([
    ['session', []],
    ['session', ['server_reset_query = SELECT 1', 'server_reset_query_always = 1']],
    ['transaction', ['server_reset_query = DISCARD ALL', 'server_reset_query_always = 1']],
  ] as const)('trap 2: pool_mode=%s %j › also found out, 4 at once, no lock left', async (mode, settings) => {
    const db = await createDatabase();
    const started = await startPgbouncer(db, mode, [...settings]);
    pooler = started;
    const files = folder(FILES);
    const runs = await Promise.all(Array.from({ length: 4 }, () => migrate(started.env, files)));
    for (const run of runs) expect([run.code, run.json().database?.connection], run.stderr).toEqual([0, 'pooled']);
    expect(runs.flatMap((run) => run.json().applied ?? [])).toHaveLength(4);
    expect(await advisoryLocks(db)).toEqual([]);
  });

  it('pool_mode=statement cannot hold a transaction › a named error, and nothing half-done', async () => {
    const db = await createDatabase();
    pooler = await startPgbouncer(db, 'statement');
    const files = folder(FILES);
    const run = await migrate(pooler.env, files, '--connect-timeout', `${busy(2000)}ms`);
    expect(run.code, run.stderr).toBe(9);
    expect(run.json().error?.hint).toContain('KASM_DB_DIRECT_URL');
    expect(await tableExists(db, 'effects')).toBe(false);
    expect(await advisoryLocks(db)).toEqual([]);
    // What is read is of one snapshot, with settings of its own: that too takes a transaction.
    const checked = await cli(['check', '--json', '--migrations', files], pooler.env);
    expect([checked.code, checked.json().error?.hint]).toEqual([9, expect.stringContaining('KASM_DB_DIRECT_URL')]);
  });

  it('trap 36: nothing that a pooler refuses at login; the settings hold in the transactions and leak out of none', async () => {
    const db = await createDatabase();
    for (const setting of ["statement_timeout = '1s'", "lock_timeout = '1ms'", 'search_path = nowhere']) {
      await db.superQuery(`ALTER ROLE ${db.user} SET ${setting}`);
    }
    pooler = await startPgbouncer(db, 'transaction');
    const files = folder({
      '0001_slow.sql':
        "SELECT pg_sleep(1.5);\nCREATE TABLE seen AS SELECT current_setting('lock_timeout') AS lock_timeout;\n",
      '0002_leaks.sql': "SET search_path = pg_temp;\nSET work_mem = '99MB';\n",
      '0003_seen.sql': "CREATE TABLE later AS SELECT current_setting('work_mem') AS work_mem;\n",
    });
    const run = await migrate(pooler.env, files);
    expect(run.code, run.stderr).toBe(0);
    expect(await db.superQuery('SELECT lock_timeout FROM public.seen')).toEqual([{ lock_timeout: '100ms' }]);
    expect(await db.superQuery("SELECT work_mem FROM public.later WHERE work_mem = '99MB'")).toEqual([]);
    // Whoever gets these server connections next finds them as the role has them.
    const left = await db.superQuery(
      'SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    );
    expect(left.length).toBeGreaterThan(0);
    const { Client } = (await import('pg')).default;
    for (let i = 0; i < 4; i++) {
      const client = new Client({
        host: '127.0.0.1',
        port: pooler.port,
        user: db.user,
        password: db.password,
        database: db.name,
        ssl: false,
      });
      await client.connect();
      const { rows } = await client.query(
        "SELECT current_setting('statement_timeout') AS st, current_setting('lock_timeout') AS lt, current_setting('search_path') AS sp, current_setting('work_mem') AS wm",
      );
      await client.end();
      expect(rows).toEqual([{ st: '1s', lt: '1ms', sp: 'nowhere', wm: '4MB' }]);
    }
  });

  it('trap 36: PGOPTIONS, which a pooler refuses at login › a named error that says what to do', async () => {
    const db = await createDatabase();
    pooler = await startPgbouncer(db, 'transaction');
    const run = await migrate(
      { ...pooler.env, PGOPTIONS: '-c work_mem=8MB' },
      folder(FILES),
      '--connect-timeout',
      `${busy(1000)}ms`,
    );
    expect(run.code, run.stderr).toBe(4);
    expect(run.json().error?.message).toContain('options');
    expect(run.json().error?.hint).toContain('PGOPTIONS');
  });

  it('trap 32: the pooler dies in mid-statement and comes back › exit 4, the lock goes, the rerun completes', async () => {
    const db = await createDatabase();
    pooler = await startPgbouncer(db, 'transaction');
    const slow = folder({ ...FILES, '0003_two.sql': `SELECT pg_sleep(30);\n${FILES['0003_two.sql']}` });
    const { ended } = startCli(['migrate', '--json', '--migrations', slow], pooler.env);
    await midStatement(db, 'pg_sleep(30)');
    await pooler.kill();
    const run = await ended;
    expect(run.code, run.stderr).toBe(4);
    expect(run.json().applied).toHaveLength(2);
    await pooler.start();
    const next = await migrate(pooler.env, folder(FILES));
    expect(next.code, next.stderr).toBe(0);
    expect(next.json().applied?.map(({ name }) => name)).toEqual(['0003_two', '0004_three']);
    expect(await advisoryLocks(db)).toEqual([]);
  });

  it('trap 51: the server ends its session in mid-statement › exit 4 with its JSON, never 0; the rerun completes', async () => {
    const db = await createDatabase();
    pooler = await startPgbouncer(db, 'transaction');
    const slow = folder({ ...FILES, '0003_two.sql': `SELECT pg_sleep(30);\n${FILES['0003_two.sql']}` });
    const { ended } = startCli(['migrate', '--json', '--migrations', slow], pooler.env);
    await midStatement(db, 'pg_sleep(30)');
    await db.superQuery(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep(30)%' AND pid <> pg_backend_pid()",
    );
    const run = await ended;
    expect(run.code, run.stderr).toBe(4);
    expect(run.json()).toMatchObject({ outcome: 'unreachable' });
    expect(run.json().applied).toHaveLength(2);
    const next = await migrate(pooler.env, folder(FILES));
    expect(next.code, next.stderr).toBe(0);
    expect(next.json().applied?.map(({ name }) => name)).toEqual(['0003_two', '0004_three']);
  });

  it('trap 52: a failover loses an acknowledged migration between two attempts › planned anew, no gap', async () => {
    const db = await createDatabase();
    pooler = await startPgbouncer(db, 'transaction');
    const files = folder({ ...FILES, '0004_three.sql': 'ALTER TABLE effects ADD COLUMN three int;\n' });
    await migrate(pooler.env, files, '--to', '0002_one');
    const reader = await db.connect();
    await reader.query('BEGIN; SELECT * FROM effects');
    const run = startCli(['migrate', '--json', '--migrations', files], pooler.env);
    await waitFor(() => db.query("SELECT FROM kasm_db.migrations WHERE name = '0003_two'"), '0003');
    await waitFor(async () => (run.stderr().includes('0004_three') ? [1] : []), 'the second attempt of 0004');
    // What an asynchronous standby that is promoted has not got.
    await db.query(
      "DELETE FROM kasm_db.migrations WHERE name = '0003_two'; DROP TABLE two; DELETE FROM effects WHERE name = '0003'",
    );
    await reader.query('COMMIT');
    await reader.end();
    const result = await run.ended;
    expect(result.code, result.stderr).toBe(0);
    expect((await historyOf(db)).map(({ name }) => name)).toEqual([
      '0001_effects',
      '0002_one',
      '0003_two',
      '0004_three',
    ]);
    expect(await tableExists(db, 'two')).toBe(true);
    expect((await cli(['check', '--migrations', files], pooler.env)).code).toBe(0);
  });

  it('trap 12: another migrator with other files comes between plan and lock › planned anew, so only one of them goes on', async () => {
    const db = await createDatabase();
    pooler = await startPgbouncer(db, 'transaction');
    const one = { '0001_one.sql': 'CREATE TABLE one (x int);' };
    const theirs = folder({ ...one, '0002_theirs.sql': 'CREATE TABLE theirs (x int);' });
    const files = folder({ ...one, '0002_ours.sql': 'CREATE TABLE ours (x int);' });
    const { env } = pooler;
    expect((await migrate(env, files, '--to', '0001_one')).code).toBe(0);
    let met = false;
    const proxy = await startProxy(pooler.port, {
      onMessage: async ({ direction, text }) => {
        // Its run row is written; next it begins the migration.
        if (met || direction !== 'to server' || !text().includes('DISCARD TEMP; DISCARD SEQUENCES; '))
          return 'pass' as const;
        met = true;
        expect((await migrate(env, theirs)).code).toBe(0);
        return 'pass' as const;
      },
    });
    const run = await migrate({ ...env, POSTGRES_PORT: String(proxy.port) }, files);
    proxy.stop();
    expect(met).toBe(true);
    expect(run.code, run.stderr).toBe(6);
    expect((await historyOf(db)).map(({ name }) => name)).toEqual(['0001_one', '0002_theirs']);
    expect(await tableExists(db, 'ours')).toBe(false);
  });

  it('trap 5: SIGTERM in mid-statement › exit 143 within 2 s, rolled back, lock free', async () => {
    const db = await createDatabase();
    pooler = await startPgbouncer(db, 'transaction');
    const slow = folder({ '0001_slow.sql': 'CREATE TABLE slow (x int);\nSELECT pg_sleep(30);\n' });
    const { child, ended } = startCli(['migrate', '--json', '--migrations', slow], pooler.env);
    await midStatement(db, 'pg_sleep(30)');
    await lockTaken(db);
    const sent = performance.now();
    child.kill('SIGTERM');
    const run = await ended;
    expect(run.code, run.stderr).toBe(143);
    expect(performance.now() - sent).toBeLessThan(busy(2000));
    expect(await advisoryLocks(db)).toEqual([]);
    expect(await tableExists(db, 'slow')).toBe(false);
    expect(await runRow(db)).toMatchObject({ phase: 'failed' });
  });

  it('a table that somebody keeps › the blocker is reported, through the pooler too', async () => {
    const db = await createDatabase();
    pooler = await startPgbouncer(db, 'transaction');
    const files = folder({ ...FILES, '0005_alter.sql': 'ALTER TABLE effects ADD COLUMN y int;\n' });
    await migrate(pooler.env, files, '--to', '0004_three');
    const reader = await db.connect();
    await reader.query("SET application_name = 'a report'; BEGIN; SELECT * FROM effects");
    const run = startCli(['migrate', '--json', '--migrations', files], pooler.env);
    await waitFor(async () => (run.stderr().includes('waits for a lock') ? [1] : []), 'the report');
    await reader.query('COMMIT');
    await reader.end();
    const result = await run.ended;
    expect(result.code, result.stderr).toBe(0);
    expect(result.json().lock?.blockers).toMatchObject([{ applicationName: 'a report', relation: 'public.effects' }]);
  });

  it('reaches the catalog of a direct run', async () => {
    const [direct, pooled] = [await createDatabase(), await createDatabase()];
    pooler = await startPgbouncer(pooled, 'transaction');
    for (const env of [direct.env, pooler.env]) expect((await cli(['migrate', '--json'], env)).code).toBe(0);
    expect(await fingerprint(pooled)).toBe(await fingerprint(direct));
    expect(await historyOf(pooled)).toEqual(await historyOf(direct));
    await pooler.stop();
    pooler = undefined;
    await noSession(pooled);
  });
});
