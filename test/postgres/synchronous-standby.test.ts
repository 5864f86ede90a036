import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { cli, folder, type RunningCli, startCli } from '../support/cli.js';
import { waitFor } from '../support/database.js';
import { type RunningServer, startTestServer } from '../support/server.js';
import { busy } from '../support/time.js';

const NAMES = ['0001_one', '0002_two', '0003_three'];
const FILES = {
  '0001_one.sql': 'CREATE TABLE one (x int);\n',
  '0002_two.sql': 'CREATE TABLE two (x int);\n',
  // Waits for whoever has this lock; by then the commits before its own are through.
  '0003_three.sql': 'SET LOCAL lock_timeout = 0;\nSELECT pg_advisory_xact_lock(77);\nCREATE TABLE three (x int);\n',
};

describe('trap 46: a synchronous standby that is gone', () => {
  let scratch: string;
  let server: RunningServer;
  let databases = 0;
  let database: string;

  beforeAll(async () => {
    scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kasm-db-synchronous-'));
    server = await startTestServer(16, scratch, ['synchronous_commit=on']);
  });
  afterAll(async () => {
    await standbys('');
    await server?.stop();
    rmSync(scratch, { recursive: true, force: true });
  });
  beforeEach(async () => {
    await standbys('');
    database = `sync_${databases++}`;
    await query(`CREATE DATABASE ${database}`);
    // All but the last are there, so that the COMMIT that waits is known.
    const before = await cli(['migrate', '--json', '--to', '0002_two', '--migrations', folder(FILES)], env());
    expect(before.code, before.stderr).toBe(0);
  });

  async function connect(name: string): Promise<pg.Client> {
    const { port, password } = server.info;
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', password, database: name, ssl: false });
    await client.connect();
    return client;
  }
  async function query(sql: string, name = 'postgres'): Promise<Record<string, unknown>[]> {
    const client = await connect(name);
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  }
  async function standbys(names: string): Promise<void> {
    await query(`ALTER SYSTEM SET synchronous_standby_names = '${names}'`);
    await query('SELECT pg_reload_conf()');
    await waitFor(
      async () =>
        (await query('SHOW synchronous_standby_names')).filter((row) => row.synchronous_standby_names === names),
      'the setting',
    );
  }
  const env = () => ({
    POSTGRES_HOST: '127.0.0.1',
    POSTGRES_PORT: String(server.info.port),
    POSTGRES_DB: database,
    POSTGRES_USER: 'postgres',
    POSTGRES_PASSWORD: server.info.password,
  });
  const history = async () =>
    (await query('SELECT name FROM kasm_db.migrations ORDER BY name', database)).map((row) => row.name);
  async function nextRunCompletes(): Promise<void> {
    await standbys('');
    const next = await cli(['migrate', '--json', '--migrations', folder(FILES)], env());
    expect(next.code, next.stderr).toBe(0);
    expect(await history()).toEqual(NAMES);
  }
  /** Starts a run and stops it in the COMMIT of 0003. @returns the PID of its session */
  async function startWaiting(): Promise<{ run: RunningCli; pid: number }> {
    const holder = await connect(database);
    await holder.query('SELECT pg_advisory_lock(77)');
    const run = startCli(['migrate', '--json', '--migrations', folder(FILES)], env());
    await waitFor(() => query("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"), 'the file to wait');
    await standbys('gone');
    await holder.end();
    let pid = 0;
    await waitFor(async () => {
      const rows = await query(
        `SELECT pid FROM pg_stat_activity WHERE datname = '${database}' AND wait_event = 'SyncRep'`,
      );
      pid = (rows[0]?.pid as number | undefined) ?? 0;
      return rows;
    }, 'a COMMIT that waits for the standby');
    return { run, pid };
  }

  it('is told after 10 s as what COMMIT waits for; it comes back › the run ends with 0', async () => {
    const { run } = await startWaiting();
    await waitFor(async () => (/synchronous standby/.test(run.stderr()) ? [1] : []), 'the wait to be told', 30_000);
    expect(run.stderr()).toContain('0003_three');
    await standbys('');
    const done = await run.ended;
    expect(done.code, done.stderr).toBe(0);
    expect(await history()).toEqual(NAMES);
  });

  it('SIGTERM ends the run within its 2 s, and what it says of the migration is so', async () => {
    const { run } = await startWaiting();
    const sent = performance.now();
    run.child.kill('SIGTERM');
    const done = await run.ended;
    expect(done.code, done.stderr).toBe(143);
    expect(performance.now() - sent).toBeLessThan(busy(5000));
    const result = done.json();
    // On the primary it is committed, whether or not a standby ever hears of it.
    expect(await history()).toEqual(NAMES);
    expect(result.error?.message).toMatch(/0003_three is committed, but it is not known whether a standby has it/);
    await nextRunCompletes();
  });

  it('trap 53: the session is ended in that COMMIT › 4, not known, and the next run finds it committed', async () => {
    const { run, pid } = await startWaiting();
    await query(`SELECT pg_terminate_backend(${pid})`);
    const done = await run.ended;
    expect(done.code, done.stderr).toBe(4);
    expect(done.json().error).toMatchObject({ migration: '0003_three', message: expect.stringContaining('not known') });
    expect(await history()).toEqual(NAMES);
    await nextRunCompletes();
  });
});
