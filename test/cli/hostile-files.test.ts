import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { LOCK_KEY } from '../../src/postgres/lock.js';
import { COMMAND, startCli } from '../support/cli.js';
import { createDatabase, waitFor } from '../support/database.js';
import { folder } from '../support/folder.js';
import { watchMemory } from '../support/memory.js';

/** What stands at a path, instead of the file that is named. */
const THINGS: Record<string, (path: string) => void> = {
  'a FIFO': (path) => execFileSync('mkfifo', [path]),
  'a folder': (path) => mkdirSync(path),
  '/dev/zero': (path) => execFileSync('ln', ['-s', '/dev/zero', path]),
  'a link to itself': (path) => symlinkSync(path, path),
  'a file of 10 GB, which takes no space': (path) => {
    writeFileSync(path, 'x');
    truncateSync(path, 10 * 2 ** 30);
  },
  nothing: () => {},
};

/** A call that reads the file at a path. */
type Call = (path: string) => { args: string[]; env?: Record<string, string> };
const check = (env: Record<string, string>) => ({ args: ['check', '--connect-timeout', '1s'], env });
const inFolder = (path: string) => path.replace(/\/[^/]+$/, '');

const CALLS: Record<string, [name: string, call: Call]> = {
  POSTGRES_PASSWORD_FILE: ['password', (path) => check({ POSTGRES_PASSWORD_FILE: path })],
  KASM_DB_URL_FILE: ['url', (path) => check({ KASM_DB_URL_FILE: path })],
  PGSSLROOTCERT: ['ca.crt', (path) => check({ PGSSLROOTCERT: path, PGSSLMODE: 'verify-full' })],
  'a migration': ['0001_a.sql', (path) => ({ args: ['plan', '--migrations', inFolder(path)] })],
  'lint FILE': ['0001_a.sql', (path) => ({ args: ['lint', path] })],
  '--seeds': ['x.yaml', (path) => ({ args: ['seed', '--dry-run', '--seeds', path] })],
  '--seeds, a folder': ['x.yaml', (path) => ({ args: ['seed', '--dry-run', '--seeds', inFolder(path)] })],
  '--against': ['x.yaml', (path) => ({ args: ['verify', '--against', path] })],
  'new --from-export': [
    'x.yaml',
    (path) => ({ args: ['new', 'x', '--from-export', path, '--migrations', inFolder(path)] }),
  ],
  'a snapshot': [
    'schema.snapshot.json',
    (path) => {
      writeFileSync(join(inFolder(path), '0001_a.sql'), 'SELECT 1');
      writeFileSync(join(inFolder(path), 'export.txt'), 'T a\nid UUID!\n');
      const args = ['new', 'x', '--from-export', join(inFolder(path), 'export.txt'), '--migrations', inFolder(path)];
      return { args };
    },
  ],
  PGSERVICEFILE: ['service', (path) => check({ PGSERVICE: 'kasm', PGSERVICEFILE: path })],
  'a client certificate': ['tls.crt', (path) => check({ PGSSLCERT: path, PGSSLKEY: path, PGSSLMODE: 'require' })],
  'a Secret key of the folder': ['db-password', (path) => check({ KASM_DB_SECRETS_DIR: inFolder(path) })],
};

