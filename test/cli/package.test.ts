import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createDatabase } from '../support/database.js';
import { nodeOf, npm, type Packed, pack, scratchFolder } from '../support/package.js';

const ROOT = join(import.meta.dirname, '../..');
const { version, engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
/** Such as 20.19. */
const OLDEST = engines.node.replace('>=', '');

let packed: Packed;
beforeAll(() => {
  packed = pack();
});

describe('package › holds what is needed, and nothing else', () => {
  const SHAPE = [
    /^(README|CHANGELOG)\.md$|^LICENSE$|^package\.json$/,
    /^dist\/[\w-]+\.mjs$/,
    /^dist\/(libpg-query\.wasm|result\.schema\.json|THIRD-PARTY-NOTICES\.txt)$/,
    /^dist\/types\/([\w-]+\/)*[\w-]+\.d\.ts$/,
    /^migrations\/\d{4}_\w+(\.down)?\.sql$|^migrations\/schema\.snapshot\.json$/,
    /^seeds\/\w+\.yaml$/,
  ];

  it('by name', () => {
    const paths = packed.files.map(({ path }) => path);
    expect(paths.filter((path) => !SHAPE.some((shape) => shape.test(path)))).toEqual([]);
    for (const shape of SHAPE) expect(paths.some((path) => shape.test(path))).toBe(true);
    for (const path of ['dist/kasm-db.mjs', 'dist/index.mjs', 'dist/types/index.d.ts']) expect(paths).toContain(path);
  });

  it('by size: what is downloaded stays below 3.5 MB, and unpacked below 10', () => {
    expect(packed.size).toBeLessThan(3_500_000);
    expect(packed.unpackedSize).toBeLessThan(10_000_000);
    expect(packed.size).toBeGreaterThan(1_000_000);
  });

  it('no declaration needs a package', () => {
    const folder = join(dirname(packed.path), 'dist/types');
    const needs = packed.files
      .filter(({ path }) => path.endsWith('.d.ts'))
      .flatMap(({ path }) => [
        ...readFileSync(join(folder, '../..', path), 'utf8').matchAll(/^(?:import|export) .* from '([^.][^']*)'/gm),
      ]);
    expect(needs.map(([, name]) => name)).toEqual([]);
  });
});

describe('package › installed with npm i -g', () => {
  let prefix: string;
  let main: string;
  beforeAll(() => {
    prefix = scratchFolder();
    npm(['install', '--global', '--prefix', prefix, packed.path], prefix);
    main = join(prefix, 'lib/node_modules/kasm-db');
  });

  describe.each([OLDEST, '22', '24', '26'])('Node %s', (release) => {
    const node = nodeOf(release);
    /** As a shell finds it: by its name, run with the Node that comes first in PATH. */
    const run = (args: string[], env: Record<string, string> = {}) => {
      const PATH = `${dirname(node as string)}:${prefix}/bin:${process.env.PATH}`;
      return spawnSync('kasm-db', args, { env: { PATH, HOME: prefix, ...env }, encoding: 'utf8' });
    };

    it.skipIf(!node)('--version, --check on an empty database, migrate, --check', async () => {
      const db = await createDatabase();
      expect(run(['--version', '--verbose']).stdout).toMatch(
        new RegExp(`^kasm-db ${version}\n(.*\n)*runtime +Node ${release}\\.`),
      );
      expect(run(['--check'], db.env)).toMatchObject({ status: 3, stdout: '' });
      const migrate = run(['migrate', '--json'], db.env);
      expect(migrate).toMatchObject({ status: 0, stderr: expect.not.stringMatching(/warning/i) });
      expect(JSON.parse(migrate.stdout)).toMatchObject({ outcome: 'ok', version });
      expect(run(['--check'], db.env)).toMatchObject({ status: 0, stdout: expect.stringMatching(/^Ready\./) });
      expect(run(['lint']).status).toBe(0);
      // As Kasm leaves it, with a table more: both tell of it.
      await db.query('DROP SCHEMA kasm_db CASCADE; CREATE TABLE more (x int)');
      for (const command of ['adopt', 'verify'])
        expect(run([command], db.env)).toMatchObject({ status: 0, stdout: expect.stringContaining('public.more') });
    });

    it.skipIf(!node)('the library, by import and by require', async () => {
      const db = await createDatabase();
      const folder = join(scratchFolder(), 'node_modules');
      mkdirSync(folder);
      symlinkSync(main, join(folder, 'kasm-db'));
      const body = `const result = await migrate(); console.log(result.outcome, EXIT_CODES.pending, (await check()).outcome);`;
      writeFileSync(join(folder, '../a.mjs'), `import { check, EXIT_CODES, migrate } from 'kasm-db';\n${body}`);
      writeFileSync(
        join(folder, '../b.cjs'),
        `const { check, EXIT_CODES, migrate } = require('kasm-db');\n(async () => {${body}})();`,
      );
      for (const file of ['a.mjs', 'b.cjs']) {
        const args = ['--preserve-symlinks', join(folder, '..', file)];
        expect(execFileSync(node as string, args, { env: db.env, encoding: 'utf8' })).toBe('ok 3 ok\n');
      }
    });
  });

  const node = nodeOf('24');
  it.skipIf(!node)('migrate --embedded finds its server in the package', () => {
    const folder = scratchFolder();
    const env = { PATH: `${dirname(node as string)}:${process.env.PATH}`, HOME: folder };
    const args = ['migrate', '--seed', '--embedded', join(folder, 'pg'), '--json'];
    const run = spawnSync(join(prefix, 'bin/kasm-db'), args, { cwd: folder, env, encoding: 'utf8' });
    expect(run.stderr).not.toMatch(/internal|usage/);
    expect(JSON.parse(run.stdout)).toMatchObject({ outcome: 'ok', seed: { inserted: expect.any(Number) } });
  });
});

describe('package › types in a program that uses it', () => {
  let folder: string;
  beforeAll(() => {
    folder = scratchFolder();
    writeFileSync(join(folder, 'package.json'), '{"private":true,"type":"module"}');
    npm(['install', '--omit=optional', '--no-save', packed.path], folder);
    writeFileSync(
      join(folder, 'use.ts'),
      `import { check, EXIT_CODES, migrate, type Outcome, type Result } from 'kasm-db';
const result: Result = await migrate({ url: 'postgres://kasmapp@db/kasm', seed: true, lockTimeout: '5m', events: { waitForLock: (holder) => holder?.pid } });
const outcome: Outcome = result.outcome;
const code: number = EXIT_CODES[outcome];
const hint: string | undefined = result.error?.hint;
const { pending = [] }: { pending?: string[] } = await check({ env: { POSTGRES_HOST: 'db' }, signal: AbortSignal.timeout(1000) });
// @ts-expect-error no such option
await migrate({ tto: '0001_extensions' });
export { code, hint, pending };
`,
    );
  });

  it.each([
    ['node16', 'node16'],
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ])('module %s, moduleResolution %s, every declaration checked', (module, moduleResolution) => {
    const config = join(folder, `tsconfig.${moduleResolution}.json`);
    const compilerOptions = {
      ...{
        module,
        moduleResolution,
        strict: true,
        noEmit: true,
        skipLibCheck: false,
        exactOptionalPropertyTypes: true,
      },
      ...{ target: 'es2022', lib: ['es2022', 'dom'], types: [] },
    };
    writeFileSync(config, JSON.stringify({ compilerOptions, files: ['use.ts'] }));
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', config], { encoding: 'utf8' });
    expect(stdout).toBe('');
    expect(status).toBe(0);
  });
});
