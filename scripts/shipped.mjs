// The source of the modules kasm-db:…, which hold what ships: migrations, seeds, the snapshot. For the build and for vitest.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const ROOT = new URL('..', import.meta.url).pathname;

/** A module of src/, to be used here. */
async function sourceModule(file) {
  const { outputFiles } = await build({
    entryPoints: [join(ROOT, 'src', file)],
    bundle: true,
    // Without Node's form of a package, whose require() a data URL does not have.
    platform: 'neutral',
    external: ['node:*'],
    format: 'esm',
    write: false,
  });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
}

/** @returns {Promise<{headers: string, sql: string}>} JavaScript sources */
async function migrationSources() {
  const { parseMigration } = await sourceModule('migrations/directives.ts');
  const { normalize } = await sourceModule('migrations/checksum.ts');
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
  return {
    headers: `export const headers = ${JSON.stringify(headers)};`,
    sql: `export const up = ${JSON.stringify(up)};\nexport const down = ${JSON.stringify(down)};`,
  };
}

/** Each document as its parser gives it: what ships needs no parser when it is seeded. */
async function seedsSource() {
  const { readYaml } = await sourceModule('seed/yaml.ts');
  const names = readdirSync(join(ROOT, 'seeds')).filter((name) => name.endsWith('.yaml'));
  const documents = [];
  for (const name of names.sort()) {
    const file = `seeds/${name}`;
    const { alembicVersion, rows } = await readYaml(file, readFileSync(join(ROOT, file), 'utf8'));
    documents.push({
      file,
      alembicVersion,
      rows: rows.map(({ table, line, cells }) => ({ table, line, cells: Object.fromEntries(cells) })),
    });
  }
  return `export const documents = ${JSON.stringify(documents)};`;
}

/** While it is made anew there may be none. */
function snapshotSource() {
  const path = join(ROOT, 'migrations/schema.snapshot.json');
  return `export const snapshot = ${existsSync(path) ? JSON.stringify(JSON.parse(readFileSync(path, 'utf8'))) : 'undefined'};`;
}

async function sourceOf(module) {
  if (module === 'kasm-db:snapshot') return snapshotSource();
  if (module === 'kasm-db:seeds') return seedsSource();
  const { headers, sql } = await migrationSources();
  return { 'kasm-db:migrations': headers, 'kasm-db:migration-sql': sql }[module];
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
