// Builds dist/: the command line (one file), the library, the parser's WASM, the JSON Schema of the result.

import { chmodSync, copyFileSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import { build } from 'esbuild';
import { common } from './bundle.mjs';
import { writeTypes } from './types.mjs';

const require = createRequire(import.meta.url);

/**
 * What few calls need is a file of its own: the gate would else read it at every start. Seeding (zod) has 1 MB, the
 * bell (ioredis) 0.3 MB; the others are leaves that share nothing with the rest.
 */
const APART = {
  seed: 'src/commands/seed.ts',
  bell: 'src/readiness/notifier.ts',
  schema: 'src/commands/schema.ts',
  lint: 'src/lint/index.ts',
  docs: 'src/commands/docs.ts',
  help: 'src/cli/help/index.ts',
  certificate: 'src/seed/certificate.ts',
  yaml: 'src/seed/yaml.ts',
  drive: 'src/migrator/drive.ts',
  'libpg-query': 'src/postgres/libpg-query.ts',
  'migration-sql': 'kasm-db:migration-sql',
};
const apart = {
  name: 'apart',
  setup(build) {
    build.onResolve({ filter: /^kasm-db:|\.js$/ }, ({ importer, kind, path }) => {
      const wanted = path.startsWith('kasm-db:') ? path : resolve(dirname(importer), path.replace(/\.js$/, '.ts'));
      const [name] = Object.entries(APART).find(([, file]) => wanted === file || wanted === resolve(file)) ?? [];
      return name && kind === 'dynamic-import' ? { path: `./${name}.cjs`, external: true } : undefined;
    });
  },
};

/** require() instead of import() in the CommonJS files: Node would else scan a file of 1.5 MB for its exports. */
const cjs = { format: 'cjs', supported: { 'dynamic-import': false } };

// Built aside and swapped in, so that a running test or command never meets half of it.
const out = `dist.${process.pid}`;
mkdirSync(out);
process.on('exit', () => rmSync(out, { recursive: true, force: true }));
await Promise.all([
  build({
    ...common,
    entryPoints: ['src/main.ts'],
    outfile: `${out}/main.cjs`,
    ...cjs,
    plugins: [apart, ...common.plugins],
  }),
  ...Object.entries(APART).map(([name, file]) =>
    build({
      ...common,
      entryPoints: [file],
      outfile: `${out}/${name}.cjs`,
      ...cjs,
      // The parser and what signs certificates: read as the bundle reads them.
      ...(['lint', 'seed'].includes(name) ? { plugins: [apart, ...common.plugins] } : {}),
    }),
  ),
  build({
    ...common,
    entryPoints: ['src/start.ts'],
    outfile: `${out}/kasm-db.cjs`,
    ...cjs,
    external: ['./main.cjs'],
    banner: { js: '#!/usr/bin/env node' },
  }),
  build({
    ...common,
    entryPoints: ['src/index.ts'],
    outdir: out,
    outExtension: { '.js': '.mjs' },
    chunkNames: '[name]-[hash]',
    splitting: true,
    format: 'esm',
    banner: {
      js: "import{createRequire as __cr}from'node:module';import{fileURLToPath as __fp}from'node:url';const require=__cr(import.meta.url),__filename=__fp(import.meta.url),__dirname=__fp(new URL('.',import.meta.url)).slice(0,-1);",
    },
  }),
]);
chmodSync(`${out}/kasm-db.cjs`, 0o755);
copyFileSync(require.resolve('libpg-query/wasm/libpg-query.wasm'), `${out}/libpg-query.wasm`);

const schema = await build({ ...common, entryPoints: ['src/output/schema.ts'], format: 'esm', write: false });
const { resultJsonSchema } = await import(
  `data:text/javascript;base64,${Buffer.from(schema.outputFiles[0].contents).toString('base64')}`
);
writeFileSync(`${out}/result.schema.json`, `${JSON.stringify(resultJsonSchema(), null, 2)}\n`);

// The tests build often, and need no declarations.
if (!process.argv.includes('--no-types')) writeTypes(`${out}/types`);

const old = `${out}.old`;
if (existsSync('dist')) renameSync('dist', old);
renameSync(out, 'dist');
rmSync(old, { recursive: true, force: true });
