import { spawn } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { fingerprint, historyOf } from '../fixtures/kasm/catalog.js';
import {
  advisoryLocks,
  check,
  ENGINE_VERSIONS,
  midStatement,
  migrate,
  noSession,
  runRow,
  sessions,
  shippedAnd,
  startMigrate,
  status,
  tableExists,
} from '../fixtures/kasm/observe.js';
import { folder, startCli } from '../support/cli.js';
import { createDatabase, type TestDatabase, waitFor } from '../support/database.js';
import { once } from '../support/once.js';
import { startProxy, type TestProxy, type Verdict } from '../support/proxy.js';
import { randomSource, rounds } from '../support/rounds.js';
import { busy } from '../support/time.js';

const SLOW = folder({
  '0001_first.sql': 'CREATE TABLE first (x int);\n',
  '0002_slow.sql': 'CREATE TABLE slow (x int);\nSELECT pg_sleep(30);\nCREATE TABLE later (x int);\n',
});
/** The same migrations as the next run finds them: nothing to sleep for. */
const QUICK = folder({
  '0001_first.sql': 'CREATE TABLE first (x int);\n',
  '0002_slow.sql': 'CREATE TABLE slow (x int);\nCREATE TABLE later (x int);\n',
});

/** Only 0001 is there, and nothing of 0002. */
async function expectRolledBack(db: TestDatabase) {
  expect((await historyOf(db)).map(({ name }) => name)).toEqual(['0001_first']);
  expect([await tableExists(db, 'slow'), await tableExists(db, 'later')]).toEqual([false, false]);
}

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › migrate › killed', (version) => {
  const { seed, next } = randomSource();
  const files = shippedAnd({
    '0100_concurrent.sql':
      "-- kasm-db: no-transaction\nSET lock_timeout = '5s';\nCREATE INDEX CONCURRENTLY extra_a ON users (email);\nCREATE INDEX CONCURRENTLY extra_b ON users (phone);\nDROP INDEX CONCURRENTLY extra_a;\n",
    '0101_after.sql': 'CREATE TABLE counted (x int);\nINSERT INTO counted VALUES (1);\n',
  });
  let undisturbed: { fingerprint: string; history: unknown; ms: number };
  beforeAll(async () => {
    const db = await createDatabase(version);
    const run = await migrate(db, files);
    expect(run.code, run.stderr).toBe(0);
    undisturbed = { fingerprint: await fingerprint(db), history: await historyOf(db), ms: run.ms };
  });

  const count = rounds(4, 50);
  it(
    `by SIGKILL at ${count} random moments › the next run reaches the same catalog and history`,
    { timeout: 180_000 + count * 10_000 },
    async () => {
      console.log(`PostgreSQL ${version}: KASM_DB_SEED=${seed}`);
      let early = 0;
      for (let round = 0; round < count; round++) {
        const db = await createDatabase(version);
        const { child, ended } = startMigrate(db, files);
        const after = next() * undisturbed.ms;
        await new Promise((resolve) => setTimeout(resolve, after));
        child.kill('SIGKILL');
        await ended;
        const context = `seed ${seed}, round ${round}, killed after ${after.toFixed(0)} of ${undisturbed.ms.toFixed(0)} ms`;
        const before = (await tableExists(db, 'kasm_db.migrations')) ? (await historyOf(db)).length : 0;
        if (before === 0) early++;
        const run = await migrate(db, files);
        expect(run.code, `${context}\n${run.stderr}`).toBe(0);
        expect(await fingerprint(db), context).toBe(undisturbed.fingerprint);
        expect(await historyOf(db), context).toEqual(undisturbed.history);
        expect(await db.query('SELECT count(*)::int AS n FROM counted'), context).toEqual([{ n: 1 }]);
        expect(await advisoryLocks(db), context).toEqual([]);
      }
      // Else the moments were chosen badly: some have to be after the first commit.
      if (count > 20) expect(early).toBeLessThan(count);
    },
  );

  it.runIf(version >= 14)('trap 4: in mid-statement › the next migrator has the lock within 5 s', async () => {
    const db = await createDatabase(version);
    const { child, ended } = startMigrate(db, SLOW);
    await midStatement(db, 'pg_sleep(30)');
    child.kill('SIGKILL');
    await ended;
    const run = await migrate(db, QUICK);
    expect(run.code, run.stderr).toBe(0);
    expect(run.ms).toBeLessThan(busy(5000));
    expect(run.json().applied?.map(({ name }) => name)).toEqual(['0002_slow']);
  });

  it.runIf(version === 13)('trap 4: on 13 the lock goes when the statement ends, at the latest', async () => {
    const db = await createDatabase(version);
    const { child, ended } = startMigrate(
      db,
      folder({
        '0001_first.sql': 'CREATE TABLE first (x int);\n',
        '0002_slow.sql': 'CREATE TABLE slow (x int);\nSELECT pg_sleep(4);\n',
      }),
    );
    await midStatement(db, 'pg_sleep(4)');
    child.kill('SIGKILL');
    await ended;
    const run = await migrate(db, QUICK);
    expect(run.code, run.stderr).toBe(0);
    expect(run.json().lock?.holder?.applicationName).toContain('kasm-db/');
  });

  it('shows in status as died, and the next run finishes', async () => {
    const db = await createDatabase(version);
    const { child, ended } = startMigrate(db, SLOW);
    const pid = await midStatement(db, 'pg_sleep(30)');
    const working = (await status(db, SLOW)).json();
    expect(working.run).toMatchObject({ phase: 'migrate', current: '0002_slow', done: 1, total: 2 });
    expect(working.lock?.holder).toMatchObject({ pid });
    child.kill('SIGKILL');
    await ended;
    await db.superQuery(`SELECT pg_terminate_backend(${pid})`);
    await noSession(db);
    const died = (await status(db, SLOW)).json();
    expect(died.run).toMatchObject({ phase: 'died', done: 1, total: 2 });
    expect(died.lock).toBeUndefined();
    await expectRolledBack(db);
    expect((await migrate(db, QUICK)).code).toBe(0);
    expect((await status(db, QUICK)).json().run).toMatchObject({ phase: 'done', done: 1, total: 1 });
  });
});

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › migrate › interrupted', (version) => {
  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('trap 5: by %s in mid-statement › exit %i within 2 s, rolled back, no session left, lock free', async (signal, code) => {
    const db = await createDatabase(version);
    const { child, ended } = startMigrate(db, SLOW);
    await midStatement(db, 'pg_sleep(30)');
    const sent = performance.now();
    child.kill(signal);
    const run = await ended;
    expect(performance.now() - sent).toBeLessThan(busy(2000));
    expect(run.code, run.stderr).toBe(code);
    expect(run.json()).toMatchObject({ outcome: 'interrupted', exitCode: code });
    expect(run.json().error?.message).toContain(signal);
    await noSession(db, busy(2000));
    expect(await advisoryLocks(db)).toEqual([]);
    await expectRolledBack(db);
    expect(await runRow(db)).toMatchObject({ phase: 'failed', done: 1, total: 2 });
    expect((await runRow(db))?.error).toContain(signal);
    expect((await check(db, QUICK)).json().error?.message).toContain(signal);
    expect((await migrate(db, QUICK)).code).toBe(0);
  });

  it('by SIGTERM while it waits for the lock, or for a server that does not answer › exit 143 at once', async () => {
    const db = await createDatabase(version);
    const holder = startMigrate(db, SLOW);
    await midStatement(db, 'pg_sleep(30)');
    const waiter = startMigrate(db, SLOW);
    await waitFor(
      async () => (waiter.stderr().includes('waiting for the migration lock') ? [1] : []),
      'the waiter to wait',
    );
    const deaf = await startProxy(db.port, {
      onMessage: ({ direction }) => (direction === 'to client' ? 'drop' : 'pass'),
    });
    const lost = startCli(['migrate', '--json'], { ...db.env, POSTGRES_PORT: String(deaf.port) });
    await waitFor(async () => deaf.passed, 'the login to be sent');
    for (const { child, ended } of [waiter, lost]) {
      const sent = performance.now();
      child.kill('SIGTERM');
      const run = await ended;
      expect(run.code, run.stderr).toBe(143);
      expect(performance.now() - sent).toBeLessThan(busy(2000));
      expect(run.json().outcome).toBe('interrupted');
    }
    deaf.stop();
    holder.child.kill('SIGTERM');
    expect((await holder.ended).code).toBe(143);
  });

  it('by SIGTERM when the server has stopped answering in mid-statement › exit 143 within 2 s all the same', async () => {
    const db = await createDatabase(version);
    const proxy = await startProxy(db.port);
    const { child, ended } = startCli(['migrate', '--json', '--migrations', SLOW], {
      ...db.env,
      POSTGRES_PORT: String(proxy.port),
    });
    await midStatement(db, 'pg_sleep(30)');
    proxy.swallow(true);
    const sent = performance.now();
    child.kill('SIGTERM');
    const run = await ended;
    expect(performance.now() - sent).toBeLessThan(busy(2000));
    expect(run.code).toBe(143);
    proxy.stop();
    await db.superQuery(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    );
  });
});

