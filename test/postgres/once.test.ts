import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { advisoryLocks, sessions } from '../fixtures/kasm/observe.js';
import { CREATE_WORK, program, workOf } from '../fixtures/once/work.js';
import { migratedDatabases, newSecrets, seed } from '../fixtures/seed/seeding.js';
import { type CliRun, COMMAND, cli, folder, type RunningCli, startCli } from '../support/cli.js';
import { createDatabase, type TestDatabase, waitFor } from '../support/database.js';
import { watchMemory } from '../support/memory.js';
import { hasPgbouncer, startPgbouncer } from '../support/pgbouncer.js';
import { busy } from '../support/time.js';

const start = (db: TestDatabase, command: string[], ...options: string[]): RunningCli =>
  startCli(['once', 'the-name', '--json', ...options, '--', ...command], db.env);
const run = (db: TestDatabase, command: string[], ...options: string[]): Promise<CliRun> =>
  start(db, command, ...options).ended;
const recorded = (db: TestDatabase) =>
  db.query('SELECT name, command, exit_code FROM kasm_db.once ORDER BY name').catch(() => []);
const shell = (text: string) => ['/bin/sh', '-c', text];

async function databaseWithWork(): Promise<TestDatabase> {
  const db = await createDatabase();
  await db.query(CREATE_WORK);
  return db;
}

/** Until the program writes; gives its PID. */
async function working(db: TestDatabase): Promise<number> {
  await waitFor(() => workOf(db), 'the program to begin');
  return (await workOf(db))[0]?.pid as number;
}

/** Whose command line holds this text. */
function alive(text: string): string[] {
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && readable(`/proc/${pid}/cmdline`)?.includes(text));
}

function readable(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}

