// THIRD-PARTY-NOTICES: the licence of everything that the bundles hold, from what the bundler says is in them.
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const ROOT = new URL('..', import.meta.url).pathname;
export const NOTICES = 'THIRD-PARTY-NOTICES.txt';

/** What is in a package, compiled, and has a licence of its own; its text is in scripts/licenses/. */
const WITHIN = {
  '@hpcc-js/wasm-graphviz': [
    { name: 'graphviz', license: 'EPL-1.0', source: 'https://gitlab.com/graphviz/graphviz' },
    { name: 'expat', license: 'MIT', source: 'https://github.com/libexpat/libexpat' },
  ],
  'libpg-query': [
    { name: 'libpg_query', license: 'BSD-3-Clause', source: 'https://github.com/pganalyze/libpg_query' },
    { name: 'PostgreSQL', license: 'PostgreSQL', source: 'https://www.postgresql.org/ftp/source/' },
  ],
};
/** What a standalone executable holds besides. */
export const RUNTIME = [
  { name: 'bun', license: 'MIT', source: 'https://github.com/oven-sh/bun' },
  { name: 'javascriptcore', license: 'LGPL-2.0-or-later', source: 'https://github.com/oven-sh/WebKit' },
];

/**
 * The packages of which a bundle holds a file, by their names and versions.
 * @param {import('esbuild').Metafile} metafile
 */
export function packagesOf(metafile) {
  const folders = new Set(
    Object.keys(metafile.inputs).flatMap((path) => {
      const folder = /^(?:[a-z-]+:)?(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1];
      return folder ? [resolve(folder)] : [];
    }),
  );
  // Its WASM is copied, not bundled.
  folders.add(join(ROOT, 'node_modules/libpg-query'));
  const found = [...folders].map((folder) => {
    const { name, version, license, repository, homepage } = JSON.parse(
      readFileSync(join(folder, 'package.json'), 'utf8'),
    );
    const source = typeof repository === 'string' ? repository : (repository?.url ?? homepage ?? '');
    return { name, version, license, source, folder };
  });
  const byName = new Map(found.map((one) => [`${one.name}@${one.version}`, one]));
  return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What packages hold compiled. @param {{name: string, version: string}[]} packages */
export function partsOf(packages) {
  return packages.flatMap(({ name, version }) =>
    (WITHIN[name] ?? []).map((part) => ({ ...part, version: `in ${name} ${version}`, within: `${name}@${version}` })),
  );
}

/**
 * @param {import('esbuild').Metafile} metafile
 * @param {{name: string, license: string, source: string, version: string}[]} runtime of an executable
 * @returns {string}
 */
export function notices(metafile, runtime = []) {
  const packages = packagesOf(metafile);
  const all = [
    ...packages.map((one) => ({ ...one, text: licenseText(one) })),
    ...[...partsOf(packages), ...runtime].map((part) => ({
      ...part,
      text: readFileSync(join(ROOT, 'scripts/licenses', `${part.name}.txt`), 'utf8').trim(),
    })),
  ];
  const head = `kasm-db is under the Apache License 2.0 (LICENSE). It holds the following, each under its own licence; where that asks for source code, it is at the
address that is named.\n\n${all.map(({ name, version, license }) => `- ${name} (${version}): ${license}`).join('\n')}\n`;
  const own = `\nkasm-db itself:\n\n${readFileSync(join(ROOT, 'LICENSE'), 'utf8').trim()}\n`;
  const others = all
    .map(
      ({ name, version, license, source, text }) =>
        `\n${'='.repeat(80)}\n${name} (${version})\n${license}; ${source}\n${'='.repeat(80)}\n\n${text}\n`,
    )
    .join('');
  // Line ends of DOS and page breaks of old printers show as signs on a terminal.
  return `${head}${own}${others}`.replace(/\r\n?|\f/g, '\n');
}

/** A package's licence, from its file or from its README. @throws Error where it has none */
function licenseText({ name, folder }) {
  const files = readdirSync(folder);
  const own = files.filter((file) => /^(licen[cs]e|copying|notice)/i.test(file)).sort();
  if (own.length > 0) return own.map((file) => readFileSync(join(folder, file), 'utf8').trim()).join('\n\n');
  const readme = files.find((file) => /^readme/i.test(file));
  const section = readme && /^#+ *licen[cs]e[^\n]*\n([\s\S]*)$/im.exec(readFileSync(join(folder, readme), 'utf8'))?.[1];
  if (section) return section.trim();
  throw new Error(`${name} has no licence text: find one, or do without the package`);
}
