import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serverAccount } from '../../src/embedded/binaries.js';
import { LOCK_KEY } from '../../src/postgres/lock.js';
import { advisoryLocks } from '../fixtures/kasm/observe.js';
import {
  document,
  dump,
  migratedDatabases,
  newSecrets,
  seed,
  seedArgs,
  seeded,
  shippedRows,
  withoutMaterial,
} from '../fixtures/seed/seeding.js';
import { cli, folder, startCli } from '../support/cli.js';
import { createDatabase, type TestDatabase, waitFor } from '../support/database.js';
import { startProxy, type Verdict } from '../support/proxy.js';
import { randomSource, rounds } from '../support/rounds.js';
import { freePort } from '../support/server.js';
import { busy } from '../support/time.js';

const TOTAL = Object.values(shippedRows()).flat().length;
const secrets = newSecrets();
let fresh: () => Promise<TestDatabase>;
/** What an undisturbed seed leaves behind, but for what it has generated. */
let undisturbed: Awaited<ReturnType<typeof withoutMaterial>>;

beforeAll(async () => {
  fresh = await migratedDatabases();
  const db = await fresh();
  await seeded(db, { secrets });
  undisturbed = await withoutMaterial(db, secrets);
  expect(Object.values(undisturbed).flat()).toHaveLength(TOTAL);
  expect(JSON.stringify(undisturbed)).toContain('${rsa:1:private}');
  expect(undisturbed.users?.join()).toContain('hash of admin-password');
});

const phase = async (db: TestDatabase) =>
  (await db.query<{ phase: string }>('SELECT phase FROM kasm_db.run'))[0]?.phase;

describe('eight migrators at once on an empty database', () => {
  it('leave one set of rows', async () => {
    const db = await createDatabase();
    const args = seedArgs({ command: 'migrate', secrets });
    const runs = await Promise.all(Array.from({ length: 8 }, () => cli(args, db.env)));
    for (const run of runs) expect(run.code, run.stderr).toBe(0);
    const inserted = runs.map((run) => run.json().seed?.inserted);
    expect(inserted.sort()).toEqual([0, 0, 0, 0, 0, 0, 0, TOTAL]);
    expect(await withoutMaterial(db, secrets)).toEqual(undisturbed);
    expect(await phase(db)).toBe('done');
    expect((await cli(['check', '--seed', '--json'], db.env)).code).toBe(0);
    expect(await advisoryLocks(db)).toEqual([]);
  });

  it('seed waits for whoever has the migration lock, and gives up with 5 when it may not wait', async () => {
    const db = await fresh();
    const holder = await db.connect();
    await holder.query(`SELECT pg_advisory_lock(${LOCK_KEY})`);
    const seeds = { 'a.yaml': document('zones:\n  - zone_name: a\n') };
    const before = await dump(db, { physical: true });
    const refused = await seed(db, { seeds, args: ['--lock-timeout', '300ms'] });
    expect(refused.code).toBe(5);
    expect(refused.json().error?.message).toContain('held the migration lock');
    expect(await dump(db, { physical: true })).toEqual(before);
    const { ended, stderr } = startCli(seedArgs({ seeds }), db.env);
    await waitFor(async () => (stderr().includes('waiting') ? [true] : []), 'the seed to say that it waits');
    await holder.end();
    expect((await ended).code).toBe(0);
  });

  it('a run whose row in kasm_db.run was overwritten by one that found it busy is still known as seeded', async () => {
    const db = await fresh();
    const blocker = await db.connect();
    await blocker.query('BEGIN; LOCK TABLE zones IN EXCLUSIVE MODE');
    const { ended } = startCli(seedArgs({ seeds: { 'a.yaml': document('zones:\n  - zone_name: a\n') } }), db.env);
    await waitFor(
      () =>
        db.superQuery("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"),
      'the seed to wait for the table',
    );
    await db.query("UPDATE kasm_db.run SET run_id = 'another'");
    await blocker.query('COMMIT');
    await blocker.end();
    expect((await ended).code).toBe(0);
    expect((await cli(['check', '--seed', '--json'], db.env)).code).toBe(0);
  });
});

