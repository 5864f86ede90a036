import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import config from '../../vitest.config.js';

const ROOT = join(import.meta.dirname, '../..');
const projects = (config.test?.projects ?? []).map((project) => (project as { test: { name: string } }).test.name);

it('each test file belongs to a project of vitest.config.ts', () => {
  const folders = globSync('test/**/*.test.ts', { cwd: ROOT, exclude: ['**/node_modules/**'] }).map(
    (file) => file.split('/')[1] as string,
  );
  expect([...new Set(folders)].sort()).toEqual([...projects].sort());
});

it('each project is run by a script of package.json', () => {
  const scripts = Object.values(JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).scripts).join('\n');
  const cluster = readFileSync(join(ROOT, 'test/cluster/run.sh'), 'utf8');
  for (const project of projects) expect(`${scripts}\n${cluster}`).toContain(`--project ${project}`);
});
