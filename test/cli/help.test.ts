import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/cli/command-line.js';
import { cli } from '../support/cli.js';
import { hasTerminal, onTerminal } from '../support/terminal.js';

const ESC = '\u001b';

describe('help', () => {
  it.each([
    [['migrate', '--help']],
    [['migrate', '-h']],
    [['help', 'migrate']],
    [['--host', 'db', 'migrate', '--to', '0001_a', '--help']],
    [['migrate', '--lock-timeout', '5s', '--help', '--quiet']],
  ])('%j is that of migrate', async (args) => {
    const run = await cli(args);
    expect(run).toMatchObject({ code: 0, stderr: '' });
    expect(run.stdout).toMatch(/^Usage: kasm-db migrate \[options\]\n\nBring the database/);
  });

  it('help alone is --help', async () => {
    const [help, flag] = await Promise.all([cli(['help']), cli(['--help'])]);
    expect(help.stdout).toBe(flag.stdout);
    expect(help.stdout).toMatch(/^Usage: kasm-db \[options\] \[command\]/);
  });

  it('of --check is that of check', async () => {
    expect((await cli(['--check', '--help'])).stdout).toMatch(/^Usage: kasm-db check/);
  });

  it.each(COMMANDS.map(({ name }) => name))('%s has one, which needs no settings', async (name) => {
    expect((await cli([name, '--help'], { POSTGRES_PORT: 'nonsense' })).stdout).toMatch(
      new RegExp(`^Usage: kasm-db ${name} `),
    );
  });

  it('with --json it stands in the result', async () => {
    const run = await cli(['plan', '--help', '--json']);
    expect(run.json()).toMatchObject({
      command: 'help',
      outcome: 'ok',
      page: expect.stringMatching(/^Usage: kasm-db plan/),
    });
    expect(run.json().database).toBeUndefined();
  });

  it('exit-codes: what is seen, why, and what to do; a number: that one', async () => {
    const [all, one] = await Promise.all([cli(['help', 'exit-codes']), cli(['help', '4'])]);
    expect((await cli(['help', '129'])).stdout).toContain('SIGHUP (129)');
    expect(all.stdout).toContain(one.stdout.trimEnd());
    expect(one.stdout).toMatch(/^4 unreachable\n(.*\n)* {2}refuses connections\n {4}why {2}.*\n {4}do {3}/);
    expect(one.stdout).not.toContain('5 locked');
  });

  it('of what is not there is refused, with what was meant', async () => {
    const run = await cli(['help', 'stauts', '--json']);
    expect(run.code).toBe(2);
    expect(run.json().error).toMatchObject({
      message: "unknown topic 'stauts' (did you mean status?)",
      hint: expect.stringContaining('status'),
    });
  });
});

describe('--version', () => {
  it('with --verbose: what a bug report needs', async () => {
    const run = await cli(['--version', '--verbose']);
    expect(run.stdout).toMatch(
      /^kasm-db \d\S*\nmigrations \d+, the newest is \d{4}_\w+ .*\nruntime +(Node|Bun) \d.*\nplatform +linux/,
    );
  });
});

describe('a slip on the command line › what was meant, exit 2', () => {
  it.each<[string[], RegExp, RegExp]>([
    [['stauts'], /^unknown command 'stauts' \(did you mean status\?\)$/, /kasm-db --help lists the commands/],
    [['migrate', '--dryrun'], /\(did you mean --dry-run\?\)$/, /kasm-db migrate --help lists its options/],
    [['plan', '--hots', 'db'], /^unknown option '--hots' \(did you mean --host\?\)$/, /kasm-db plan --help/],
    [['--sslmod', 'require', 'check'], /\(did you mean --sslmode\?\)$/, /./],
    [['check', '--sedds=s3cr3t-x'], /^unknown option '--sedds' \(did you mean --seeds\?\)$/, /kasm-db check --help/],
    [['status', '--steps', '3'], /^unknown option '--steps'/, /--steps is an option of rollback/],
    [['frobnicate-all'], /^unknown command 'frobnicate-all'$/, /kasm-db --help/],
  ])('%j', async (args, message, hint) => {
    const run = await cli([...args, '--json']);
    expect(run.code).toBe(2);
    expect(run.json().error?.message).toMatch(message);
    expect(run.json().error?.hint).toMatch(hint);
  });
});

describe.skipIf(!hasTerminal)('help › on a terminal', () => {
  it('its headings stand out', async () => {
    expect(await onTerminal(['--help'])).toContain(`${ESC}[1mExamples:${ESC}[22m`);
  });

  it.each<[string, string[], Record<string, string>]>([
    ['--no-color', ['--no-color'], {}],
    ['NO_COLOR', [], { NO_COLOR: '1' }],
    ['TERM=dumb', [], { TERM: 'dumb' }],
  ])('not with %s', async (_, flags, env) => {
    const text = await onTerminal(['--help', ...flags], env);
    expect(text).toMatch(/^Usage: kasm-db/);
    expect(text).not.toContain(ESC);
  });
});

describe('colours in a pipe', () => {
  it.each<[string, Record<string, string>, boolean]>([
    ['none', {}, false],
    ['with FORCE_COLOR', { FORCE_COLOR: '1' }, true],
    ['not with FORCE_COLOR and NO_COLOR', { FORCE_COLOR: '1', NO_COLOR: '1' }, false],
  ])('%s', async (_, env, colored) => {
    expect((await cli(['--help'], env)).stdout.includes(ESC)).toBe(colored);
  });
});

describe.skipIf(!hasTerminal)('text on a terminal is wrapped at words at its width', () => {
  /** Longer lines, and those that end in a blank. */
  const untidy = (text: string, columns: number) =>
    text.split('\n').filter((line) => line.length > columns || line !== line.trimEnd());

  it.each([60, 80, 120])('help, an exit code and a failure on %i columns', async (columns) => {
    for (const args of [['--help'], ['help', '6'], ['migrate']]) {
      const text = await onTerminal([...args, '--no-color'], {}, { columns });
      expect(untidy(text, columns), args.join(' ')).toEqual([]);
      // It is used, too.
      expect(Math.max(...text.split('\n').map((line) => line.length))).toBeGreaterThan(columns - 20);
    }
  });

  it('in a pipe a message is one line', async () => {
    const run = await cli(['migrate']);
    expect(run.stderr).toMatch(/^usage: [^\n]+\nnext: [^\n]{100,}\nexit code 2 \(usage\)\n$/);
  });
});