/** The rows of the documents and what is remembered of each; the same seed then brings the database to what an undisturbed one leaves. */
async function expectAllOrNothing(db: TestDatabase, when: string): Promise<void> {
  const sessions =
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'kasm-db/%'";
  await waitFor(async () => ((await db.superQuery(sessions)).length === 0 ? [true] : []), 'the killed session to end');
  const own = ['kasm_db.migrations', 'kasm_db.locks', 'public.alembic_version'];
  const tables = Object.entries(await dump(db, { physical: false })).filter(([name]) => !own.includes(name));
  const found = tables.flatMap(([, rows]) => rows).length;
  expect([0, 2 * TOTAL], when).toContain(found);
  expect((await cli(['check', '--seed', '--json'], db.env)).code, when).toBe(found === 0 ? 3 : 0);
  const again = await seeded(db, { secrets });
  expect(again.counts[found === 0 ? 'inserted' : 'unchanged'], when).toBe(TOTAL);
  expect(await withoutMaterial(db, secrets), when).toEqual(undisturbed);
  expect((await cli(['check', '--seed', '--json'], db.env)).code, when).toBe(0);
}

describe('a seed that is cut off', () => {
  const { seed: number, next } = randomSource();
  const ROUNDS = rounds(6, 50);

  it(
    `trap 34: SIGKILL at ${ROUNDS} random moments: no partial rows, and the rerun gives what an undisturbed one does (KASM_DB_SEED=${number})`,
    { timeout: ROUNDS * 30_000 },
    async () => {
      const timed = await fresh();
      // Of the quickest that came to its end: the machine may have had more to do before.
      let wholeMs = (await seeded(timed, { secrets })).run.ms;
      let cutOff = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const db = await fresh();
        const { child, ended } = startCli(seedArgs({ secrets }), db.env);
        await sleep(next() * wholeMs * 1.1);
        child.kill('SIGKILL');
        const { signal, ms } = await ended;
        if (signal) cutOff++;
        else wholeMs = Math.min(wholeMs, ms);
        await expectAllOrNothing(db, `round ${round}`);
      }
      expect(cutOff).toBeGreaterThan(0);
    },
  );

  it('trap 34: SIGKILL right after each of its COMMITs: all of it is there or nothing, and the rerun completes it', async () => {
    let wasKilled = true;
    for (let nth = 1; wasKilled; nth++) {
      const db = await fresh();
      let commits = 0;
      const proxy = await startProxy(db.port, {
        onMessage: ({ direction, text }): Verdict => {
          if (direction === 'to server' || !text().includes('COMMIT') || ++commits !== nth) return 'pass';
          child.kill('SIGKILL');
          return 'drop';
        },
      });
      const { child, ended } = startCli(seedArgs({ secrets }), { ...db.env, POSTGRES_PORT: String(proxy.port) });
      wasKilled = (await ended).signal === 'SIGKILL';
      proxy.stop();
      expect(wasKilled || nth > 2).toBe(true);
      await expectAllOrNothing(db, `COMMIT ${nth}`);
    }
  });

  it('trap 34: SIGTERM while it waits for a table: exit 143 within 2 s, nothing written, the rerun completes', async () => {
    const db = await fresh();
    const blocker = await db.connect();
    await blocker.query('BEGIN; LOCK TABLE zones IN EXCLUSIVE MODE');
    const seeds = { 'a.yaml': document('groups:\n  - name: g\nzones:\n  - zone_name: a\n') };
    const { child, ended } = startCli(seedArgs({ seeds }), db.env);
    const waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    await waitFor(() => db.superQuery(waiting), 'the seed to wait for the table');
    const sent = performance.now();
    child.kill('SIGTERM');
    const run = await ended;
    expect(performance.now() - sent).toBeLessThan(busy(2500));
    expect(run.code).toBe(143);
    expect(run.json()).toMatchObject({ outcome: 'interrupted', exitCode: 143 });
    await blocker.query('ROLLBACK');
    await blocker.end();
    expect(await db.query('SELECT 1 FROM groups')).toEqual([]);
    expect((await cli(['check', '--seed', '--json'], db.env)).code).toBe(3);
    expect((await seeded(db, { seeds })).counts.inserted).toBe(2);
  });

  it('the connection lost in the middle: exit 4, nothing written, the rerun completes', async () => {
    const db = await fresh();
    const blocker = await db.connect();
    await blocker.query('BEGIN; LOCK TABLE zones IN EXCLUSIVE MODE');
    const seeds = { 'a.yaml': document('groups:\n  - name: g\nzones:\n  - zone_name: a\n') };
    const { ended } = startCli(seedArgs({ seeds }), db.env);
    await waitFor(
      () =>
        db.superQuery(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        ),
      'the seed to wait for the table',
    );
    const run = await ended;
    expect(run.code, run.stdout).toBe(4);
    await blocker.end();
    expect(await db.query('SELECT 1 FROM groups')).toEqual([]);
    expect((await seeded(db, { seeds })).counts.inserted).toBe(2);
  });

  it('a table that someone keeps locked: exit 5, nothing written', async () => {
    const db = await fresh();
    const blocker = await db.connect();
    await blocker.query('BEGIN; LOCK TABLE zones IN EXCLUSIVE MODE');
    const seeds = { 'a.yaml': document('groups:\n  - name: g\nzones:\n  - zone_name: a\n') };
    const run = await seed(db, { seeds, args: ['--lock-timeout', '1s'] });
    await blocker.end();
    expect(run.code, run.stdout).toBe(5);
    expect(run.json().error).toMatchObject({ message: expect.stringContaining('was cut off'), sqlstate: '55P03' });
    expect(await db.query('SELECT 1 FROM groups')).toEqual([]);
  });
});

