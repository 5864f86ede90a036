import { describe, expect, it } from 'vitest';
import { textOf } from '../support/markdown.js';

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
});
