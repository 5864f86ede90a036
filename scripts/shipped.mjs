// The source of the two modules that hold the shipped migrations; for the build and for vitest.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const ROOT = new URL('..', import.meta.url).pathname;

async function headerParser() {
  const { outputFiles } = await build({
    entryPoints: [join(ROOT, 'src/migrations/directives.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    write: false,
  });
  const { parseMigration } = await import(
    `data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`
  );
  const { normalize } = await checksumModule();
  return { parseMigration, normalize };
}

async function checksumModule() {
  const { outputFiles } = await build({
    entryPoints: [join(ROOT, 'src/migrations/checksum.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    write: false,
  });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
}

/** @returns {Promise<{headers: string, sql: string}>} JavaScript sources */
export async function shippedSources() {
  const { parseMigration, normalize } = await headerParser();
  const folder = join(ROOT, 'migrations');
  const files = readdirSync(folder)
    .filter((file) => file.endsWith('.sql'))
    .sort();
  const read = (file) => normalize(readFileSync(join(folder, file), 'utf8'));
  const names = files
    .filter((file) => !file.endsWith('.down.sql'))
    .map((file) => file.slice(0, -4))
    .sort();
  const up = Object.fromEntries(names.map((name) => [name, read(`${name}.sql`)]));
  const down = Object.fromEntries(files.filter((f) => f.endsWith('.down.sql')).map((f) => [f.slice(0, -9), read(f)]));
  const headers = names.map((name) => parseMigration(name, `migrations/${name}.sql`, up[name], name in down));
  const seeds = readdirSync(join(ROOT, 'seeds'))
    .filter((file) => file.endsWith('.yaml'))
    .sort();
  const texts = Object.fromEntries(seeds.map((file) => [file, readFileSync(join(ROOT, 'seeds', file), 'utf8')]));
  return {
    seeds: `export const documents = ${JSON.stringify(texts)};`,
    headers: `export const headers = ${JSON.stringify(headers)};`,
    sql: `export const up = ${JSON.stringify(up)};\nexport const down = ${JSON.stringify(down)};`,
  };
}

/** While it is made anew there may be none. */
function snapshotSource() {
  const path = join(ROOT, 'migrations/schema.snapshot.json');
  return `export const snapshot = ${existsSync(path) ? JSON.stringify(JSON.parse(readFileSync(path, 'utf8'))) : 'undefined'};`;
}

async function sourceOf(module) {
  if (module === 'kasm-db:snapshot') return snapshotSource();
  const { headers, sql, seeds } = await shippedSources();
  return { 'kasm-db:migrations': headers, 'kasm-db:migration-sql': sql, 'kasm-db:seeds': seeds }[module];
}

/** For esbuild. */
export const shippedPlugin = {
  name: 'shipped',
  setup(build) {
    build.onResolve({ filter: /^kasm-db:/ }, ({ path }) => ({ path, namespace: 'shipped' }));
    build.onLoad({ filter: /.*/, namespace: 'shipped' }, async ({ path }) => {
      return { contents: await sourceOf(path), loader: 'js' };
    });
  },
};

/** For vitest. */
export function shippedVitePlugin() {
  return {
    name: 'shipped',
    resolveId: (id) => (id.startsWith('kasm-db:') ? `\0${id}` : undefined),
    async load(id) {
      if (!id.startsWith('\0kasm-db:')) return undefined;
      return sourceOf(id.slice(1));
    },
  };
}
