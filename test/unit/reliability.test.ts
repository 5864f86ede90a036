import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const rows = readFileSync(join(ROOT, 'docs/RELIABILITY.md'), 'utf8')
  .split('\n## ')[0]
  ?.split('\n')
  .filter((line) => /^\| \d+ /.test(line))
  .map((line) => {
    const [, trap = '', protection = '', test = '', without = ''] = line.split(' | ').join('|').split('|');
    return { number: Number.parseInt(trap, 10), protection, test, without };
  }) as { number: number; protection: string; test: string; without: string }[];

describe('docs/RELIABILITY.md', () => {
  it('has a row for each of the 56 traps, in order', () => {
    expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: 56 }, (_, i) => i + 1));
  });

  it('says open only where no test has the trap in its title', () => {
    const tests = globSync('test/**/*.test.ts', { cwd: ROOT, exclude: ['**/node_modules/**'] });
    const titles = tests.map((file) => readFileSync(join(ROOT, file), 'utf8')).join('\n');
    const open = rows.filter(({ test }) => test.trim() === 'open').map(({ number }) => number);
    for (const number of open)
      expect(titles, `trap ${number} has a test`).not.toMatch(new RegExp(`['\`]trap ${number}: `));
    console.log(`traps without a test: ${open.join(', ') || 'none'}`);
  });

  it.each(rows)('row $number names files that exist, and a test of that trap', ({
    number,
    protection,
    test,
    without,
  }) => {
    const paths = [...`${protection}${test}`.matchAll(/`((?:src|test|chart|bench)\/[^`]+)`/g)].map(
      ([, path]) => path as string,
    );
    for (const path of paths) expect(existsSync(join(ROOT, path)), path).toBe(true);
    if (test.trim() === 'open') return;
    const [, file = '', title = ''] = /`(test\/[^`]+\.ts)` ([^;]+)/.exec(test) ?? [];
    expect(title).not.toBe('');
    // The charts' tests are named after what they render.
    if (!/^test\/(chart|cluster)\//.test(file)) expect(title).toMatch(new RegExp(`^trap ${number}: `));
    expect(readFileSync(join(ROOT, file), 'utf8')).toContain(title.trim());
    expect(without.trim()).not.toBe('');
  });
});
