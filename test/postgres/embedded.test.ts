import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { embeddedBinaries } from '../../src/embedded/binaries.js';
import { type CliRun, cli, folder, type RunningCli, startCli } from '../support/cli.js';
import { waitFor } from '../support/database.js';
import { busy } from '../support/time.js';

const isRoot = process.getuid?.() === 0;
const scratch: string[] = [];

/** A folder that everyone may enter, as a checkout in /srv would be; mkdtemp's own mode is that of a home folder. */
function place(mode = 0o755): string {
  const path = mkdtempSync(join(tmpdir(), 'kasm-db-embedded-'));
  chmodSync(path, mode);
  scratch.push(path);
  return path;
}

afterAll(() => {
  for (const path of scratch) rmSync(path, { recursive: true, force: true });
});

/** PIDs of everything that runs on a data folder: the server, or initdb. A child of it that has just begun still has its command line. */
function processesOn(data: string): number[] {
  const real = existsSync(data) ? realpathSync(data) : data;
  const found = execFileSync('ps', ['-eo', 'pid=,ppid=,args='], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(`-D ${real} `) || line.endsWith(`-D ${real}`))
    .map((line) => line.trim().split(/\s+/).map(Number) as [pid: number, parent: number, ...unknown[]]);
  const pids = found.map(([pid]) => pid);
  return found.filter(([, parent]) => !pids.includes(parent)).map(([pid]) => pid);
}

const until = (look: () => unknown, what: string) => waitFor(async () => (look() ? [1] : []), what);
const noServer = (data: string) => until(() => processesOn(data).length === 0, `the end of every process on ${data}`);

const quick = folder({ '0001_a.sql': 'CREATE TABLE a (id int);' });
const slow = folder({
  '0001_a.sql': 'CREATE TABLE a (id int);',
  '0002_b.sql': 'CREATE TABLE b (id int);\nSELECT pg_sleep(60);',
});
const migrate = (data: string, migrations = quick) => [
  'migrate',
  '--json',
  '--embedded',
  data,
  '--migrations',
  migrations,
];

/** Starts a migration that doesn't end by itself, and waits until it is in its second file. */
async function inTheMiddle(data: string): Promise<RunningCli> {
  const running = startCli(migrate(data, slow));
  await until(
    () => running.stderr().includes('applied 0001_a') || running.child.exitCode !== null,
    'the first migration',
  );
  expect(running.stderr()).toContain('applied 0001_a');
  return running;
}

function expectWorking(run: CliRun): void {
  expect(run.stderr).not.toMatch(/internal|environment|unreachable/);
  expect(run.json()).toMatchObject({ outcome: 'ok', current: '0001_a' });
}

describe('--embedded › a private PostgreSQL 16', () => {
  it("holds Kasm's schema after migrate, passes check, and has nothing to do the second time", async () => {
    const base = place();
    const data = join(base, 'a folder', 'postgres');
    // Connection settings of the environment are of no interest here.
    const env = { TMPDIR: place(), POSTGRES_HOST: 'nowhere.invalid', POSTGRES_PORT: 'x' };
    const first = await cli(['migrate', '--json', '--embedded', data], env);
    expect(first.json()).toMatchObject({
      outcome: 'ok',
      database: { name: 'kasm', serverVersion: expect.stringMatching(/^16\./), connection: 'direct' },
    });
    expect(first.json().applied?.length).toBeGreaterThan(10);
    expect(first.stderr).toMatch(/^making a private PostgreSQL in /);
    expect(processesOn(data)).toEqual([]);

    const check = await cli(['check', '--embedded', data], env);
    expect(check).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/^kasm on \S+ as kasm\n$/),
      stdout: expect.stringMatching(/^Ready\./),
    });
    const again = await cli(['migrate', '--json', '--embedded', data], env);
    expect(again.json()).toMatchObject({ outcome: 'ok', applied: [] });

    expect(processesOn(data)).toEqual([]);
    expect(readdirSync(env.TMPDIR)).toEqual([]);
    expect(readdirSync(join(base, 'a folder'))).toEqual(['postgres']);
    expect(statSync(data).mode & 0o777).toBe(0o700);
  });

  it('is in .kasm-db/postgres when no folder is named', async () => {
    const cwd = place();
    expectWorking(await cli(['migrate', '--json', '--embedded', '--migrations', quick], {}, { cwd }));
    expect(existsSync(join(cwd, '.kasm-db/postgres/PG_VERSION'))).toBe(true);
    expect(processesOn(join(cwd, '.kasm-db/postgres'))).toEqual([]);
  });

  it('listens on no port', async () => {
    const data = join(place(), 'pg');
    const running = await inTheMiddle(data);
    const [pid] = processesOn(data);
    const options = readFileSync(join(data, 'postmaster.opts'), 'utf8');
    expect(options).toContain('"listen_addresses="');
    expect(Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0])).toBe(pid);
    running.child.kill('SIGTERM');
    await running.ended;
    await noServer(data);
  });

  it('is made in an empty folder that is already there, such as a mounted volume', async () => {
    const data = join(place(), 'pg');
    mkdirSync(data, { mode: 0o755 });
    expectWorking(await cli(migrate(data)));
  });

  it('is not made among the files of others, and nothing of it stays', async () => {
    const base = place();
    const data = join(base, 'pg');
    mkdirSync(data);
    writeFileSync(join(data, 'precious'), 'x');
    const run = await cli(migrate(data));
    expect(run.json()).toMatchObject({
      exitCode: 9,
      outcome: 'environment',
      error: { message: expect.stringMatching(/holds something that is no PostgreSQL database/) },
    });
    expect(readdirSync(data)).toEqual(['precious']);
    expect(readdirSync(base)).toEqual(['pg']);
  });
});

