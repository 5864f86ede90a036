import type pg from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { createLogin, ENGINE_VERSIONS, migrate, startMigrate, status } from '../fixtures/kasm/observe.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase, type TestDatabase, waitFor } from '../support/database.js';
import { SECRET_MARK } from '../support/global-setup.js';
import { startProxy } from '../support/proxy.js';
import { busy } from '../support/time.js';

const open: pg.Client[] = [];
afterEach(async () => {
  for (const client of open.splice(0)) await client.end();
});

/** A session that has read the table in a transaction which is still open. @param application its application_name */
async function reader(
  db: TestDatabase,
  application: string,
  table = 'busy',
): Promise<{ client: pg.Client; pid: number }> {
  const client = await db.connect();
  open.push(client);
  await client.query(`SET application_name = '${application}'`);
  await client.query('BEGIN');
  await client.query(`SELECT '${SECRET_MARK}in-a-query' FROM ${table}`);
  const { rows } = await client.query(`SELECT pg_backend_pid() AS pid, '${SECRET_MARK}in-a-query' AS s`);
  return { client, pid: rows[0].pid };
}

const files = (second: string, timeout = '600ms') =>
  folder({
    '0001_busy.sql': 'CREATE TABLE busy (x int);\nINSERT INTO busy VALUES (1);\n',
    '0002_second.sql': `-- kasm-db: lock-timeout ${timeout}\n${second}\n`,
  });
const ALTER = 'ALTER TABLE busy ADD COLUMN y int;';