let most = 0;
let runs = 0;
describe.concurrent('a file that is none › a named error within its time, and little memory', () => {
  for (const [what, [name, call]] of Object.entries(CALLS))
    for (const [thing, make] of Object.entries(THINGS)) {
      it(`${what}: ${thing}`, async () => {
        const path = join(folder({}), name);
        make(path);
        const { args, env = {} } = call(path);
        const cli = startCli([...args, '--json'], {
          POSTGRES_HOST: '127.0.0.1',
          POSTGRES_PORT: '1',
          POSTGRES_USER: 'kasmapp',
          ...env,
        });
        const megabytes = watchMemory(cli.child);
        const cut = setTimeout(() => cli.child.kill('SIGKILL'), 30_000);
        const ended = await cli.ended;
        clearTimeout(cut);
        expect(ended.signal, 'did not end').toBeNull();
        const result = ended.json();
        // A missing file may be no mistake: then what comes next is told.
        const missing = thing === 'nothing' || thing === 'a link to itself';
        expect(missing ? [0, 2, 4, 6] : [2], ended.stderr).toContain(result.exitCode);
        expect(ended.code).toBe(result.exitCode);
        if (!missing)
          expect(result.error?.message).toMatch(
            /it is (a (pipe|folder|device), not a file|larger than|empty)|(is|holds no) /,
          );
        // One that is read whole is read once.
        expect(megabytes()).toBeLessThan(350);
        most = Math.max(most, megabytes());
        runs++;
      });
    }

  afterAll(() => console.log(`hostile files: ${runs} runs, 0 hangs; at most ${most.toFixed(0)} MB`));
});

it("a Secret by the shell's <(…) is read", async () => {
  const [program, ...args] = [...COMMAND, 'check', '--json', '--connect-timeout', '1s'];
  const quoted = [program, ...args].map((arg) => `'${arg}'`).join(' ');
  const shell = spawn('bash', ['-c', `POSTGRES_PASSWORD_FILE=<(sleep 0.2; echo x) ${quoted}`], {
    env: {
      PATH: process.env.PATH,
      HOME: '/nonexistent',
      POSTGRES_HOST: '127.0.0.1',
      POSTGRES_PORT: '1',
      POSTGRES_USER: 'x',
    },
  });
  let stdout = '';
  shell.stdout.on('data', (data) => {
    stdout += data;
  });
  await new Promise((resolve) => shell.once('close', resolve));
  expect(JSON.parse(stdout).error.message).toMatch(/refuses connections/);
});