it('--embedded › a file in place of the folder: exit 2', async () => {
  const file = join(place(), 'pg');
  writeFileSync(file, 'precious');
  const run = await cli(migrate(file));
  expect(run.json()).toMatchObject({ exitCode: 2, error: { message: expect.stringContaining(`cannot use ${file}`) } });
  expect(readFileSync(file, 'utf8')).toBe('precious');
});

describe('--embedded › two at once on one folder', () => {
  it('the later one is refused and named the earlier, which goes on', async () => {
    const data = join(place(), 'pg');
    const first = await inTheMiddle(data);
    const second = await cli(migrate(data));
    expect(second.json()).toMatchObject({
      outcome: 'locked',
      exitCode: 5,
      error: { message: expect.stringContaining(`PID ${first.child.pid}`), hint: 'wait until it has ended' },
    });
    expect(first.child.exitCode).toBeNull();
    expect(processesOn(data)).toHaveLength(1);
    first.child.kill('SIGTERM');
    expect(await first.ended).toMatchObject({ code: 143 });
    expectWorking(await cli(migrate(data)));
  });

  it('started in the same moment on a new one, all but one are refused', async () => {
    const data = join(place(), 'pg');
    const runs = await Promise.all([1, 2, 3].map(() => cli(migrate(data))));
    expect(runs.map(({ code }) => code).sort()).toEqual([0, 5, 5]);
    const check = await cli(['check', '--json', '--embedded', data, '--migrations', quick]);
    expectWorking(check);
    await noServer(data);
  });
});

it('--embedded › a server that refuses our login is ended', async () => {
  const data = join(place(), 'pg');
  expectWorking(await cli(migrate(data)));
  writeFileSync(join(data, 'pg_hba.conf'), 'local all all reject\n');
  expect((await cli(migrate(data))).json()).not.toMatchObject({ outcome: 'ok' });
  expect(processesOn(data)).toEqual([]);
});

