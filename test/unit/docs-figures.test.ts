import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { keptOf } from '../../bench/kept.js';
import { comparison, withComparison } from '../../bench/readme.js';
import { ROOT, textOf } from '../support/markdown.js';

/** Rows of the tables in a text, by cell. */
const rows = (text: string): string[][] =>
  text
    .split('\n')
    .filter((line) => /^\|.*\|$/.test(line) && !/^[|\s-]+$/.test(line))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );

/** The first table whose header has this cell. */
function tableWith(text: string, cell: string): string[][] {
  const all = rows(text);
  const start = all.findIndex((row) => row.includes(cell));
  const width = all[start]?.length;
  const end = all.findIndex((row, i) => i > start && row.length !== width);
  return all.slice(start, end === -1 ? undefined : end);
}

describe("README's comparison", () => {
  it('has only cells that were measured: those of docs/RELIABILITY.md', () => {
    const peer = /graphile-migrate [\d.]+/.exec(textOf('docs/RELIABILITY.md'))?.[0] as string;
    const [measuredHead = [], ...measured] = tableWith(textOf('docs/RELIABILITY.md'), peer);
    const [head = [], ...shown] = tableWith(textOf('README.md'), peer);
    expect(head.slice(1)).toEqual(measuredHead.slice(1));
    expect(shown.length).toBeGreaterThanOrEqual(3);
    for (const [title = '', ...cells] of shown) {
      const source = measured.find(([name = '']) => title.startsWith(name));
      expect(source, title).toBeDefined();
      for (const [i, cell] of cells.entries()) expect(source?.[i + 1], `${title}, ${head[i + 1]}`).toContain(cell);
    }
    // README says so below the table.
    for (const [title, ...cells] of measured) for (const cell of cells) expect(cell, title).toContain('applied once');
  });

  it('has the figures of docs/BENCHMARKS.md (npm run bench -- --page --publish)', () => {
    const page = existsSync(join(ROOT, 'docs/BENCHMARKS.md')) ? textOf('docs/BENCHMARKS.md') : '';
    expect(withComparison(textOf('README.md'), page)).toBe(textOf('README.md'));
    expect(page).toContain(`## In short\n\n${comparison(page)}\n\n`);
  });

  it('leaves a cell out rather than guess, and floors too', () => {
    const page = `## Check when nothing is pending

| | kind | median | × floor |
|---|---|---:|---:|
| tern | Go | 1 ms | 0.76 |
| psql | floor | 2 ms | 1.00 |
| **kasm-db (Node)** | kasm-db | 3 ms | 3.18 |

## Concurrent migrators

| | 16: exit 0 | migrations | wall | 32: exit 0 | migrations | wall |
|---|---|---|---|---|---|---|
| kasm-db (Node) 0.1.0 | 16 of 16 | each once | 1 s | 32 of 32 | each once | 2 s |
| goose 3.29.0 | 16 of 16 | **10 applied more than once** | 1 s | 26 of 32 | each once | 2 s |
`;
    expect(comparison(page).split('\n').slice(3)).toEqual([
      '| | check, nothing pending | 16 migrators at once |',
      '|---|---|---|',
      '| kasm-db (Node) | 3.18 | 16 of 16, each once |',
      '| tern | 0.76 |  |',
      '| goose |  | 16 of 16, **10 applied more than once** |',
    ]);
    expect(comparison('')).toBe('');
  });
});

describe('docs/BENCHMARKS.md', () => {
  const page = `# Benchmarks

Measured on 2026-01-02 on one machine.

Versions: psql 15.1, goose 3.1.0, tern 2.0.

## Limits

| | figure | limit | |
|---|---|---|---|
| check: executable to psql | 1.21 x | at most 1.3 x | met |
| schema | 2 x | at most 1 x | **missed** |

## Seed

A table.

Repeat it: (measured at abc).

## Repeat all of it
`;

  it('keeps what was measured on another day, and says on which', () => {
    const kept = keptOf(page);
    expect(kept.section('Seed')).toBe('## Seed\n\nA table.\n\nRepeat it: (measured at abc on 2026-01-02).');
    expect(keptOf(`${kept.section('Seed')}\n`).section('Seed')).toBe(kept.section('Seed'));
    expect(kept.section('Memory')).toBeUndefined();
    expect(kept.limits(['check: executable to psql', 'of an older page'])).toEqual([
      '| check: executable to psql | 1.21 x | at most 1.3 x | met |',
    ]);
    expect(kept.versions(['psql', 'goose'])).toEqual(['tern 2.0']);
  });
});