async function busyDatabase(version: (typeof ENGINE_VERSIONS)[number]): Promise<TestDatabase> {
  const db = await createDatabase(version);
  await migrate(db, files(ALTER), '--to', '0001_busy');
  return db;
}

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › a migration that waits for a table', (version) => {
  it('gives up › exit 5, and text, JSON and log say who is in the way, without the text of any query', async () => {
    const db = await busyDatabase(version);
    const { pid } = await reader(db, 'a report');
    const run = await migrate(db, files(ALTER), '--lock-timeout', `${busy(3000)}ms`);
    expect(run.code, run.stderr).toBe(5);
    const { lock, error } = run.json();
    expect(lock?.waitedMs).toBeGreaterThan(1000);
    expect(lock?.blockers).toEqual([
      {
        pid,
        applicationName: 'a report',
        clientAddr: '127.0.0.1',
        state: 'idle in transaction',
        querySeconds: expect.any(Number),
        transactionSeconds: expect.any(Number),
        relation: 'public.busy',
        wanted: 'AccessExclusiveLock',
        held: 'AccessShareLock',
      },
    ]);
    expect(error?.message).toMatch(
      new RegExp(
        `in the way: PID ${pid} \\(a report, from 127.0.0.1, idle in transaction, transaction of \\d+ s\\) holds AccessShareLock on public.busy$`,
      ),
    );
    expect(error?.hint).toContain(`SELECT pg_terminate_backend(${pid})`);
    expect(run.stderr).toContain(`0002_second waits for a lock: PID ${pid} (a report`);
    // Several attempts in these 3 s, but one line in 10 s.
    const lines = 1 + Math.floor(run.ms / 10_000);
    expect(run.stderr.match(/waits for a lock/g)?.length).toBeLessThanOrEqual(lines);
    expect(run.stderr.match(/gives way/g)?.length).toBeLessThanOrEqual(lines);
    expect(run.stdout + run.stderr).not.toContain(SECRET_MARK);
  });

  it('succeeds when they have ended › the JSON still says who it was', async () => {
    const db = await busyDatabase(version);
    const { client, pid } = await reader(db, 'short report');
    const run = startMigrate(db, files(ALTER));
    await waitFor(async () => (run.stderr().includes('waits for a lock') ? [1] : []), 'the report');
    await client.query('COMMIT');
    const result = await run.ended;
    expect(result.code, result.stderr).toBe(0);
    expect(result.json().lock).toMatchObject({ blockers: [{ pid, applicationName: 'short report' }] });
  });

  it.each([
    ['who is in the way', 'pg_blocking_pids'],
    ['whether that second connection works', 'SELECT 1'],
  ])('a run that ends while it still asks %s sends no cancel request, which a pooler could die of', async (_, asked) => {
    const db = await busyDatabase(version);
    let running = Number.POSITIVE_INFINITY;
    let watching = -1;
    let cancels = 0;
    const proxy = await startProxy(db.port, {
      onMessage: ({ direction, connection, bytes, text }) => {
        if (direction === 'to server') {
          if (text().includes('busy_wait')) running = connection;
          if (connection > running && text().includes(asked)) watching = connection;
          if (bytes.length === 16 && bytes.readInt32BE(4) === 80877102) cancels++;
        }
        return direction === 'to client' && connection === watching ? 'drop' : 'pass';
      },
    });
    const env = { ...db.env, POSTGRES_PORT: String(proxy.port), PGSSLMODE: 'disable' };
    // It ends as soon as it is asked about.
    const sql = `DO $busy_wait$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%${asked}%') LOOP
      PERFORM pg_sleep(0.05), pg_stat_clear_snapshot(); END LOOP; END $busy_wait$;`;
    const run = await cli(['migrate', '--json', '--migrations', files(sql)], env);
    expect(run.code, run.stderr).toBe(0);
    expect(watching).toBeGreaterThanOrEqual(0);
    proxy.stop();
    expect(cancels).toBe(0);
  });

  it('a role that may not look into other sessions is told PID, application and lock', async () => {
    const db = await busyDatabase(version);
    const { user, env } = await createLogin(db, 'plain');
    await db.superQuery(`ALTER TABLE busy OWNER TO ${user}; GRANT ALL ON SCHEMA public, kasm_db TO ${user}`);
    await db.superQuery(`GRANT ALL ON ALL TABLES IN SCHEMA kasm_db TO ${user}; GRANT SELECT ON busy TO ${db.user}`);
    const { pid } = await reader(db, 'another role');
    const run = await cli(
      ['migrate', '--json', '--migrations', files(ALTER), '--lock-timeout', `${busy(1500)}ms`],
      env,
    );
    expect(run.code, run.stderr).toBe(5);
    expect(run.json().lock?.blockers).toMatchObject([
      { pid, applicationName: 'another role', state: null, transactionSeconds: null, held: 'AccessShareLock' },
    ]);
    expect(run.json().error?.message).toContain(`PID ${pid} (another role) holds AccessShareLock on public.busy`);
  });

  it('a row that another transaction has changed: its table is named', async () => {
    const db = await busyDatabase(version);
    const { client, pid } = await reader(db, 'a writer');
    await client.query('UPDATE busy SET x = 2');
    const run = await migrate(db, files('UPDATE busy SET x = 3;'), '--lock-timeout', `${busy(1500)}ms`);
    expect(run.code, run.stderr).toBe(5);
    expect(run.json().lock?.blockers).toMatchObject([
      { pid, relation: 'public.busy', wanted: 'ShareLock', held: 'ExclusiveLock' },
    ]);
  });

  it('CREATE INDEX CONCURRENTLY that waits for an old transaction says for which', async () => {
    const db = await busyDatabase(version);
    const { client, pid } = await reader(db, 'an old one');
    await client.query('LOCK TABLE busy IN ROW EXCLUSIVE MODE');
    const cic = folder({
      '0001_busy.sql': 'CREATE TABLE busy (x int);\nINSERT INTO busy VALUES (1);\n',
      '0002_index.sql': '-- kasm-db: no-transaction\nCREATE INDEX CONCURRENTLY busy_x ON busy (x);\n',
    });
    const run = startMigrate(db, cic);
    await waitFor(async () => (run.stderr().includes('waits for a lock') ? [1] : []), 'the report');
    expect(run.stderr()).toContain(`0002_index waits for a lock: PID ${pid} (an old one`);
    await client.query('COMMIT');
    const result = await run.ended;
    expect(result.code, result.stderr).toBe(0);
  });

  it('status shows the run in progress and who holds the migration lock', async () => {
    const db = await busyDatabase(version);
    const { client } = await reader(db, 'x');
    const run = startMigrate(db, files(ALTER));
    await waitFor(async () => (run.stderr().includes('waits for a lock') ? [1] : []), 'the report');
    const { lock, run: row } = (await status(db, files(ALTER))).json();
    expect(row).toMatchObject({ phase: 'migrate', current: '0002_second', done: 0, total: 1 });
    expect(lock?.holder?.applicationName).toMatch(/^kasm-db\//);
    const { stdout } = await cli(['status', '--migrations', files(ALTER)], db.env);
    expect(stdout).toMatch(/^Run in progress: migrate, 0 of 1 migration, at 0002_second; .* by kasm-db\//m);
    expect(stdout).toContain(`Migration lock: held by PID ${lock?.holder?.pid} (kasm-db/`);
    await client.query('COMMIT');
    expect((await run.ended).code).toBe(0);
  });
});