/** What stands at a path that is written. */
const WRITTEN: Record<string, [make: (path: string) => void, says: RegExp]> = {
  'a FIFO': [(path) => execFileSync('mkfifo', [path]), /it is a pipe that nobody reads/],
  'a FIFO whose reader does not read': [
    (path) => {
      execFileSync('mkfifo', [path]);
      readers.push(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
    },
    /it is a pipe, and nothing was read for 1.0 s/,
  ],
  'a folder': [(path) => mkdirSync(path), /EISDIR/],
  '/dev/full': [(path) => symlinkSync('/dev/full', path), /ENOSPC/],
  'a place in no folder': [(path) => symlinkSync('/proc/nowhere/x', path), /ENOENT/],
};
const readers: number[] = [];

describe.concurrent('a file that cannot be written › a named reason within its time', () => {
  for (const [thing, [make, says]] of Object.entries(WRITTEN)) {
    const at = () => {
      const path = join(folder({}), 'out');
      make(path);
      return path;
    };

    it(`docs --out: ${thing}`, async () => {
      const ended = await startCli(['docs', '--format', 'markdown', '--json', '--out', at()]).ended;
      expect(ended.json()).toMatchObject({ outcome: 'usage', error: { message: expect.stringMatching(says) } });
    });

    it(`KASM_DB_TERMINATION_LOG: ${thing}: a warning, and the work's own exit code`, async () => {
      const ended = await startCli(['lint', '--json'], { KASM_DB_TERMINATION_LOG: at() }).ended;
      expect(ended.json()).toMatchObject({ outcome: 'ok' });
      // What fits into a pipe is written.
      if (!thing.includes('reader')) expect(ended.stderr).toMatch(says);
    });
  }

  it("docs --out to the shell's >(…) and to /dev/stdout", async () => {
    const command = COMMAND.map((word) => `'${word}'`).join(' ');
    const bash = (script: string) =>
      execFileSync('bash', ['-c', script], { encoding: 'utf8', env: { PATH: process.env.PATH } });
    expect(bash(`${command} docs --json --out >(cat >/dev/null)`)).toMatch(/"outcome":"ok"/);
    expect(bash(`${command} docs --format mermaid --quiet --out /dev/stdout | cat`)).toMatch(/^erDiagram/m);
  });
});

afterAll(() => {
  for (const fd of readers) closeSync(fd);
});

describe('a folder of migrations', () => {
  it('whose large file changes while another migrator is at work: it is not run', async () => {
    const db = await createDatabase();
    const files = folder({});
    const large = (i: number) => `CREATE TABLE large_${i} (x integer);\n${`-- ${'x'.repeat(996)}\n`.repeat(33_000)}`;
    for (const i of [1, 2, 3]) writeFileSync(join(files, `000${i}_large.sql`), large(i));
    // Another migrator is at work until the last file is another one.
    const other = await db.connect();
    await other.query(`SELECT pg_advisory_lock(${LOCK_KEY})`);
    const migrate = startCli(['migrate', '--json', '--migrations', files], db.env);
    await waitFor(async () => (/waiting for the migration lock/.test(migrate.stderr()) ? [1] : []), 'the wait');
    writeFileSync(join(files, '0003_large.sql'), large(99));
    await other.end();
    expect((await migrate.ended).json()).toMatchObject({
      exitCode: 2,
      error: { message: expect.stringMatching(/0003_large\.sql was changed while/) },
    });
    expect(await db.query("SELECT FROM pg_tables WHERE tablename LIKE 'large_%'")).toHaveLength(0);
  });

  it('of 600 MB: the names of its tables do not keep its texts in memory', async () => {
    const files = folder({});
    const lines = `-- ${'x'.repeat(996)}\n`.repeat(60_000);
    for (let i = 1001; i <= 1010; i++)
      writeFileSync(join(files, `${i}_a.sql`), `CREATE TABLE a_table_with_a_long_name_${i} (x integer);\n${lines}`);
    const cli = startCli(['check', '--json', '--migrations', files, '--connect-timeout', '1s'], {
      POSTGRES_HOST: '127.0.0.1',
      POSTGRES_PORT: '1',
      POSTGRES_USER: 'kasmapp',
    });
    const megabytes = watchMemory(cli.child);
    expect((await cli.ended).json()).toMatchObject({ outcome: 'unreachable' });
    // Reading one takes some 520; the texts of all would be 600 more.
    expect(megabytes()).toBeLessThan(800);
    rmSync(files, { recursive: true });
  });

  it('with a line break in a name: told on one line', async () => {
    const run = await startCli(['lint', '--migrations', folder({ '0001_a\ninternal: all is lost.sql': 'SELECT 1' })])
      .ended;
    expect(run.code).toBe(2);
    expect(run.stderr.split('\n').filter((line) => line.startsWith('internal'))).toEqual([]);
  });
});

describe('a pipe that nobody reads', () => {
  /** A pipe with a reader that does not read. @returns its end for writing */
  const deaf = () => {
    const path = join(folder({}), 'pipe');
    execFileSync('mkfifo', [path]);
    const fd = openSync(path, constants.O_RDWR);
    readers.push(fd);
    return fd;
  };
  const fill = (pipe: number) => {
    const fd = openSync(`/proc/self/fd/${pipe}`, constants.O_WRONLY | constants.O_NONBLOCK);
    expect(() => {
      for (;;) writeSync(fd, 'x'.repeat(4096));
    }).toThrow('EAGAIN');
    closeSync(fd);
  };
  const [program, ...before] = COMMAND as [string, ...string[]];
  const ended = (child: ChildProcess) =>
    new Promise<unknown>((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)));

  /** Waits until a process writes into a pipe: for that it has opened it once more. */
  const writes = (pid: number | undefined, pipe: number) => {
    const { dev, ino } = fstatSync(pipe);
    const isPipe = (fd: string) => {
      const file = statSync(`/proc/${pid}/fd/${fd}`, { throwIfNoEntry: false });
      return file?.dev === dev && file.ino === ino;
    };
    const opened = () => readdirSync(`/proc/${pid}/fd`).filter(isPipe).length;
    return waitFor(async () => (opened() > 1 ? [1] : []), 'the process to write');
  };
  /** Waits until a process that writes has left its signals to the system, since nobody reads. */
  const waitsForReader = async ({ pid }: ChildProcess, pipe: number) => {
    await writes(pid, pipe);
    const catchesTerm = () => /^SigCgt:.*[4-7c-f][0-9a-f]{3}$/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    await waitFor(async () => (catchesTerm() ? [] : [1]), 'the full pipe');
  };

  it('as stdout: SIGTERM ends the process', async () => {
    const pipe = deaf();
    const child = spawn(program, [...before, 'licenses'], { stdio: ['ignore', pipe, 'ignore'] });
    const end = ended(child);
    await waitsForReader(child, pipe);
    child.kill('SIGTERM');
    expect(await end).toBe('SIGTERM');
  });

  it('as stdout that is full already: the result after SIGTERM is not waited for', async () => {
    const full = deaf();
    fill(full);
    const child = spawn(program, [...before, 'check', '--wait', '--json', '--host', '127.0.0.1', '--port', '1'], {
      stdio: ['ignore', full, 'pipe'],
    });
    const end = ended(child);
    await new Promise((resolve) => child.stderr?.once('data', resolve));
    child.kill('SIGTERM');
    expect(await end).toBe(143);
  });

  it.runIf(process.platform === 'linux' && process.getuid?.() === 0)(
    'for a while, as PID 1: a SIGTERM meanwhile is not lost',
    async () => {
      const pipe = deaf();
      fill(pipe);
      const args = ['--pid', '--fork', '--kill-child', program, ...before, 'check', '--wait', '--port', '1'];
      const shared = spawn('unshare', [...args, '--host', '127.0.0.1'], { stdio: ['ignore', 'ignore', pipe] });
      const end = ended(shared);
      const children = `/proc/${shared.pid}/task/${shared.pid}/children`;
      await waitFor(async () => (readFileSync(children, 'utf8') ? [1] : []), 'the start');
      const inside = Number.parseInt(readFileSync(children, 'utf8'), 10);
      // Its first line, for which there is no place.
      await writes(inside, pipe);
      process.kill(inside, 'SIGTERM');
      const reader = spawn('cat', { stdio: [pipe, 'ignore', 'ignore'] });
      expect(await end).toBe(143);
      reader.kill();
    },
  );

  it('as stderr: SIGTERM ends a migration that talks, and its transaction with it', async () => {
    const db = await createDatabase();
    const talk = "DO $$ BEGIN FOR i IN 1..99 LOOP RAISE WARNING '%', repeat('x', 2000); END LOOP; END $$;";
    const files = folder({ '0001_a.sql': `CREATE TABLE a (x integer);\n${talk}\nSELECT pg_sleep(600);\n` });
    const args = [...before, 'migrate', '--migrations', files];
    const pipe = deaf();
    const child = spawn(program, args, {
      stdio: ['ignore', 'ignore', pipe],
      env: { PATH: process.env.PATH, ...db.env },
    });
    const end = ended(child);
    const atWork = `SELECT FROM pg_stat_activity WHERE datname = '${db.name}' AND query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()`;
    await waitFor(() => db.superQuery(atWork), 'the statement');
    await waitsForReader(child, pipe);
    child.kill('SIGTERM');
    expect(await end).toBe('SIGTERM');
    // 13 has no client_connection_check_interval; the server here has.
    await waitFor(async () => ((await db.superQuery(atWork)).length === 0 ? [1] : []), 'the end of the session');
    expect(await db.query("SELECT FROM pg_tables WHERE tablename = 'a'")).toHaveLength(0);
  });
});
