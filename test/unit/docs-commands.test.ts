import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { COMMANDS } from '../../src/cli/command-line.js';
import { GLOBAL_OPTIONS } from '../../src/cli/global-options.js';
import { parse } from '../../src/cli/parse.js';
import type { OptionSpec } from '../../src/cli/spec.js';
import { fences, PAGES, prose, ROOT, shellCommands, textOf } from '../support/markdown.js';

/** Arguments of kasm-db in a simple command: called by its name, or as an image. */
function argumentsIn(words: string[]): string[] | undefined {
  if (words[0] === 'kasm-db') return words.slice(1);
  if (words[0] === 'docker' && words[1] === 'run') return words.slice(words.indexOf('kasm-db') + 1);
  return undefined;
}

/** What the command line itself says to these arguments. Nothing is run. */
function refusal(args: string[]): string | undefined {
  return parse(args).refusal?.message;
}

/** Every call of kasm-db on a page: in fenced blocks, as arguments of a container, and in running text. */
function calls(page: string): { args: string[]; where: string }[] {
  const text = textOf(page);
  const blocks = fences(page, text);
  const inShell = blocks
    .filter(({ language }) => language === 'sh')
    .flatMap(({ text, line }) => shellCommands(text).map(({ words }) => ({ words, where: `${page}:${line}` })))
    .flatMap(({ words, where }) => {
      const args = argumentsIn(words);
      return args ? [{ args, where }] : [];
    });
  const inYaml = blocks
    .filter(({ language, text }) => language === 'yaml' && /image: kasm-db/.test(text))
    .flatMap(({ text, line }) =>
      [...text.matchAll(/^\s*args: (\[.*\])$/gm)].map(([, list = '']) => ({
        args: parseYaml(list) as string[],
        where: `${page}:${line}`,
      })),
    );
  const inText = prose(text)
    .split('\n')
    .flatMap((line, i) =>
      [...line.matchAll(/`(?:npx )?kasm-db ([a-z-][^`]*)`/g)]
        .map(([, rest]) => rest as string)
        // Shapes of calls, not calls.
        .filter((rest) => !/[…[\]|]/.test(rest))
        .map((rest) => ({ args: shellCommands(rest)[0]?.words ?? [], where: `${page}:${i + 1}` })),
    );
  return [...inShell, ...inYaml, ...inText];
}

describe('calls of kasm-db in the documentation', () => {
  it.each(PAGES.filter((page) => calls(page).length > 0))('%s has none that the command line refuses', (page) => {
    const refused = calls(page).flatMap(({ args, where }) => {
      const why = refusal(args);
      return why ? [`${where}: kasm-db ${args.join(' ')}: ${why}`] : [];
    });
    expect(refused).toEqual([]);
  });

  it.each(['README.md', 'docs/COMMANDS.md'])("%s's table has every command", (page) => {
    const rows = [...textOf(page).matchAll(/^\| `([a-z-]+)/gm)].map(([, name]) => name);
    expect(COMMANDS.map(({ name }) => name).filter((name) => !rows.includes(name))).toEqual([]);
  });

  it('docs/COMMANDS.md gives each command options that it has', () => {
    const flags = (options: readonly OptionSpec[] = []): string[] =>
      options.flatMap(([text]) => text.match(/--[\w-]+/g) ?? []);
    const everywhere = GLOBAL_OPTIONS.flatMap(({ options }) => flags(options));
    const wrong = [...textOf('docs/COMMANDS.md').matchAll(/^\| `([a-z-]+)[^|]*\|(.*)$/gm)].flatMap(
      ([, name, rest = '']) => {
        const spec = COMMANDS.find((command) => command.name === name);
        const known = [...everywhere, ...flags(spec?.options)];
        return (rest.match(/--[a-z][\w-]*/g) ?? [])
          .filter((flag) => spec && !known.includes(flag))
          .map((flag) => `${name} ${flag}`);
      },
    );
    expect(wrong).toEqual([]);
    const [, listed = ''] = /^Every command takes (.*?--help)/ms.exec(textOf('docs/COMMANDS.md')) ?? [];
    const all: string[] = listed.match(/--[a-z][\w-]*/g) ?? [];
    expect(all.length).toBeGreaterThan(15);
    expect(all.filter((flag) => !everywhere.includes(flag) && flag !== '--help')).toEqual([]);
    expect(everywhere.filter((flag) => !all.includes(flag) && flag !== '--version')).toEqual([]);
  });

  it('docs/SETTINGS.md names variables that the program reads', () => {
    const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => readFileSync(join(ROOT, 'src', file), 'utf8'))
      .join('\n');
    const named = [...textOf('docs/SETTINGS.md').matchAll(/`((?:KASM_DB|PG|POSTGRES|DATABASE)_?[A-Z_]*)`/g)].map(
      ([, name]) => name as string,
    );
    expect(named.length).toBeGreaterThan(25);
    expect(named.filter((name) => !sources.includes(`'${name}'`) && !sources.includes(`env.${name}`))).toEqual([]);
  });

  it('are found where they stand', () => {
    const all = PAGES.flatMap(calls);
    expect(all.length).toBeGreaterThan(60);
    for (const command of ['migrate', 'check', 'plan', 'seed', 'adopt', 'verify', 'lint', 'new', 'rollback', 'doctor'])
      expect(
        all.map(({ args }) => args[0]),
        command,
      ).toContain(command);
  });

  it('a command or an option that does not exist is found', () => {
    expect(refusal(['migrat'])).toMatch(/unknown command/);
    expect(refusal(['migrate', '--sed'])).toMatch(/unknown option/);
    expect(refusal(['rollback', '--steps', '1', '--dry-run'])).toBeUndefined();
  });

  it('shell text is read as the shell reads it', () => {
    const text =
      'export A=b\nX=1 npx kasm-db plan --sql # what\nfoo > out && kasm-db new \\\n  a\ncat <<EOF\nkasm-db x\nEOF\n';
    expect(shellCommands(text).map(({ words }) => words.join(' '))).toEqual([
      'kasm-db plan --sql',
      'foo',
      'kasm-db new a',
      'cat',
    ]);
  });
});
