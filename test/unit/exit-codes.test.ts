import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EXIT_CODES } from '../../src/app/errors.js';
import { EXIT_CODE_HELP } from '../../src/cli/help/exit-codes.js';
import { exitCodesMarkdown } from '../../src/cli/help/exit-codes-text.js';

const ROOT = join(import.meta.dirname, '../..');
const SOURCE = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.includes('exit-codes'))
  .map((file) => readFileSync(join(ROOT, 'src', file), 'utf8'))
  .concat(readFileSync(join(ROOT, 'node_modules/commander/lib/command.js'), 'utf8'))
  .join('\n');

describe('exit codes', () => {
  it('docs/TROUBLESHOOTING.md has the same text as kasm-db help exit-codes (npm run docs:exit-codes)', () => {
    const page = readFileSync(join(ROOT, 'docs/TROUBLESHOOTING.md'), 'utf8');
    expect(page).toContain(`\n${exitCodesMarkdown(EXIT_CODE_HELP)}\n\n## The history's definition`);
    // Nothing else claims to be about a code.
    expect(page.match(/^## \d.*/gm)).toEqual(EXIT_CODE_HELP.map(({ code, name }) => `## ${code} ${name}`));
  });

  it('all are explained, under their names', () => {
    expect(EXIT_CODE_HELP.map(({ code, name }) => [name, Number(code.split(', ').at(-1))])).toEqual(
      Object.entries(EXIT_CODES),
    );
    for (const { code, cases } of EXIT_CODE_HELP) if (code !== '0') expect(cases.length).toBeGreaterThan(0);
  });

  it('the chart stops at those of which the table says that trying again does not help', () => {
    const stopping = EXIT_CODE_HELP.filter(({ code, retryHelps }) => code !== '0' && !retryHelps).map(
      ({ code }) => code,
    );
    const template = readFileSync(join(ROOT, 'chart/kasm-db/templates/_manifests.tpl'), 'utf8');
    const [, list] = /action: FailJob\n\s+onExitCodes:\n\s+operator: In\n\s+values: \[(.*)\]/.exec(template) ?? [];
    expect(list?.split(', ')).toEqual(stopping);
  });

  it.each(['README.md', 'docs/COMMANDS.md'])('%s lists all of them', (page) => {
    const [, list = ''] = /Exit codes: ([^;]*);/.exec(readFileSync(join(ROOT, page), 'utf8')) ?? [];
    expect((list.match(/\d+/g) ?? []).toSorted()).toEqual(
      [...Object.values(EXIT_CODES), 129, 130].map(String).toSorted(),
    );
  });

  it.each(
    EXIT_CODE_HELP.flatMap(({ code, cases }) =>
      cases.flatMap(([see]) => [...see.matchAll(/`([^`]+)`/g)].map(([, quoted]) => [code, quoted as string] as const)),
    ),
  )('%s: kasm-db does say “%s”', (_, quoted) => {
    for (const piece of quoted.split(/\s*…\s*/)) expect(SOURCE.replaceAll("\\'", "'")).toContain(piece);
  });

  it('links lead to pages that there are', () => {
    const pages = readdirSync(join(ROOT, 'docs'));
    const links = [...exitCodesMarkdown(EXIT_CODE_HELP).matchAll(/\]\(([^)]+)\)/g)].map(([, page]) => page);
    expect(links.filter((page) => !pages.includes(page as string))).toEqual([]);
    expect(links.length).toBeGreaterThan(3);
  });
});
