import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type CallOptions, migrate, type once, plan, type Result, repair, rollback } from '../../src/index.js';
import { advisoryLocks } from '../fixtures/kasm/observe.js';
import { newSecrets } from '../fixtures/seed/seeding.js';
import { COMMAND, folder, NODE_COMMAND, startCli } from '../support/cli.js';
import { createDatabase, type TestDatabase, waitFor } from '../support/database.js';
import { type Passed, startProxy } from '../support/proxy.js';
import { randomSource, rounds } from '../support/rounds.js';
import { busy } from '../support/time.js';

const BUILT = join(import.meta.dirname, '../../dist/index.mjs');

type Call = (options: CallOptions) => Promise<Result>;
type Moment = (message: Passed) => boolean;

const toServer =
  (words: string): Moment =>
  ({ direction, text }) =>
    direction === 'to server' && text().includes(words);

const envOf = (db: TestDatabase, port: number) => ({ ...db.env, POSTGRES_PORT: String(port), PGSSLMODE: 'disable' });

/** A call that is stopped when a message passes: just before its receiver gets it. */
async function stopped(db: TestDatabase, moment: Moment, call: Call): Promise<{ result: Result; passed: number }> {
  const controller = new AbortController();
  const proxy = await startProxy(db.port, {
    onMessage: (message) => {
      if (moment(message)) controller.abort();
      return 'pass';
    },
  });
  try {
    const result = await call({ env: envOf(db, proxy.port), signal: controller.signal });
    return { result, passed: proxy.passed.length };
  } finally {
    proxy.stop();
  }
}

/** The command line, which gets a signal when a message passes; the message never arrives. */
async function signalled(db: TestDatabase, signal: NodeJS.Signals, moment: Moment, args: string[], env = {}) {
  let send = (): boolean => false;
  const proxy = await startProxy(db.port, {
    onMessage: (message) => {
      if (!moment(message)) return 'pass';
      send();
      return 'drop';
    },
  });
  const { child, ended } = startCli(args, { ...envOf(db, proxy.port), ...env });
  send = () => child.kill(signal);
  const run = await ended;
  proxy.stop();
  return run;
}

const historyOf = async (db: TestDatabase) =>
  (
    await db
      .query<{ name: string }>(
        'SELECT name FROM kasm_db.migrations WHERE statements_done IS NOT DISTINCT FROM statements_total ORDER BY name',
      )
      .catch(() => [])
  ).map(({ name }) => name);

const namesOf = (list: readonly { name: string }[] | undefined) => (list ?? []).map(({ name }) => name).sort();

const MIXED = folder({
  '0001_a.sql': 'CREATE TABLE a (id int, v int);',
  '0001_a.down.sql': 'DROP TABLE a;',
  '0002_index.sql': '-- kasm-db: no-transaction\nCREATE INDEX CONCURRENTLY a_v ON a (v);\n',
  '0002_index.down.sql': '-- kasm-db: no-transaction\nDROP INDEX CONCURRENTLY a_v;\n',
  '0003_b.sql': 'CREATE TABLE b (id int);',
  '0003_b.down.sql': 'DROP TABLE b;',
});
const PLAIN = folder({
  '0001_a.sql': 'CREATE TABLE a (id int);',
  '0001_a.down.sql': 'DROP TABLE a;',
  '0002_b.sql': 'CREATE TABLE b (id int);',
  '0002_b.down.sql': 'DROP TABLE b;',
  '0003_c.sql': 'CREATE TABLE c (id int);',
  '0003_c.down.sql': 'DROP TABLE c;',
});

describe('stopped at any message of the protocol', () => {
  it('migrate and rollback say exactly what the history has, and the next run completes', async () => {
    const { seed, next } = randomSource();
    const done = await createDatabase();
    const whole = await stopped(
      done,
      () => false,
      (options) => migrate({ ...options, migrations: MIXED }),
    );
    const back = await stopped(
      done,
      () => false,
      (options) => rollback({ ...options, to: 'none', migrations: MIXED }),
    );
    for (let round = 0; round < rounds(8, 400); round++) {
      const db = await createDatabase();
      const from = Math.floor(next() * whole.passed);
      const why = `KASM_DB_SEED=${seed}, round ${round}`;
      const isInDoubt = ({ error }: Result) => /not known whether it is committed/.test(error?.message ?? '');
      const up = await stopped(
        db,
        ({ index }) => index === from,
        (options) => migrate({ ...options, migrations: MIXED }),
      );
      expect(['ok', 'interrupted'], why).toContain(up.result.outcome);
      if (!isInDoubt(up.result)) expect(namesOf(up.result.applied), why).toEqual(await historyOf(db));
      expect((await migrate({ env: db.env, migrations: MIXED })).outcome, why).toBe('ok');
      const before = await historyOf(db);
      const to = Math.floor(next() * back.passed);
      const down = await stopped(
        db,
        ({ index }) => index === to,
        (options) => rollback({ ...options, to: 'none', migrations: MIXED }),
      );
      expect(['ok', 'interrupted'], why).toContain(down.result.outcome);
      const left = (await db.query<{ name: string }>('SELECT name FROM kasm_db.migrations')).map(({ name }) => name);
      if (!isInDoubt(down.result))
        expect(namesOf(down.result.rolledBack), why).toEqual(before.filter((name) => !left.includes(name)));
      expect((await rollback({ env: db.env, to: 'none', migrations: MIXED })).outcome, why).toBe('ok');
      expect(await advisoryLocks(db), why).toEqual([]);
    }
  });
});

