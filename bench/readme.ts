import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const START = '<!-- benchmarks: made by npm run bench from docs/BENCHMARKS.md, do not edit -->';
const END = '<!-- /benchmarks -->';

/** Columns of the comparison: its head, the section of docs/BENCHMARKS.md, and which of that section's columns. */
const COLUMNS: [head: string, section: RegExp, cells: RegExp][] = [
  ['check, nothing pending', /^Check when nothing is pending/, /^× floor$/],
  ['whole Kasm schema', /^The whole Kasm schema/, /^× floor$/],
  ['500 migrations', /^500 small migrations/, /^× floor$/],
  ['16 migrators at once', /^Concurrent migrators/, /^(16: exit 0|migrations)$/],
  [
    'worst request behind it',
    /^Traffic while a migration waits for its table, 4 clients/,
    /^idle transaction of 15 s: worst request$/,
  ],
];

/**
 * The comparison at the head of docs/BENCHMARKS.md, from what the page says; kasm-db first, then the others by their time for a check.
 * @param page text of docs/BENCHMARKS.md
 * @returns Markdown; empty where none of the sections is there
 */
export function comparison(page: string): string {
  const sections = COLUMNS.flatMap(([head, section, cells]) => {
    const text = page.split(/^## /m).find((part) => section.test(part));
    return text ? [{ head, rows: figures(text, cells) }] : [];
  });
  const names = [...new Set(sections.flatMap(({ rows }) => [...rows.keys()]))].sort(
    (a, b) => Number(b.startsWith('kasm-db')) - Number(a.startsWith('kasm-db')),
  );
  if (names.length === 0) return '';
  return [
    'The first three columns are multiples of the time that psql takes for the same (smaller is faster). Then: how many of 16 migrators that start together succeed, and how long the longest',
    'request of four clients waits while a migration wants their table and a forgotten transaction holds it for 15 s (behind psql it waits for all of them):',
    '',
    `| | ${sections.map(({ head }) => head).join(' | ')} |`,
    `|---|${sections.map(() => '---').join('|')}|`,
    ...names.map((name) => `| ${name} | ${sections.map(({ rows }) => rows.get(name) ?? '').join(' | ')} |`),
  ].join('\n');
}

/** Figures of a section's first table, by tool. */
function figures(section: string, wanted: RegExp): Map<string, string> {
  const rows = section
    .split('\n')
    .filter((line) => /^\|.*\|$/.test(line))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );
  const [head = [], , ...body] = rows;
  const at = head.flatMap((title, i) => (wanted.test(title) ? [i] : []));
  // Of "16: exit 0, migrations, wall, 32: …" the first of each.
  const columns = at.filter((i) => head.indexOf(head[i] as string) === i);
  const kind = head.indexOf('kind');
  return new Map(
    body
      .filter((row) => row.length === head.length && (kind < 0 || row[kind] !== 'floor'))
      .map((row) => [
        (row[0] as string).replaceAll('**', '').replace(/ \d+(\.\d+)+$/, ''),
        columns.map((i) => row[i]).join(', '),
      ]),
  );
}

/** The same in one line, for README. @returns empty where kasm-db's check was not measured */
export function inOneLine(page: string): string {
  const rows = comparison(page)
    .split('\n')
    .slice(3)
    .map((line) => line.split('|').map((cell) => cell.trim()));
  const [, ...heads] = rows[0] ?? [];
  const cellOf = (name: string, head: string) => rows.find(([, tool]) => tool === name)?.[heads.indexOf(head) + 1];
  const others = rows.slice(2).filter(([, name]) => !name?.startsWith('kasm-db')).length;
  const figure = (head: string) => cellOf('kasm-db (executable)', head);
  const check = figure('check, nothing pending');
  if (!check) return '';
  const worst = figure('worst request behind it');
  const traffic = worst
    ? `behind a migration whose table a forgotten transaction holds for 15 s the application's worst request waits ${worst} (behind psql: all of that time); `
    : '';
  return `Fast enough not to be noticed: ${traffic}as one file a check takes ${check} times psql's, the whole Kasm schema ${figure('whole Kasm schema')} times; beside ${others} other tools, with the losses and how to repeat it, in [docs/BENCHMARKS.md](docs/BENCHMARKS.md).`;
}

/** README with that line between its marks. @throws Error where README has no marks */
export function withComparison(readme: string, page: string): string {
  const [before, rest] = readme.split(START);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error('README.md has lost its marks <!-- benchmarks … -->');
  return `${before}${START}\n${inOneLine(page)}\n${END}${after}`;
}

/** Brings README.md up to docs/BENCHMARKS.md. */
export function writeReadme(root: string): void {
  const page = join(root, 'docs/BENCHMARKS.md');
  if (!existsSync(page)) return;
  const readme = join(root, 'README.md');
  writeFileSync(readme, withComparison(readFileSync(readme, 'utf8'), readFileSync(page, 'utf8')));
}
