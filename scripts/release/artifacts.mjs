// What a release consists of, each part built from one tree into one folder.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

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

export function hasDocker() {
  return spawnSync('docker', ['version'], { stdio: 'ignore' }).status === 0;
}

/**
 * The image of this machine's processor, as `docker load` reads it. BUILD_BASE and RUNTIME_BASE in the environment are the Dockerfile's
 * arguments of that name.
 */
export function image(root, out, version, revision) {
  const tag = `kasm-db:${version}`;
  const args = { PREBUILT: '1', VERSION: version, REVISION: revision };
  for (const name of ['BUILD_BASE', 'RUNTIME_BASE']) if (process.env[name]) args[name] = process.env[name];
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

/** As `sha256sum -c SHA256SUMS` reads it. @returns {string[]} the files, with their sizes */
export function checksums(out) {
  const paths = files(out).map((name) => join(out, name));
  const hash = (path) => createHash('sha256').update(readFileSync(path)).digest('hex');
  writeFileSync(join(out, 'SHA256SUMS'), paths.map((path) => `${hash(path)}  ${relative(out, path)}\n`).join(''));
  return paths.map((path) => `${relative(out, path)}  ${(statSync(path).size / 1e6).toFixed(1)} MB`);
}

/** @throws Error naming what has to be installed */
export function requireHelm() {
  if (spawnSync('helm', ['version'], { stdio: 'ignore' }).status !== 0)
    throw new Error('helm is not on the PATH: install it, or leave the charts out: --without charts');
}

export function git(cwd, ...args) {
  return execFileSync('git', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}

/** Where the tree was cloned from, without a login; a name where it was not. */
export function origin(cwd) {
  const { status, stdout } = spawnSync('git', ['remote', 'get-url', 'origin'], { cwd, encoding: 'utf8' });
  return status === 0 ? stdout.trim().replace(/\/\/[^@/]*@/, '//') : 'urn:kasm-db';
}
