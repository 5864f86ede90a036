import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { RULES } from '../../src/lint/lint.js';

it('docs/LINT.md lists every rule as it is (npm run docs:lint)', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/LINT.md'), 'utf8');
  const table = RULES.map(({ id, why, safe }) => `| \`${id}\` | ${why} | ${safe} |`).join('\n');
  expect(page).toContain(table);
});
