import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/cli/command-line.js';
import { GLOBAL_OPTIONS } from '../../src/cli/global-options.js';
import { EXAMPLES, FIRST_STEPS } from '../../src/cli/help/examples.js';
import { helpAnswer } from '../../src/cli/help/index.js';
import { parse } from '../../src/cli/parse.js';
import { style } from '../../src/output/terminal.js';

const ROOT = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const help = (topic?: string) => helpAnswer(topic, { commands: COMMANDS, globals: GLOBAL_OPTIONS }).text(style(false));
const flagsOf = (options: readonly (readonly [string, ...unknown[]])[]) =>
  options.map(([flags]) => flags.split(' ')[0] as string);
const GLOBAL = GLOBAL_OPTIONS.flatMap(({ options }) => flagsOf(options));

describe('help › fits a terminal of 80 columns', () => {
  it.each([undefined, 'exit-codes', ...COMMANDS.map(({ name }) => name)])('%s', (topic) => {
    expect(
      help(topic)
        .split('\n')
        .filter((line) => line.length >= 80 || /\s$/.test(line)),
    ).toEqual([]);
  });
});

describe('help › tells everything', () => {
  it('every command and every option that all take', () => {
    const text = help();
    for (const { name } of COMMANDS) expect(text).toMatch(new RegExp(`^  ${name} +\\S`, 'm'));
    for (const flag of GLOBAL) expect(text).toMatch(new RegExp(`^  ${flag} .*\\S`, 'm'));
  });

  it.each(COMMANDS.map((spec) => [spec.name, spec] as const))('%s: its options, below its examples', (name, spec) => {
    const text = help(name);
    const flags = flagsOf(spec.options ?? []);
    for (const flag of flags) expect(text).toMatch(new RegExp(`^  ${flag} .*\\S`, 'm'));
    for (const flag of GLOBAL) expect(text).toContain(flag);
    const [examples, options] = [text.indexOf('\nExamples:'), text.indexOf('\nOptions:')];
    if (EXAMPLES[name]) expect(examples).toBeGreaterThan(0);
    if (flags.length > 0) expect(options).toBeGreaterThan(examples);
  });

  it('every command has examples, and nothing else has', () => {
    expect(Object.keys(EXAMPLES).sort()).toEqual(COMMANDS.map(({ name }) => name).sort());
  });
});

describe('help › its examples are calls that work', () => {
  it.each([
    ...FIRST_STEPS.map(([call]) => [call, undefined] as const),
    ...Object.entries(EXAMPLES).flatMap(([name, calls]) => calls.map(([call]) => [call, name] as const)),
  ])('%s', (call, name) => {
    const [program, ...args] = call.replace(/ > .*/, '').split(' ');
    expect(program).toBe('kasm-db');
    const { command, refusal } = parse(args);
    expect(refusal).toBeUndefined();
    expect(command).toBe(name ?? (args[0] === '--check' ? 'check' : args[0]));
  });

  it('they name migrations that there are', () => {
    const names = readdirSync(join(ROOT, 'migrations')).map((file) => file.slice(0, -4));
    const used = JSON.stringify(EXAMPLES)
      .match(/--to \w+/g)
      ?.map((to) => to.slice(5));
    expect(used?.length).toBeGreaterThan(1);
    for (const name of used ?? []) expect(names).toContain(name);
  });
});

describe('--check', () => {
  it.each([
    [['--check', '--seed', '--wait', '10m', '--no-color'], { seed: true, wait: '10m', color: false }],
    [['--json', '--check'], { json: true }],
    [['--host', 'db', '--check', '--fail-fast'], { host: 'db', failFast: true }],
    [['--check', '--dbname', 'seed'], { dbname: 'seed' }],
  ])('%j is the command check', (args, options) => {
    const call = parse(args);
    expect(call.refusal).toBeUndefined();
    expect(call).toMatchObject({ command: 'check', writes: false, offline: false, options });
  });

  it('is no option of another command', () => {
    expect(parse(['migrate', '--check'])).toMatchObject({
      command: 'migrate',
      refusal: { outcome: 'usage', message: "unknown option '--check'" },
    });
  });
});

describe('README › what it says of the command line', () => {
  it('README has a row for every command', () => {
    const readme = read('README.md');
    for (const { name } of COMMANDS) expect(readme).toMatch(new RegExp(`^\\| \`${name}\\b`, 'm'));
  });

  it('README names every option that all take', () => {
    const readme = read('README.md');
    for (const flag of GLOBAL) expect(readme).toContain(flag);
  });
});
