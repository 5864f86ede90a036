import { execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, mkdirSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { COMMAND, startCli } from '../support/cli.js';
import { folder } from '../support/folder.js';
import { watchMemory } from '../support/memory.js';

/** What stands at a path, instead of the file that is named. */
const THINGS: Record<string, (path: string) => void> = {
  'a FIFO': (path) => execFileSync('mkfifo', [path]),
  'a folder': (path) => mkdirSync(path),
  '/dev/zero': (path) => execFileSync('ln', ['-s', '/dev/zero', path]),
  '/dev/random': (path) => execFileSync('ln', ['-s', '/dev/random', path]),
  'a file of 110 MB': (path) => writeFileSync(path, Buffer.alloc(110 << 20, 'x')),
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
        expect(thing === 'nothing' ? [0, 2, 4, 6] : [2], ended.stderr).toContain(result.exitCode);
        expect(ended.code).toBe(result.exitCode);
        if (thing !== 'nothing')
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
    /it is a pipe, and nothing was read for 1000 ms/,
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

  afterAll(() => {
    for (const fd of readers) closeSync(fd);
  });
});