const pgbouncer = ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer', '/usr/local/bin/pgbouncer'].find((path) => {
  try {
    execFileSync(path, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
});
if (!pgbouncer)
  console.warn('SKIPPED: pgbouncer is not installed, so that nothing was seeded through a transaction pooler');

describe.skipIf(!pgbouncer)('through a transaction pooler (pgbouncer)', () => {
  let stop = () => {};
  afterAll(() => stop());

  it('four migrators at once leave one set of rows, and no lock behind', async () => {
    const db = await createDatabase();
    const port = await freePort();
    const files = folder({
      'users.txt': `"${db.user}" "${db.password}"\n`,
      'pgbouncer.ini': '',
    });
    const ini = `[databases]
${db.name} = host=127.0.0.1 port=${db.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = plain
auth_file = ${join(files, 'users.txt')}
pool_mode = transaction
default_pool_size = 2
ignore_startup_parameters = extra_float_digits
`;
    const config = folder({ 'pgbouncer.ini': ini });
    const account = serverAccount();
    execFileSync('chmod', ['-R', 'a+rX', files, config]);
    const child = spawn(pgbouncer as string, [join(config, 'pgbouncer.ini')], { ...(account ?? {}), stdio: 'ignore' });
    stop = () => child.kill('SIGINT');
    await waitFor(() => reachable(port), 'pgbouncer');
    const env = { ...db.env, POSTGRES_PORT: String(port) };
    const args = seedArgs({ command: 'migrate', secrets });
    const runs = await Promise.all(Array.from({ length: 4 }, () => cli(args, env)));
    for (const run of runs) expect([run.code, run.json().database?.connection], run.stderr).toEqual([0, 'pooled']);
    expect(runs.map((run) => run.json().seed?.inserted).sort()).toEqual([0, 0, 0, TOTAL]);
    expect(await withoutMaterial(db, secrets)).toEqual(undisturbed);
    const changed = { ...secrets, ...newSecrets() };
    const rotated = await cli(seedArgs({ secrets: changed, args: ['--rotate', 'all'] }), env);
    expect(rotated.code, rotated.stderr).toBe(0);
    expect((await withoutMaterial(db, changed)).users?.join()).toMatch(
      /hash of admin-password[\s\S]*hash of user-password/,
    );
    expect(await advisoryLocks(db)).toEqual([]);
    const leftovers = await db.superQuery(
      "SELECT relname FROM pg_class WHERE relname LIKE 'kasm_db_%' AND relpersistence = 't'",
    );
    expect(leftovers).toEqual([]);
  });
});

async function reachable(port: number): Promise<unknown[]> {
  const socket = createConnection(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return [true];
  } catch {
    return [];
  } finally {
    socket.destroy();
  }
}
