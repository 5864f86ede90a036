import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
/** What only those who wrote it had. */
const ELSEWHERE = /VENDOR\.md|seed-facts|the proposal|TRAPS\.md|DESIGN\.md|components\.yaml/;

it('what code and documents refer to is in this repository', () => {
  const files = ['src', 'scripts', 'bench', 'seeds', 'migrations', 'chart', 'docs'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.(ts|mjs|md|yaml|tpl|sql)$/.test(file) && !file.includes('node_modules'))
      .map((file) => join(folder, file)),
  );
  const found = [...files, 'README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md'].filter((file) =>
    ELSEWHERE.test(readFileSync(join(ROOT, file), 'utf8')),
  );
  expect(found).toEqual([]);
  expect(files.length).toBeGreaterThan(200);
});
