import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { COMMAND, type RunningCli, startCli } from '../support/cli.js';
import { createDatabase, waitFor } from '../support/database.js';
import { folder } from '../support/folder.js';
import { hasTerminal } from '../support/terminal.js';

const [program, ...before] = COMMAND as [string, ...string[]];
const PATH = process.env.PATH ?? '';

describe('output that cannot be written', () => {
  it.each([['--json'], []])('to a full disk: exit 1, in words %j', (...args) => {
    const full = openSync('/dev/full', 'w');
    const run = spawnSync(program, [...before, 'lint', ...args], { env: { PATH }, stdio: ['ignore', full, 'pipe'] });
    closeSync(full);
    expect(run.stderr.toString()).toMatch(/^internal: the result could not be written to stdout \(ENOSPC/m);
    expect(run.status).toBe(1);
  });

  it('to a reader that is gone: silence, and the code of the work', () => {
    const command = [program, ...before].map((arg) => `'${arg}'`).join(' ');
    const run = spawnSync('bash', ['-c', `${command} lint --json | true; echo "\${PIPESTATUS[0]}" >&2`], {
      env: { PATH },
    });
    expect(run.stderr.toString()).toMatch(/(^|\n)0\n$/);
    expect(run.stderr.toString()).not.toMatch(/internal|EPIPE/);
  });
});

describe('without a home', () => {
  const root = process.getuid?.() === 0;
  it('HOME unset', () => {
    const run = spawnSync(program, [...before, 'check', '--json'], {
      env: { PATH, POSTGRES_HOST: '127.0.0.1', POSTGRES_PORT: '1', POSTGRES_USER: 'x' },
    });
    expect(JSON.parse(run.stdout.toString()).error.message).toMatch(/refuses connections/);
  });

  it.skipIf(!root)('a uid without an account (OpenShift), with and without a user', async () => {
    const db = await createDatabase();
    const call = (env: Record<string, string>) => {
      const run = spawnSync(program, [...before, 'migrate', '--json'], {
        uid: 1_234_567,
        gid: 0,
        cwd: '/',
        env: { PATH, ...env },
      });
      return JSON.parse(run.stdout.toString());
    };
    expect(call(db.env)).toMatchObject({ outcome: 'ok' });
    const { POSTGRES_USER: _, ...nobody } = db.env;
    expect(call(nobody)).toMatchObject({ outcome: 'usage' });
  });
});

/** Types on a terminal once a text has come. @param signal instead: what is done with the whole session */
async function atTheQuestion(
  args: string[],
  env: Record<string, string>,
  keys: string,
): Promise<{ code: number | null; text: string }> {
  const command = [program, ...before, ...args].map((arg) => `'${arg}'`).join(' ');
  const child = spawn('/usr/bin/script', ['-qec', command, '/dev/null'], { env: { PATH, TERM: 'xterm', ...env } });
  let text = '';
  let typed = false;
  child.stdout.on('data', (chunk) => {
    text += chunk;
    if (!typed && text.includes('[y/N]')) {
      typed = true;
      child.stdin.write(keys);
    }
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, text };
}

describe.skipIf(!hasTerminal)('a question', () => {
  const files = folder({ '0001_a.sql': 'CREATE TABLE a ()' });
  it.each([
    ['Ctrl-C: 130', '\u0003', 130, 1],
    ['Ctrl-D: no', '\u0004', 0, 1],
    ['y: done', 'y\r', 0, 0],
  ])('%s', async (_, keys, code, left) => {
    const db = await createDatabase();
    const cli = startCli(['migrate', '--migrations', files], db.env);
    expect((await cli.ended).code).toBe(0);
    const { code: ended, text } = await atTheQuestion(
      ['repair', '--pending', '0001_a', '--migrations', files],
      db.env,
      keys,
    );
    expect(ended, text).toBe(code);
    expect(await db.query('SELECT name FROM kasm_db.migrations')).toHaveLength(left);
  });
});

describe('signals', () => {
  const waiting = ({ stderr }: RunningCli) => waitFor(async () => stderr().match(/waiting: /) ?? [], 'it to wait');

  it('SIGHUP ends a run with --embedded and its server', async () => {
    const dir = join(folder({}), 'pg');
    const cli = startCli(['check', '--wait', '1h', '--embedded', dir]);
    await waiting(cli);
    cli.child.kill('SIGHUP');
    const ended = await cli.ended;
    expect(ended.code, ended.stderr).toBe(129);
    await waitFor(async () => (running(dir) ? [] : [1]), 'the end of the server');
  });

  it('SIGUSR1 opens no inspector', async () => {
    const cli = startCli(['check', '--wait', '1h'], {
      POSTGRES_HOST: '127.0.0.1',
      POSTGRES_PORT: '1',
      POSTGRES_USER: 'x',
    });
    await waiting(cli);
    cli.child.kill('SIGUSR1');
    await new Promise((resolve) => setTimeout(resolve, 1000));
    cli.child.kill('SIGTERM');
    const ended = await cli.ended;
    expect(ended.stderr).not.toMatch(/Debugger|inspector/i);
    expect(ended.code).toBe(143);
  });
});

/** Is a server at work in a data folder? */
function running(dir: string): boolean {
  return existsSync(dir) && readdirSync(dir).includes('postmaster.pid');
}
