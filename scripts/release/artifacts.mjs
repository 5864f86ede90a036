// What a release consists of, each part built from one tree into one folder.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bases } from './needs.mjs';

const CPUS = ['x64', 'arm64'];

/** Runs a program quietly. @throws Error with its last words */
function run(cwd, program, ...args) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (status !== 0) {
    const said = error ? error.message : `${stdout}\n${stderr}`.trim().split('\n').slice(-15).join('\n');
    throw new Error(`${program} ${args.slice(0, 2).join(' ')} failed:\n${said}`);
  }
  return stdout;
}

/** The npm package, built with declarations. */
export function npmTarball(root, out) {
  run(root, process.execPath, 'scripts/build.mjs');
  mkdirSync(join(out, 'npm'), { recursive: true });
  run(root, 'npm', 'pack', '--ignore-scripts', '--pack-destination', join(out, 'npm'));
}

export function executables(root, out, version) {
  run(root, process.execPath, 'scripts/build-exe.mjs', ...CPUS);
  mkdirSync(join(out, 'bin'), { recursive: true });
  for (const cpu of CPUS)
    copyFileSync(join(root, `dist-exe/kasm-db-linux-${cpu}`), join(out, `bin/kasm-db-${version}-linux-${cpu}`));
  copyFileSync(join(root, 'dist-exe/THIRD-PARTY-NOTICES.txt'), join(out, 'bin/THIRD-PARTY-NOTICES.txt'));
}

/** The image of this machine's processor, as `docker load` reads it. */
export function image(root, out, version, revision) {
  const tag = `kasm-db:${version}`;
  const args = { PREBUILT: '1', VERSION: version, REVISION: revision, ...bases() };
  const buildArgs = Object.entries(args).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);
  // Nothing is fetched in it: the executable is there.
  run(root, 'docker', 'build', '--network', 'none', '--tag', tag, ...buildArgs, '.');
  mkdirSync(join(out, 'image'), { recursive: true });
  run(root, 'docker', 'save', '--output', join(out, `image/kasm-db-${version}-linux-${process.arch}.tar`), tag);
}

/** kasm-single-zone holds kasm-db: its link in charts/ is followed. */
export function charts(root, out) {
  mkdirSync(join(out, 'charts'), { recursive: true });
  for (const chart of ['kasm-db', 'kasm-single-zone'])
    run(root, 'helm', 'package', join('chart', chart), '--destination', join(out, 'charts'));
  writeFileSync(join(out, 'charts/images.txt'), `${images(root).join('\n')}\n`);
}

/** What a closed network has to have: the images of both charts as they are by default. */
function images(root) {
  const values = ['host=kasm.example.com', 'credentials.existingSecret=kasm'];
  const set = values.flatMap((value) => ['--set', value]);
  const manifests = run(root, 'helm', 'template', 'kasm', 'chart/kasm-single-zone', ...set);
  return [...new Set([...manifests.matchAll(/^\s*(?:- )?image: "?([^\s"]+)/gm)].map(([, image]) => image))].sort();
}

/** What is in a release so far. @returns {string[]} paths relative to it */
export function files(out) {
  return readdirSync(out, { recursive: true })
    .filter((name) => statSync(join(out, name)).isFile())
    .sort();
}

/** Writes SHA256SUMS, as `sha256sum -c SHA256SUMS` reads it. */
export function checksums(out) {
  const hash = (name) =>
    createHash('sha256')
      .update(readFileSync(join(out, name)))
      .digest('hex');
  writeFileSync(
    join(out, 'SHA256SUMS'),
    files(out)
      .map((name) => `${hash(name)}  ${name}\n`)
      .join(''),
  );
}

/** @returns {string[]} a line a file, with its size */
export function sizes(out) {
  return files(out).map((name) => `  ${size(statSync(join(out, name)).size).padStart(8)}  ${name}`);
}

/** @param {number} bytes @returns {string} such as 512 B, 3.4 kB, 101.2 MB */
export function size(bytes) {
  if (bytes < 1e3) return `${bytes} B`;
  return bytes < 999_950 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

export function git(cwd, ...args) {
  return execFileSync('git', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}

/** Where the tree was cloned from, without a login; a name where it was not. */
export function origin(cwd) {
  const { status, stdout } = spawnSync('git', ['remote', 'get-url', 'origin'], { cwd, encoding: 'utf8' });
  return status === 0 ? stdout.trim().replace(/\/\/[^@/]*@/, '//') : 'urn:kasm-db';
}
