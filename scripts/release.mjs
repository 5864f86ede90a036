/**
 * Makes a release, locally: version, changelog, npm package, executables, image, charts, bill of materials, checksums; a commit and a tag.
 * Nothing is pushed or published. docs/RELEASING.md
 *   npm run release -- VERSION [--out DIR] [--without PART[,PART]] [--key FILE] [--dry-run]
 * What it needs is looked at before anything is built. All is built in a working tree of its own: the one at hand changes only when
 * everything is there.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import * as artifacts from './release/artifacts.mjs';
import { git } from './release/artifacts.mjs';
import { requireDocker, requireHelm, requireIdentity } from './release/needs.mjs';
import { readKey } from './release/sign.mjs';
import { checkVersion, FILES } from './release/version.mjs';

const ROOT = resolve(new URL('..', import.meta.url).pathname);
const PARTS = ['executables', 'image', 'charts'];

const read = (path) => readFileSync(path, 'utf8');
const say = (text) => console.log(text);

function settings() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      out: { type: 'string' },
      without: { type: 'string', default: '' },
      'dry-run': { type: 'boolean', default: false },
      key: { type: 'string' },
    },
  });
  const [version, ...rest] = positionals;
  if (!version || rest.length > 0)
    throw new Error(
      `usage: npm run release -- VERSION [--out DIR] [--without ${PARTS.join(',')}] [--key FILE] [--dry-run]`,
    );
  const without = values.without.split(',').filter(Boolean);
  const unknown = without.find((part) => !PARTS.includes(part));
  if (unknown) throw new Error(`--without ${unknown}: there are ${PARTS.join(', ')}`);
  const parts = PARTS.filter((part) => !without.includes(part));
  // The image is made of the executable.
  if (parts.includes('image') && !parts.includes('executables'))
    throw new Error('--without executables also needs: image');
  return {
    version,
    parts,
    dryRun: values['dry-run'],
    key: values.key && resolve(values.key),
    out: resolve(values.out ?? join(ROOT, `dist-release/${version}`)),
  };
}

function checkTree(version) {
  if (git(ROOT, 'status', '--porcelain') !== '')
    throw new Error('the working tree has changes: commit them first (git status)');
  if (git(ROOT, 'branch', '--show-current') === '')
    throw new Error('no branch is checked out, so the release would be on none');
  checkVersion(version, {
    current: JSON.parse(read(join(ROOT, 'package.json'))).version,
    tags: git(ROOT, 'tag', '--list').split('\n'),
  });
}

/** A second working tree with the dependencies and the compilers of the first. */
function workingTree() {
  const tree = join(mkdtempSync(join(tmpdir(), 'kasm-db-release-')), 'tree');
  git(ROOT, 'worktree', 'add', '--quiet', '--detach', tree, 'HEAD');
  symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'));
  for (const name of readdirSync(join(ROOT, 'scripts/exe')).filter((name) => name.startsWith('bun-')))
    symlinkSync(join(ROOT, 'scripts/exe', name), join(tree, 'scripts/exe', name));
  return tree;
}

async function build(tree, { version, parts, out, key }) {
  say('npm package');
  artifacts.npmTarball(tree, out);
  if (parts.includes('executables')) {
    say('executables');
    artifacts.executables(tree, out, version);
  }
  if (parts.includes('charts')) {
    say('charts');
    artifacts.charts(tree, out);
  }
  if (parts.includes('image')) {
    say('image');
    artifacts.image(tree, out, version, git(tree, 'rev-parse', 'HEAD'));
  }
  say('bill of materials');
  // From the tree: it reads the bundle's version there.
  const { writeSbom } = await import(join(tree, 'scripts/release/sbom.mjs'));
  await writeSbom(tree, join(out, 'sbom.cdx.json'), { executables: parts.includes('executables') });
  say('provenance');
  const { envelope, provenance, signFiles } = await import(join(tree, 'scripts/release/sign.mjs'));
  const repository = artifacts.origin(tree);
  const from = { version, parts, commit: git(tree, 'rev-parse', 'HEAD'), repository };
  const statement = provenance(out, artifacts.files(out), from);
  writeFileSync(join(out, 'provenance.intoto.jsonl'), `${JSON.stringify(envelope(statement, key))}\n`);
  artifacts.checksums(out);
  if (key) signFiles(out, artifacts.files(out), key);
  else console.log('no --key: nothing is signed');
}

async function release() {
  const options = settings();
  const { version, parts, dryRun, key, out } = options;
  checkTree(version);
  requireIdentity(ROOT);
  if (parts.includes('charts')) requireHelm();
  if (parts.includes('image')) requireDocker();
  if (key) readKey(key);
  if (existsSync(out) && readdirSync(out).length > 0)
    throw new Error(`${out} is not empty: remove it, or name another folder with --out`);
  const tree = workingTree();
  let done = false;
  try {
    const date = new Date().toISOString().slice(0, 10);
    const current = JSON.parse(read(join(tree, 'package.json'))).version;
    for (const [file, change] of Object.entries(FILES))
      writeFileSync(join(tree, file), change(read(join(tree, file)), version, date, current));
    git(tree, 'add', ...Object.keys(FILES));
    git(tree, 'commit', '--quiet', '--message', `Release ${version}`);
    const commit = git(tree, 'rev-parse', 'HEAD');
    mkdirSync(out, { recursive: true });
    await build(tree, options);
    if (!dryRun) {
      // The branch last: when it has moved meanwhile, neither stays.
      git(ROOT, 'tag', '--annotate', `v${version}`, '--message', `kasm-db ${version}`, commit);
      try {
        git(ROOT, 'merge', '--quiet', '--ff-only', commit);
      } catch (error) {
        git(ROOT, 'tag', '--delete', `v${version}`);
        throw error;
      }
    }
    done = true;
    say(`\n${out}:\n${artifacts.sizes(out).join('\n')}`);
    say(
      dryRun
        ? '\nDry run: nothing was committed or tagged.'
        : `\nCommitted and tagged v${version}. Nothing was pushed: docs/RELEASING.md`,
    );
  } finally {
    if (!done && existsSync(out)) console.error(`release: what was built until then is kept in ${out}`);
    git(ROOT, 'worktree', 'remove', '--force', tree);
    rmSync(join(tree, '..'), { recursive: true, force: true });
  }
}

// Ctrl-C ends the program that is running, and the release fails of it: the second tree is cleared away.
process.on('SIGINT', () => {});

release().catch((error) => {
  console.error(`release: ${error.message}`);
  process.exitCode = 1;
});