describe('stopped when the work is done', () => {
  it('all is said, since only the lock was left to be given back', async () => {
    const db = await createDatabase();
    const unlocking = toServer('pg_advisory_unlock');
    const up = await stopped(db, unlocking, (options) => migrate({ ...options, migrations: PLAIN }));
    expect(up.result).toMatchObject({ outcome: 'ok', applied: [{}, {}, {}] });
    const marked = await stopped(db, unlocking, (options) =>
      repair({ ...options, pending: '0003_c', yes: true, migrations: PLAIN }),
    );
    expect(marked.result).toMatchObject({ outcome: 'ok', repairs: [{ name: '0003_c' }] });
    await repair({ env: db.env, applied: '0003_c', yes: true, migrations: PLAIN });
    const down = await stopped(db, unlocking, (options) => rollback({ ...options, to: 'none', migrations: PLAIN }));
    expect(down.result).toMatchObject({ outcome: 'ok', rolledBack: [{}, {}, {}] });
    expect(await advisoryLocks(db)).toEqual([]);
  });

  it('a no-transaction file whose last statement is recorded counts as applied', async () => {
    const db = await createDatabase();
    const looks = toServer(' AS held, ');
    let seen = 0;
    // The first look is that behind 0001.
    const { result } = await stopped(
      db,
      (message) => looks(message) && ++seen === 2,
      (options) => migrate({ ...options, to: '0002', migrations: MIXED }),
    );
    expect(namesOf(result.applied)).toEqual(['0001_a', '0002_index']);
    expect(await historyOf(db)).toEqual(['0001_a', '0002_index']);
  });

  it('a statement that cannot be repeated is recorded when it is completed, so that nobody is asked about it', async () => {
    const db = await createDatabase(16);
    const files = folder({
      '0001_a.sql':
        'CREATE TABLE a (id int) PARTITION BY RANGE (id); CREATE TABLE a1 PARTITION OF a FOR VALUES FROM (1) TO (9);',
      '0002_detach.sql': '-- kasm-db: no-transaction\nALTER TABLE a DETACH PARTITION a1 CONCURRENTLY;\n',
    });
    expect((await migrate({ env: db.env, to: '0001', migrations: files })).outcome).toBe('ok');
    const completed: Moment = ({ direction, type, text }) =>
      direction === 'to client' && type === 'C' && text().includes('ALTER TABLE');
    const { result } = await stopped(db, completed, (options) => migrate({ ...options, migrations: files }));
    expect(namesOf(result.applied)).toEqual(await historyOf(db).then((names) => names.slice(1)));
    expect(await migrate({ env: db.env, migrations: files })).toMatchObject({ outcome: 'ok' });
    expect(await historyOf(db)).toEqual(['0001_a', '0002_detach']);
  });

  it('a program that has ended with 0 is recorded', async () => {
    const db = await createDatabase();
    // It starts itself anew, so it has to be the one that is built.
    const built: { once: typeof once } = await import(BUILT);
    const { result } = await stopped(db, toServer('INSERT INTO kasm_db.once'), (options) =>
      built.once({ ...options, name: 'it', command: ['/bin/true'] }),
    );
    expect(result).toMatchObject({ outcome: 'ok', once: { ran: true, exitCode: 0 } });
    expect(await db.query('SELECT name FROM kasm_db.once')).toEqual([{ name: 'it' }]);
  });

  it('a Redis that does not answer is not waited for', async () => {
    const db = await createDatabase();
    const sockets: Socket[] = [];
    let send = () => {};
    const silent = createServer((socket) => {
      sockets.push(socket.on('error', () => {}));
      send();
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as { port: number };
    const redis = { KASM_DB_REDIS_HOST: '127.0.0.1', KASM_DB_REDIS_PORT: String(port) };
    const { child, ended } = startCli(['migrate', '--json', '--migrations', PLAIN], { ...db.env, ...redis });
    send = () => child.kill('SIGTERM');
    const run = await ended;
    for (const socket of sockets) socket.destroy();
    silent.close();
    expect(run.code, run.stderr).toBe(0);
    expect(run.json()).toMatchObject({ applied: [{}, {}, {}] });
    expect(run.stderr).toContain('Redis could not be told');
  });
});

describe('stopped in the middle', () => {
  it('of a rehearsal: what was applied to the copy is not said of the database', async () => {
    const db = await createDatabase();
    await db.superQuery(`ALTER ROLE ${db.user} CREATEDB`);
    const { result } = await stopped(db, toServer('CREATE TABLE c '), (options) =>
      plan({ ...options, rehearse: true, migrations: PLAIN }),
    );
    expect(result).toMatchObject({ outcome: 'interrupted', rehearsal: { applied: [{}, {}] } });
    expect(result.applied).toBeUndefined();
  });

  it('of a rollback by --steps: the next call goes on to where it was to end, and no further', async () => {
    const db = await createDatabase();
    await migrate({ env: db.env, migrations: PLAIN });
    const { result } = await stopped(db, toServer('DROP TABLE b;'), (options) =>
      rollback({ ...options, steps: 2, migrations: PLAIN }),
    );
    expect(result).toMatchObject({ outcome: 'interrupted', rolledBack: [{ name: '0003_c' }] });
    expect(result.error?.hint).not.toContain('again');
    expect(result.error?.hint).toContain('kasm-db rollback --to 0001_a');
  });

  it('of the seed that follows: it was interrupted, and did not fail', async () => {
    const db = await createDatabase();
    const { result } = await stopped(db, toServer('CREATE TEMPORARY TABLE'), (options) =>
      migrate({ ...options, seed: true, secrets: folder(newSecrets()) }),
    );
    expect(result.outcome).toBe('interrupted');
    expect(result.error).toMatchObject({
      message: expect.stringMatching(/^\d+ migrations were applied; the seed was interrupted/),
      hint: 'run it again',
    });
    expect(namesOf(result.applied)).toEqual(await historyOf(db));
  });
});

describe('SIGINT is exit 130', () => {
  it('in a look of doctor, whose lines then say nothing', async () => {
    const run = await signalled(await createDatabase(), 'SIGINT', toServer('has_database_privilege'), [
      'doctor',
      '--json',
      '--no-seed',
    ]);
    expect(run.code, run.stderr).toBe(130);
    expect(run.json()).toMatchObject({ outcome: 'interrupted', error: { code: 'interrupted' } });
    expect(run.json().checks).toBeUndefined();
  });

  it("in the admin's login", async () => {
    const admin = { DATABASE_MASTER_USER: 'postgres', DATABASE_MASTER_PASSWORD: 's3cr3t-of-nobody' };
    const run = await signalled(await createDatabase(), 'SIGINT', () => true, ['bootstrap', '--json'], admin);
    expect(run.code, run.stderr).toBe(130);
    expect(run.json().error?.message).toMatch(/^interrupted by SIGINT/);
  });
});

it('SIGINT ends status --watch with 0, in a look as in a pause', async () => {
  const second: Moment = ({ connection, direction }) => connection === 1 && direction === 'to server';
  const run = await signalled(await createDatabase(), 'SIGINT', second, ['status', '--watch']);
  expect(run.code, run.stderr).toBe(0);
  expect(run.stdout).toContain('Migration lock: free.');
});

const canMount = (() => {
  try {
    execFileSync('unshare', ['-m', 'true'], { stdio: 'ignore' });
    return process.platform === 'linux';
  } catch {
    return false;
  }
})();
if (!canMount) console.warn('SKIPPED: a name server that does not answer needs Linux and root (unshare -m)');

it.runIf(canMount).each([
  ['Node', NODE_COMMAND],
  ['this program', COMMAND],
])('SIGTERM while a name server does not answer, on %s: the process ends in its time', async (_, command) => {
  // Of those addresses nobody is (RFC 5737, TEST-NET-1).
  const dns = folder({ 'resolv.conf': 'nameserver 192.0.2.1\noptions timeout:20\n' });
  writeFileSync(join(dns, 'run.sh'), `mount --bind ${dns}/resolv.conf /etc/resolv.conf && exec "$@"\n`);
  const { child, ended } = startCli(
    ['check', '--json', '--host', 'db.example', '--dbname', 'x', '--user', 'x', '--connect-timeout', '60s'],
    {},
    { command: ['unshare', '-m', 'sh', join(dns, 'run.sh'), ...command] },
  );
  let isOver = false;
  void ended.then(() => {
    isOver = true;
  });
  // That address and port, as the kernel writes them.
  const asked = () => isOver || readFileSync('/proc/net/udp', 'utf8').includes('010200C0:0035');
  await waitFor(async () => (asked() ? [true] : []), 'the name server to be asked');
  const sent = performance.now();
  child.kill('SIGTERM');
  const run = await ended;
  expect(performance.now() - sent).toBeLessThan(busy(2500));
  // By that signal itself, where Node would wait for its threads; to a shell that is 143 too.
  expect(run.signal ?? run.code).toBe(run.signal ? 'SIGTERM' : 143);
  expect(run.json().outcome).toBe('interrupted');
});