describe('once', () => {
  it('runs a program, records it, and does nothing the second time', async () => {
    const db = await databaseWithWork();
    const first = await run(db, program(0));
    expect(first.code, first.stderr).toBe(0);
    expect(first.json()).toMatchObject({ outcome: 'ok', once: { name: 'the-name', ran: true, exitCode: 0 } });
    const second = await run(db, program(0));
    expect(second.code, second.stderr).toBe(0);
    expect(second.json()).toMatchObject({ outcome: 'ok', once: { name: 'the-name', ran: false } });
    expect(await workOf(db)).toMatchObject([{ ended: true }]);
    expect(await recorded(db)).toEqual([
      { name: 'the-name', command: `${process.execPath} (2 arguments)`, exit_code: 0 },
    ]);
    expect(await advisoryLocks(db)).toEqual([]);
    const text = await cli(['once', 'the-name', '--', 'true'], db.env);
    expect(text.stdout).toMatch(/^Nothing to do\. the-name was run on database .* by kasm-db\//);
    const other = await cli(['once', 'other', '--', ...program(0)], db.env);
    expect(other.code, other.stderr).toBe(0);
    expect(await workOf(db)).toHaveLength(2);
  });

  it('eight at once run it once; the others wait, and do nothing', async () => {
    const db = await databaseWithWork();
    const runs = await Promise.all(Array.from({ length: 8 }, () => run(db, program(300))));
    for (const one of runs) expect(one.code, one.stderr).toBe(0);
    expect(runs.filter((one) => one.json().once?.ran)).toHaveLength(1);
    expect(await workOf(db)).toMatchObject([{ ended: true }]);
    expect(await advisoryLocks(db)).toEqual([]);
  });

  it('a program that fails is exit 7 with its exit code, and the next call runs it again', async () => {
    const db = await createDatabase();
    const files = folder({});
    const command = shell(`echo x >> ${files}/ran; test -e ${files}/ready || exit 42`);
    const failed = await run(db, command);
    expect(failed.code).toBe(7);
    expect(failed.json()).toMatchObject({
      outcome: 'failed',
      once: { name: 'the-name', ran: true, exitCode: 42 },
      error: { message: 'once the-name: /bin/sh ended with exit code 42' },
    });
    expect(await recorded(db)).toEqual([]);
    expect(await db.query('SELECT phase, current, error FROM kasm_db.run')).toEqual([
      { phase: 'failed', current: 'once the-name', error: 'once the-name: /bin/sh ended with exit code 42' },
    ]);
    expect((await run(db, shell(`touch ${files}/ready`), '--timeout', '1m')).code).toBe(0);
    await db.query('DELETE FROM kasm_db.once');
    expect((await run(db, command)).code).toBe(0);
    expect(readFileSync(join(files, 'ran'), 'utf8')).toBe('x\nx\n');
  });

  it('the program has our environment without the admin login, an empty stdin, and no shell reads its arguments', async () => {
    const db = await createDatabase();
    const env = {
      ...db.env,
      DATABASE_MASTER_USER: 'postgres',
      DATABASE_MASTER_PASSWORD: 's3cr3t-of-the-admin',
      DEFAULT_ADMIN_PASSWORD: 'of the app',
    };
    const text =
      'process.stdin.on("data", () => process.exit(9)); console.log(JSON.stringify({ names: Object.keys(process.env), argv: process.argv.slice(1) }))';
    const { code, stdout, stderr } = await cli(
      ['once', 'env', '--', process.execPath, '-e', text, 'a b', '$HOME;*', '--json', '--help'],
      env,
    );
    expect(code, stderr).toBe(0);
    const said = JSON.parse(stdout.split('\n')[0] as string);
    expect(said.argv).toEqual(['a b', '$HOME;*', '--json', '--help']);
    expect(said.names).toEqual(expect.arrayContaining(['DEFAULT_ADMIN_PASSWORD', ...Object.keys(db.env)]));
    expect(said.names.filter((name: string) => name.startsWith('DATABASE_MASTER'))).toEqual([]);
    const [row] = await db.query<{ command: string }>('SELECT command FROM kasm_db.once');
    expect(row?.command).toBe(`${process.execPath} (6 arguments)`);
  });

  it('its output passes through; with --json it goes to stderr, and stdout is one object', async () => {
    const db = await createDatabase();
    const plain = await cli(['once', 'a', '--', ...shell('echo out; echo err >&2')], db.env);
    expect(plain.stdout).toMatch(/^out\nDone\./);
    expect(plain.stderr).toContain('err\n');
    const json = await run(db, shell('echo out; echo err >&2'));
    expect(json.json().once).toMatchObject({ ran: true });
    expect(json.stderr).toMatch(/out\n[\s\S]*err\n/);
  });

  it('1 GB of output needs no memory, and waits for its reader', async () => {
    const db = await createDatabase();
    const { child, ended } = startCli(['once', 'loud', '--', ...shell('head -c 1000000000 /dev/zero')], db.env);
    // What startCli collects would be ours.
    child.stdout?.removeAllListeners('data');
    const memory = watchMemory(child);
    let bytes = 0;
    child.stdout?.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    child.stdout?.pause();
    await sleep(500);
    child.stdout?.resume();
    expect((await ended).code).toBe(0);
    expect(bytes).toBeGreaterThanOrEqual(1_000_000_000);
    expect(memory()).toBeLessThan(250);
  });

  it('who waits says for whom; status and gates say what runs', async () => {
    const db = await databaseWithWork();
    const first = start(db, program(60_000));
    const pid = await working(db);
    expect((await cli(['status', '--json'], db.env)).json().run).toMatchObject({
      phase: 'migrate',
      current: 'once the-name',
      total: 1,
    });
    expect((await cli(['check', '--seed'], db.env)).stderr).toContain('last at once the-name');
    const waiting = await run(db, program(0), '--lock-timeout', '500ms');
    expect(waiting.code).toBe(5);
    expect((await cli(['migrate', '--lock-timeout', '500ms'], db.env)).code).toBe(5);
    process.kill(pid, 'SIGKILL');
    const ended = await first.ended;
    expect(ended.code).toBe(7);
    expect(ended.json()).toMatchObject({
      once: { ran: true, signal: 'SIGKILL' },
      error: { message: expect.stringContaining('was ended by SIGKILL') },
    });
  });
});

describe('once › is ended', () => {
  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('%s is passed on; exit %i; what then ends with 0 does not count', async (signal, code) => {
    const db = await createDatabase();
    const files = folder({});
    const { child, ended } = start(
      db,
      shell(`trap 'echo $1; exit 0' TERM INT; touch ${files}/there; while :; do sleep 0.05; done`),
    );
    await waitFor(async () => (readable(join(files, 'there')) !== undefined ? [true] : []), 'the program to begin');
    child.kill(signal);
    const done = await ended;
    expect(done.code, done.stderr).toBe(code);
    expect(done.json()).toMatchObject({ outcome: 'interrupted', once: { ran: true, exitCode: 0 } });
    expect(await recorded(db)).toEqual([]);
    expect(await advisoryLocks(db)).toEqual([]);
  });

  it('a program that ignores TERM is killed after 10 s', async () => {
    const db = await databaseWithWork();
    const { child, ended } = start(db, program(60_000, 'ignore-term'));
    await working(db);
    child.kill('SIGTERM');
    await sleep(3000);
    // Longer than kasm-db itself takes to end: the lock is held until the program is gone.
    expect(await advisoryLocks(db)).toHaveLength(1);
    const done = await ended;
    expect(done.code, done.stderr).toBe(143);
    expect(done.json().once).toEqual({ name: 'the-name', ran: true, signal: 'SIGKILL' });
  });

  it('by --timeout: exit 7', async () => {
    const db = await createDatabase();
    const done = await run(db, ['/bin/sleep', '60'], '--timeout', '300ms');
    expect(done.code).toBe(7);
    expect(done.json()).toMatchObject({
      once: { ran: true, signal: 'SIGTERM' },
      error: { message: expect.stringContaining('did not end within 300 ms (--timeout)') },
    });
    expect(await recorded(db)).toEqual([]);
  });

  it('the session of the lock is lost: TERM, exit 4, run again', async () => {
    const db = await databaseWithWork();
    const { ended } = start(db, program(60_000));
    await working(db);
    const [session] = await sessions(db);
    await db.superQuery(`SELECT pg_terminate_backend(${session?.pid})`);
    const done = await ended;
    expect(done.code, done.stderr).toBe(4);
    expect(done.json()).toMatchObject({ outcome: 'unreachable', once: { ran: true, signal: 'SIGTERM' } });
    expect(done.ms).toBeLessThan(busy(10_000));
    const again = await run(db, program(0));
    expect(again.json().once, again.stderr).toMatchObject({ ran: true });
    expect(again.stderr).toContain('was cut off');
  });

  it('what forks and leaves is found, and ended: exit 7', async () => {
    const db = await createDatabase();
    const mark = `60.${randomInt(1e8, 1e9)}`;
    const done = await run(db, shell(`setsid sleep ${mark} & exit 0`));
    expect(done.code, done.stderr).toBe(7);
    expect(done.json().error?.message).toBe(
      'once the-name: /bin/sh ended with exit code 0, but left 1 process running, which kasm-db has ended',
    );
    expect(alive(mark)).toEqual([]);
    const patient = await run(db, shell('setsid sleep 1 & exit 0'));
    expect(patient.code, patient.stderr).toBe(0);
  });
});

const canUnshare = process.platform === 'linux' && process.getuid?.() === 0;
if (!canUnshare) console.warn('SKIPPED: once as PID 1 needs Linux and root (unshare --pid)');

describe('once › kasm-db is killed, or is PID 1', () => {
  it('SIGKILL of kasm-db: the program and what it has started end at once', async () => {
    const db = await createDatabase();
    const mark = `600.${randomInt(1e8, 1e9)}`;
    const { child } = start(db, shell(`setsid sleep ${mark} & exec sleep ${mark}`));
    await waitFor(async () => (alive(`sleep\0${mark}`).length === 2 ? [true] : []), 'both to run');
    // Not until its output is closed: whoever lives on would keep that open.
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
    await waitFor(async () => (alive(`sleep\0${mark}`).length === 0 ? [true] : []), 'both to end', busy(2000));
  });

  it.runIf(canUnshare)('as PID 1 it passes SIGTERM on, and the executable reaps what others leave', async () => {
    const db = await createDatabase();
    const files = folder({});
    const text = `(sleep 0.1 &); (sleep 0.1 &); touch ${files}/there; trap 'cat /proc/[0-9]*/stat | grep -c " Z " > ${files}/dead; exit 5' TERM; while :; do sleep 0.1; done`;
    const args = ['--pid', '--fork', '--mount-proc', '--kill-child', ...COMMAND, 'once', 'first', '--json', '--'];
    const { child, ended } = startCli([...args, ...shell(text)], db.env, { command: ['unshare'] });
    await waitFor(async () => (readable(join(files, 'there')) !== undefined ? [true] : []), 'the program to begin');
    await sleep(2500);
    const [inside] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ');
    process.kill(Number(inside), 'SIGTERM');
    const done = await ended;
    expect(done.code, done.stderr).toBe(143);
    expect(done.json().once).toEqual({ name: 'first', ran: true, exitCode: 5 });
    if (process.env.KASM_DB_EXECUTABLE) expect(readable(join(files, 'dead'))).toBe('0\n');
  });
});

describe('once › bad input is refused before anything is done', () => {
  it.each<[string, string[], string]>([
    ['a program that no folder has', ['once', 'a', '--', 'no-such-program'], 'no folder of PATH has it'],
    ['a path where nothing is', ['once', 'a', '--', '/nowhere/program'], 'there is no such file'],
    ['a file that may not be run', ['once', 'a', '--', '/etc/passwd'], 'may not be run'],
    ['a folder', ['once', 'a', '--', '/etc'], '/etc is a folder'],
    ['an empty program', ['once', 'a', '--', ''], 'has no name'],
    ['no program', ['once', 'a', '--'], "missing required argument 'command'"],
    ['no name', ['once'], "missing required argument 'name'"],
    ['a name with a blank', ['once', 'a b', '--', 'true'], '"a b" is not a name'],
    ['a name that is too long', ['once', 'a'.repeat(64), '--', 'true'], 'is not a name'],
    ['a name that is an option', ['once', '--', '-a', 'true'], '"-a" is not a name'],
    ['a time that is none', ['once', 'a', '--timeout', 'soon', '--', 'true'], '--timeout'],
  ])('%s', async (_, args, message) => {
    const refused = await cli(args);
    expect(refused.code, refused.stderr).toBe(2);
    expect(refused.stderr).toContain(message);
  });

  it('a file whose interpreter is missing is told when it is started', async () => {
    const db = await createDatabase();
    const files = folder({ 'script.sh': '#!/no/such/interpreter\n' });
    const done = await run(db, ['/bin/chmod', '755', join(files, 'script.sh')]);
    expect(done.code).toBe(0);
    const refused = await cli(['once', 'script', '--json', '--', join(files, 'script.sh')], db.env);
    expect(refused.code).toBe(2);
    expect(refused.json().error?.message).toContain('cannot be started');
  });
});

describe('once › --seeds-database', async () => {
  it('check --seed passes by it, in this build and newer ones; with documents of one’s own it does not', async () => {
    const fresh = await migratedDatabases();
    const db = await fresh();
    expect((await cli(['check', '--seed'], db.env)).code).toBe(3);
    expect((await run(db, ['true'])).code).toBe(0);
    expect((await cli(['check', '--seed'], db.env)).code).toBe(3);
    const again = await run(db, ['false'], '--seeds-database');
    expect(again.json(), again.stderr).toMatchObject({ outcome: 'ok', once: { ran: false } });
    expect((await cli(['check', '--seed'], db.env)).code).toBe(0);
    await db.query("UPDATE kasm_db.run SET seed_digest = '0.0.1:once'");
    expect((await cli(['check', '--seed'], db.env)).code).toBe(0);
    const seeds = folder({ 'a.yaml': 'alembic_version: bfc22f00ad19\nzones:\n  - zone_name: a\n' });
    expect((await cli(['check', '--seed', '--seeds', join(seeds, 'a.yaml')], db.env)).code).toBe(3);
  });

  it('seed then writes no rows beside those of the program', async () => {
    const db = await (await migratedDatabases())();
    await db.query("INSERT INTO zones (zone_name) VALUES ('as the program calls it')");
    expect((await run(db, ['true'], '--seeds-database')).code).toBe(0);
    const seeded = await seed(db, { secrets: newSecrets() });
    expect(seeded.json().seed, seeded.stderr).toMatchObject({ inserted: 0, updated: 0 });
    expect((await cli(['check', '--seed'], db.env)).code).toBe(0);
  });

  it('is run again where everything was rolled back since, and applied again', async () => {
    const db = await (await migratedDatabases())();
    expect((await run(db, ['true'], '--seeds-database')).code).toBe(0);
    const gone = await cli(['rollback', '--to', 'none', '--allow-data-loss'], db.env);
    expect(gone.code, gone.stderr).toBe(0);
    expect((await cli(['migrate'], db.env)).code).toBe(0);
    expect((await cli(['check', '--seed'], db.env)).code).toBe(3);
    const again = await run(db, ['true'], '--seeds-database');
    expect(again.json().once, again.stderr).toMatchObject({ ran: true });
    expect((await cli(['check', '--seed'], db.env)).code).toBe(0);
    expect((await run(db, ['false'], '--seeds-database')).json().once).toMatchObject({ ran: false });
  });

  it('needs the migrations first', async () => {
    const db = await createDatabase();
    const early = await run(db, ['true'], '--seeds-database');
    expect(early.code).toBe(3);
    expect(await recorded(db)).toEqual([]);
  });
});

describe.runIf(hasPgbouncer())('once › behind a pooler', () => {
  it('exit 9 names the direct URL, which helps', async () => {
    const db = await createDatabase();
    const pooler = await startPgbouncer(db, 'transaction');
    try {
      const refused = await cli(['once', 'a', '--json', '--', 'true'], pooler.env);
      expect(refused.code).toBe(9);
      expect(refused.json().error?.hint).toContain('KASM_DB_DIRECT_URL');
      const direct = `postgres://${db.user}@127.0.0.1:${db.port}/${db.name}`;
      const done = await cli(['once', 'a', '--json', '--direct-url', direct, '--', 'true'], pooler.env);
      expect(done.code, done.stderr).toBe(0);
    } finally {
      await pooler.stop();
    }
  });
});
