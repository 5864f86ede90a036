import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
// @ts-expect-error plain JavaScript, read by dependency-cruiser
import { LINES } from '../../.dependency-cruiser.mjs';
import { folder } from '../support/folder.js';

const ROOT = join(import.meta.dirname, '../..');
const PARTS = [
  'package.json',
  'tsconfig.json',
  'knip.jsonc',
  '.dependency-cruiser.mjs',
  'vitest.config.ts',
  'src',
  'scripts',
  'test',
  'bench',
];

/** A copy of what the tools read, with files more. */
function copyWith(files: Record<string, string>): string {
  const copy = folder({});
  for (const part of PARTS)
    cpSync(join(ROOT, part), join(copy, part), {
      recursive: true,
      filter: (path) => !/node_modules|\/\.(servers|nodes|python)/.test(path.slice(ROOT.length)),
    });
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(copy, name)), { recursive: true });
    writeFileSync(join(copy, name), text);
  }
  return copy;
}

/** The names of the rules that a copy's imports break, each with the importer. */
function brokenRules(files: Record<string, string>): string[] {
  const { stdout } = spawnSync('depcruise', ['-c', '.dependency-cruiser.mjs', '-T', 'json', 'src'], {
    cwd: copyWith(files),
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  const { violations } = JSON.parse(stdout).summary as { violations: { rule: { name: string }; from: string }[] };
  return violations.map(({ rule, from }) => `${rule.name}: ${from}`).sort();
}

describe('dependency-cruiser', () => {
  it('finds a planted import upward, a circle, a library and a room that has no line', () => {
    const planted = {
      'src/history/planted.ts': "import type { Plan } from '../migrator/plan.js';\nexport type Planted = Plan;\n",
      'src/lint/planted.ts': "import '../seed/tokens.js';\n",
      'src/app/planted-a.ts': "import { b } from './planted-b.js';\nexport const a = (): number => b();\n",
      'src/app/planted-b.ts': "import { a } from './planted-a.js';\nexport const b = (): number => a();\n",
      'src/schema/planted.ts': "export const umzug = () => import('umzug');\n",
      'src/planted.ts': "export { now } from './app/time.js';\n",
      'src/config/planted.ts': "export { rounds } from '../../test/support/rounds.js';\n",
    };
    expect(brokenRules(planted)).toEqual([
      'a-room-has-its-line: src/planted.ts',
      'history-imports-what-is-below-it: src/history/planted.ts',
      'lint-imports-what-is-below-it: src/lint/planted.ts',
      'no-circles: src/app/planted-a.ts',
      'src-stands-alone: src/config/planted.ts',
      'umzug-is-known-to-migrator: src/schema/planted.ts',
    ]);
  });
});

describe('knip', () => {
  it('finds a planted export, file and dependency that nobody uses', () => {
    const path = 'src/app/version.ts';
    const text = readFileSync(join(ROOT, path), 'utf8');
    const pkg = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    pkg.devDependencies['planted-package'] = '1.0.0';
    const cwd = copyWith({
      [path]: `${text}\nexport const planted = 1;\n`,
      'src/app/planted-file.ts': 'export const x = 1;\n',
      // The benches load what is built.
      'dist/index.mjs': '',
      'package.json': JSON.stringify(pkg),
    });
    const { stdout, status } = spawnSync('knip', ['--reporter', 'json'], { cwd, encoding: 'utf8' });
    const found = (JSON.parse(stdout).issues as Record<string, { name: string }[] | string>[]).flatMap((issue) =>
      ['files', 'exports', 'devDependencies'].flatMap((kind) =>
        (issue[kind] as { name: string }[]).map(({ name }) => `${kind}: ${name}`),
      ),
    );
    expect(found.sort()).toEqual([
      'devDependencies: planted-package',
      'exports: planted',
      'files: src/app/planted-file.ts',
    ]);
    expect(status).toBe(1);
  });
});

it('ARCHITECTURE.md has the map as dependency-cruiser holds it', () => {
  const [, table = ''] =
    /<!-- lines:[^>]*-->\n(.*)<!-- \/lines -->/s.exec(readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8')) ?? [];
  const rows = [...table.matchAll(/^\| (\d+) \| (.*?) \|/gm)].flatMap(([, line, rooms = '']) =>
    [...rooms.matchAll(/`([^`]+)`/g)].map(([, room]) => ({ line: Number(line), room })),
  );
  expect(rows).toEqual((LINES as string[][]).flatMap((rooms, i) => rooms.map((room) => ({ line: i + 1, room }))));
});

it('docs/DEPENDENCIES.md names each library', () => {
  const table = readFileSync(join(ROOT, 'docs/DEPENDENCIES.md'), 'utf8');
  const { devDependencies, optionalDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const names = Object.keys({ ...devDependencies, ...optionalDependencies }).filter(
    (name) => !name.startsWith('@types/'),
  );
  expect(names.filter((name) => !table.includes(name.replace('@biomejs/', '')))).toEqual([]);
});
