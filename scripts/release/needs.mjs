// What a release needs of this machine, looked at before anything is built.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const DOCKERFILE = new URL('../../Dockerfile', import.meta.url);

const works = (program, ...args) => spawnSync(program, args, { stdio: 'ignore' }).status === 0;

/** The images that the Dockerfile builds on: BUILD_BASE and RUNTIME_BASE of the environment, or else the ones that it names. */
export function bases() {
  const defaults = readFileSync(DOCKERFILE, 'utf8').matchAll(/^ARG (BUILD_BASE|RUNTIME_BASE)=(.*)$/gm);
  return Object.fromEntries([...defaults].map(([, name, image]) => [name, process.env[name] || image]));
}

/** @throws Error that says what to do without a Docker engine, or without the images that ours is built on */
export function requireDocker() {
  if (!works('docker', 'version'))
    throw new Error(
      'no Docker engine answers: start one (or set DOCKER_HOST), or leave the image out: --without image',
    );
  for (const [name, image] of Object.entries(bases()))
    if (!works('docker', 'image', 'inspect', image) && !works('docker', 'pull', '--quiet', image))
      throw new Error(
        `the image ${image} cannot be pulled: set ${name} to one that can (what it needs stands at the top of the Dockerfile), ` +
          'or leave the image out: --without image',
      );
}

/** @throws Error that says what to install */
export function requireHelm() {
  if (!works('helm', 'version'))
    throw new Error('helm is not on the PATH: install it, or leave the charts out: --without charts');
}

/** @throws Error that says how to set who commits and tags */
export function requireIdentity(root) {
  if (spawnSync('git', ['var', 'GIT_COMMITTER_IDENT'], { cwd: root, stdio: 'ignore' }).status !== 0)
    throw new Error('git knows no name for commit and tag: git config user.name NAME && git config user.email ADDRESS');
}