describe('--embedded › ended before its time, the next run works and no server is left', () => {
  it('SIGTERM in the middle of a migration: 143 within 2 s, and the server with it', async () => {
    const data = join(place(), 'pg');
    const running = await inTheMiddle(data);
    const sent = performance.now();
    running.child.kill('SIGTERM');
    const run = await running.ended;
    expect(run).toMatchObject({ code: 143, signal: null });
    expect(performance.now() - sent).toBeLessThan(busy(2500));
    await noServer(data);
    expectWorking(await cli(migrate(data)));
  });

  it('SIGTERM while initdb is at work: nothing of it stays', async () => {
    const base = place();
    const running = startCli(migrate(join(base, 'pg')));
    const half = join(base, `pg.new-${running.child.pid}`);
    await until(() => existsSync(join(half, 'base')), 'initdb at work');
    running.child.kill('SIGTERM');
    const run = await running.ended;
    expect(run.code, run.stderr).toBe(143);
    expect(run.json().outcome).toBe('interrupted');
    await noServer(half);
    expect(readdirSync(base)).toEqual(['pg']);
    expect(readdirSync(join(base, 'pg'))).toEqual([]);
  });

  it('SIGTERM while the cluster is being made', async () => {
    const data = join(place(), 'pg');
    const running = startCli(migrate(data));
    await until(() => existsSync(join(data, 'PG_VERSION')), 'initdb at work');
    running.child.kill('SIGTERM');
    expect((await running.ended).code).toBe(143);
    await noServer(data);
    expectWorking(await cli(migrate(data)));
  });

  it('kill -9 in the middle of a migration: the server that was left is ended by the next run', async () => {
    const data = join(place(), 'pg');
    const running = await inTheMiddle(data);
    const [left] = processesOn(data);
    running.child.kill('SIGKILL');
    await running.ended;
    expect(processesOn(data)).toEqual([left]);
    expectWorking(await cli(migrate(data)));
    await noServer(data);
  });

  it.each([
    ['while the cluster is being made', (data: string) => existsSync(join(data, 'PG_VERSION'))],
    ['before its database is made', (data: string) => serverStarted(data)],
  ])('kill -9 %s', async (_, reached) => {
    const data = join(place(), 'pg');
    const running = startCli(migrate(data));
    await until(() => reached(data), 'that moment');
    running.child.kill('SIGKILL');
    await running.ended;
    expectWorking(await cli(migrate(data)));
    await noServer(data);
  });

  it("a process that only happens to have the old server's PID is left alone", async () => {
    const data = join(place(), 'pg');
    const running = await inTheMiddle(data);
    const pidFile = join(data, 'postmaster.pid');
    running.child.kill('SIGKILL');
    await running.ended;
    for (const pid of processesOn(data)) process.kill(pid, 'SIGKILL');
    await noServer(data);
    // As after a reboot, or in the next container on the same volume: the number is somebody else's now.
    const bystander: ChildProcess = spawn('sleep', ['60'], { stdio: 'ignore' });
    const [, ...rest] = readFileSync(pidFile, 'utf8').split('\n');
    writeFileSync(pidFile, [bystander.pid, ...rest].join('\n'));
    try {
      await cli(['check', '--embedded', data, '--migrations', quick]);
      expect(bystander.signalCode).toBeNull();
      expect(bystander.exitCode).toBeNull();
    } finally {
      bystander.kill();
      await noServer(data);
    }
  });
});

/** The server's own process, not one of those that initdb starts. */
function serverStarted(data: string): boolean {
  return processesOn(data).some((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('\0-k\0');
    } catch {
      return false;
    }
  });
}

describe.runIf(isRoot)('--embedded › as root, below a folder that no other user can enter', () => {
  it("the server's programs are copied to where its account reaches them, with the links that npm does not unpack", () => {
    const version = `0.0.0-test.${process.pid}`;
    const native = {
      'lib/libx.so.1.2': 'library',
      'pg-symlinks.json': '[{"source":"native/lib/libx.so.1.2","target":"native/lib/libx.so.1"}]',
    };
    const files = Object.entries(native).map(([name, text]) => [
      `node_modules/postgres-of-a-test/native/${name}`,
      text,
    ]);
    const root = folder({
      'node_modules/postgres-of-a-test/package.json': JSON.stringify({ version }),
      ...Object.fromEntries(files),
    });
    chmodSync(root, 0o700);
    const copy = embeddedBinaries({ uid: 65_534, gid: 65_534 }, join(root, 'program.js'), 'postgres-of-a-test');
    try {
      expect(copy).toBe(`/var/lib/kasm-db/postgres-${version}`);
      expect(readFileSync(join(copy, 'lib/libx.so.1'), 'utf8')).toBe('library');
    } finally {
      rmSync(copy, { recursive: true, force: true });
    }
  });

  it('the data is a link into /var/lib/kasm-db, and all works as elsewhere', async () => {
    const data = join(place(0o700), 'pg');
    const shared = '/var/lib/kasm-db';
    const wasThere = existsSync(shared);
    try {
      expectWorking(await cli(migrate(data)));
      expect(lstatSync(data).isSymbolicLink()).toBe(true);
      expect(realpathSync(data)).toMatch(/^\/var\/lib\/kasm-db\/data-\w+$/);
      expect(statSync(data).uid).not.toBe(0);
      expect((await cli(migrate(data))).json()).toMatchObject({ outcome: 'ok', applied: [] });
      expect(processesOn(data)).toEqual([]);
      // Taking the link's target away is starting anew.
      rmSync(realpathSync(data), { recursive: true });
      expect((await cli(migrate(data))).json()).toMatchObject({ outcome: 'ok', applied: [{ name: '0001_a' }] });
    } finally {
      if (existsSync(data)) {
        const target = realpathSync(data);
        rmSync(target, { recursive: true, force: true });
        rmSync(`${target}.owner`, { force: true });
      }
      // Others may keep something there by now.
      if (!wasThere && readdirSync(shared).length === 0) rmdirSync(shared);
    }
  });
});
