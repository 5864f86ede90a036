// Runs a TypeScript file with the current Node: bundles it in memory beside itself, so that its relative paths hold.
import { rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { shippedPlugin } from './shipped.mjs';

const [file, ...args] = process.argv.slice(2);
const path = resolve(file);
const outfile = join(dirname(path), `.${basename(path)}.${process.pid}.mjs`);
await build({
  entryPoints: [path],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  packages: 'external',
  plugins: [shippedPlugin],
});
process.argv.splice(1, 2 + args.length, path, ...args);
process.on('exit', () => rmSync(outfile, { force: true }));
await import(pathToFileURL(outfile).href);
