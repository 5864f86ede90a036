// Builds dist/: the command line and the library in shared chunks, the parser's WASM, the JSON Schema of the result, declarations.

import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';
import { bundle } from './bundle.mjs';
import { writeTypes } from './types.mjs';

// Built aside and swapped in, so that a running test or command never meets half of it.
const out = `dist.${process.pid}`;
mkdirSync(out);
process.on('exit', () => rmSync(out, { recursive: true, force: true }));
await bundle(out, { 'kasm-db': 'src/main.ts', index: 'src/index.ts' });
chmodSync(`${out}/kasm-db.mjs`, 0o755);

const schema = await build({
  entryPoints: ['src/output/schema.ts'],
  bundle: true,
  platform: 'node',
  format: 'esm',
  write: false,
});
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
