/** docs/LIBRARY.md: its examples compile against the library's types, and run. */
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { transform } from 'esbuild';
import { describe, expect, it } from 'vitest';
import * as library from '../../src/index.js';
import { folder } from '../support/cli.js';
import { createDatabase } from '../support/database.js';
import { fences, ROOT, textOf } from '../support/markdown.js';

const PAGE = 'docs/LIBRARY.md';
const examples = [...fences('README.md'), ...fences(PAGE)]
  .filter(({ language }) => language === 'ts')
  .map((example) => ({ ...example, name: `${example.page}:${example.line}` }));

/** @returns what the compiler says */
function compile(sources: Record<string, string>): string {
  const path = folder({
    ...sources,
    'package.json': '{"type":"module"}',
    'tsconfig.json': JSON.stringify({
      extends: join(ROOT, 'tsconfig.json'),
      compilerOptions: {
        paths: { 'kasm-db': [join(ROOT, 'src/index.ts')] },
        typeRoots: [join(ROOT, 'node_modules/@types')],
      },
      include: [join(ROOT, 'src/types.d.ts'), '*.ts'],
      exclude: [],
    }),
  });
  const { stdout, status } = spawnSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', path], {
    cwd: path,
    encoding: 'utf8',
  });
  return status === 0 ? '' : stdout;
}

describe('the library in the documentation', () => {
  it('every example says what it is, and most run', () => {
    for (const { mark, name, page } of examples) if (page === PAGE) expect(mark, name).toMatch(/^example(: run)?$/);
    expect(examples.filter(({ mark }) => mark === 'example: run').length).toBeGreaterThanOrEqual(8);
  });

  it('every function and type that is exported has its example', () => {
    const code = examples.map(({ text }) => text).join('\n');
    const declarations = execFileSync('grep', ['-hE', '^export ', join(ROOT, 'src/index.ts')], { encoding: 'utf8' });
    const types = [...declarations.matchAll(/export (?:type \{|interface |\{)([^}{]*)/g)].flatMap(([, names = '']) =>
      names.split(',').map((name) => name.replace(/^\s*type | extends .*/g, '').trim()),
    );
    const names = [...new Set([...Object.keys(library), ...types])].filter(Boolean);
    expect(names.length).toBeGreaterThan(25);
    const page = textOf(PAGE);
    const shown = (name: string) => new RegExp(`\\b${name}\\b`).test(code) || page.includes(`\`${name}\``);
    expect(names.filter((name) => !shown(name))).toEqual([]);
    expect(Object.keys(library).filter((name) => !new RegExp(`\\b${name}\\b`).test(code))).toEqual([]);
  });

  it('the examples compile', () => {
    const sources = Object.fromEntries(examples.map(({ text }, i) => [`example${i}.ts`, text]));
    expect(compile(sources)).toBe('');
  });

  it('an example that uses what is not there does not compile', () => {
    expect(compile({ 'wrong.ts': "import { migrte } from 'kasm-db';\nawait migrte();\n" })).toMatch(/migrte/);
  });

  it.each(examples.filter(({ mark }) => mark === 'example: run'))('$name runs', async ({ text }) => {
    const database = await createDatabase();
    const { code } = await transform(text, { loader: 'ts', format: 'esm' });
    const path = folder({
      'example.mjs': code.replace(/from ["']kasm-db["']/, `from '${pathToFileURL(join(ROOT, 'dist/index.mjs'))}'`),
    });
    const { status, stdout, stderr } = spawnSync(process.execPath, ['example.mjs'], {
      cwd: path,
      env: { PATH: process.env.PATH ?? '', ...database.env },
      encoding: 'utf8',
    });
    expect({ status, stderr }, stdout).toEqual({ status: 0, stderr: '' });
  });
});
