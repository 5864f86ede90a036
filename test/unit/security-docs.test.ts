import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const tests = globSync('test/**/*.test.ts', { cwd: ROOT, exclude: ['**/node_modules/**'] });
const rows = readFileSync(join(ROOT, 'SECURITY.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !/^\| (from|---)/.test(line))
  .map((line) => line.split(' | '))
  .map(([from = '', , promise = '', held = '']) => ({ from: from.replace('| ', ''), promise, held }));

describe('SECURITY.md', () => {
  it('says what stands against each', () => {
    expect(rows.length).toBeGreaterThanOrEqual(12);
  });

  it.each(rows)('$from: each promise is held by tests that are there', ({ promise, held }) => {
    expect(promise.length).toBeGreaterThan(50);
    const names = [...held.matchAll(/`([^`]+)`/g)].map(([, name]) => name as string);
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      const found = name.includes('/')
        ? existsSync(join(ROOT, name))
        : tests.filter((file) => basename(file) === name).length === 1;
      expect(found, name).toBe(true);
    }
  });
});