const canUnshare = process.platform === 'linux' && process.getuid?.() === 0;
if (!canUnshare) console.warn('SKIPPED: SIGTERM as PID 1 needs Linux and root (unshare --pid)');

describe.runIf(canUnshare)('trap 5: as PID 1 of a PID namespace', () => {
  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('%s in mid-statement › exit %i within 2 s, rolled back, no session left', async (signal, code) => {
    const db = await createDatabase();
    const program = process.env.KASM_DB_EXECUTABLE
      ? [process.env.KASM_DB_EXECUTABLE]
      : [process.execPath, join(import.meta.dirname, '../../dist/kasm-db.mjs')];
    const shared = spawn(
      'unshare',
      ['--pid', '--fork', '--kill-child', ...program, 'migrate', '--json', '--migrations', SLOW],
      { env: { PATH: process.env.PATH ?? '', ...db.env }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let stdout = '';
    shared.stdout.on('data', (chunk) => {
      stdout += chunk;
      appendFileSync(inject('outputLog'), chunk);
    });
    shared.stderr.on('data', (chunk) => appendFileSync(inject('outputLog'), chunk));
    const ended = new Promise<number | null>((resolve) => shared.once('close', resolve));
    await midStatement(db, 'pg_sleep(30)');
    const [inside] = readFileSync(`/proc/${shared.pid}/task/${shared.pid}/children`, 'utf8')
      .trim()
      .split(' ')
      .map(Number);
    expect(readFileSync(`/proc/${inside}/status`, 'utf8')).toMatch(/^NSpid:\s+\d+\s+(\d+\s+)*1$/m);
    const sent = performance.now();
    process.kill(inside as number, signal);
    expect(await ended).toBe(code);
    expect(performance.now() - sent).toBeLessThan(busy(2000));
    expect(JSON.parse(stdout)).toMatchObject({ outcome: 'interrupted', exitCode: code });
    await noSession(db, busy(2000));
    await expectRolledBack(db);
  });
});

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › migrate › its connection lost', (version) => {
  let proxy: TestProxy | undefined;
  afterEach(() => proxy?.stop());
  const through = (db: TestDatabase, { port }: TestProxy, files: string) =>
    startCli(['migrate', '--json', '--migrations', files], { ...db.env, POSTGRES_PORT: String(port) });

  it('trap 3: in mid-transaction › exit 4, nothing committed, the next run completes', async () => {
    const db = await createDatabase(version);
    const { ended } = startMigrate(db, SLOW);
    const pid = await midStatement(db, 'pg_sleep(30)');
    await db.superQuery(`SELECT pg_terminate_backend(${pid})`);
    const run = await ended;
    expect(run.code, run.stderr).toBe(4);
    expect(run.json().error).toMatchObject({ code: 'unreachable', migration: '0002_slow' });
    await expectRolledBack(db);
    // It hears of its end before the server has come to it.
    await noSession(db);
    expect(await advisoryLocks(db)).toEqual([]);
    const next = await migrate(db, QUICK);
    expect(next.code, next.stderr).toBe(0);
    expect(next.json().applied?.map(({ name }) => name)).toEqual(['0002_slow']);
  });

  it('trap 21: between two migrations › exit 4, JSON on stdout, no stack', async () => {
    const db = await createDatabase(version);
    proxy = await startProxy(db.port, {
      onMessage: async ({ direction, text }): Promise<Verdict> => {
        if (direction === 'to client' || !text().includes('CREATE TABLE slow') || (await historyLength(db)) === 0)
          return 'pass';
        for (const { pid } of await sessions(db)) await db.superQuery(`SELECT pg_terminate_backend(${pid})`);
        await noSession(db);
        return 'pass';
      },
    });
    const run = await through(db, proxy, QUICK).ended;
    expect(run.code, run.stderr).toBe(4);
    expect(run.json().error?.code).toBe('unreachable');
    expect(run.stderr).not.toMatch(/\n\s+at /);
    await expectRolledBack(db);
    expect((await migrate(db, QUICK)).json().applied).toHaveLength(1);
  });

  it('trap 6: killed right after COMMIT, before it hears of it › the next run is a no-op', async () => {
    const db = await createDatabase(version);
    const committed = once();
    proxy = await startProxy(db.port, {
      onMessage: async ({ direction, text }): Promise<Verdict> => {
        if (direction === 'to server' || !text().includes('COMMIT') || !(await tableExists(db, 'later'))) return 'pass';
        committed.happen();
        return 'drop';
      },
    });
    const { child, ended } = through(db, proxy, QUICK);
    await committed.happened;
    child.kill('SIGKILL');
    await ended;
    const run = await migrate(db, QUICK);
    expect(run.json()).toMatchObject({ outcome: 'ok', applied: [] });
    expect((await check(db, QUICK)).code).toBe(0);
  });

  it('trap 6: the answer to COMMIT is lost on the way › exit 4, and the next run is a no-op', async () => {
    const db = await createDatabase(version);
    proxy = await startProxy(db.port, {
      onMessage: async ({ direction, text }, _, self) => {
        if (direction === 'to server' || !text().includes('COMMIT') || !(await tableExists(db, 'later'))) return 'pass';
        self.reset();
        return 'drop';
      },
    });
    const run = await through(db, proxy, QUICK).ended;
    expect(run.code, run.stderr).toBe(4);
    const next = await migrate(db, QUICK);
    expect(next.json()).toMatchObject({ outcome: 'ok', applied: [] });
    expect(await historyLength(db)).toBe(2);
  });

  it('the server refuses new sessions and comes back › exit 4, then the next run completes', async () => {
    const db = await createDatabase(version);
    const { ended } = startMigrate(db, SLOW, '--connect-timeout', '1s');
    const pid = await midStatement(db, 'pg_sleep(30)');
    await db.superQuery(`ALTER ROLE ${db.user} NOLOGIN`);
    await db.superQuery(`SELECT pg_terminate_backend(${pid})`);
    expect((await ended).code).toBe(4);
    expect((await migrate(db, QUICK, '--connect-timeout', '1s')).code).toBe(4);
    await db.superQuery(`ALTER ROLE ${db.user} LOGIN`);
    expect((await migrate(db, QUICK)).code).toBe(0);
  });
});

async function historyLength(db: TestDatabase): Promise<number> {
  return (await tableExists(db, 'kasm_db.migrations')) ? (await historyOf(db)).length : 0;
}
