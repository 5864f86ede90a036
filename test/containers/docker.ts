import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');
export const IMAGE = 'kasm-db-test/kasm-db:local';
const LOCAL_BASE = 'kasm-db-test/base:local';
/** What the Dockerfile names; the first part of its default is enough to see whether a registry can be reached. */
const RUNTIME_BASE = 'gcr.io/distroless/cc-debian12:nonroot';

/** @returns what docker printed @throws with its stderr */
export function docker(...args: string[]): string {
  return execFileSync('docker', args, { cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 28, stdio: 'pipe' }).trim();
}

export function canPull(image: string): boolean {
  if (spawnSync('docker', ['image', 'inspect', image]).status === 0) return true;
  return spawnSync('docker', ['pull', '--quiet', image], { timeout: 180_000 }).status === 0;
}

export function hasBridge(): boolean {
  return spawnSync('docker', ['network', 'inspect', 'bridge']).status === 0;
}

/** Why the container suites cannot run here; undefined when they can. */
export function whyNot(): string | undefined {
  if (process.platform !== 'linux') return 'they run on Linux';
  if (spawnSync('docker', ['version']).status !== 0) return 'no Docker engine answers';
  if (baseOf() === undefined)
    return `${RUNTIME_BASE} cannot be pulled, and there is no root with mmdebstrap to make a base`;
  return undefined;
}

let base: string | undefined;

/** The base that the image is built on: KASM_TEST_RUNTIME_BASE, the Dockerfile's own, or a small Debian made here. */
function baseOf(): string | undefined {
  base ??= process.env.KASM_TEST_RUNTIME_BASE;
  if (base === undefined && canPull(RUNTIME_BASE)) base = RUNTIME_BASE;
  if (base === undefined && process.getuid?.() === 0 && spawnSync('mmdebstrap', ['--version']).status === 0) {
    if (spawnSync('docker', ['image', 'inspect', LOCAL_BASE]).status !== 0) {
      const packages = 'libc6,libgcc-s1,libstdc++6,ca-certificates,dash,coreutils';
      const made = spawnSync(
        'sh',
        ['-c', `mmdebstrap --quiet --variant=extract --include=${packages} bookworm - | docker import - ${LOCAL_BASE}`],
        { stdio: ['ignore', 'ignore', 'inherit'] },
      );
      if (made.status !== 0) return undefined;
    }
    base = LOCAL_BASE;
  }
  return base;
}

/** The Dockerfile's arguments for its bases, where `whyNot` has no objection. */
export function bases(): { BUILD_BASE: string; RUNTIME_BASE: string } {
  const runtime = baseOf() as string;
  const shell = runtime === LOCAL_BASE ? LOCAL_BASE : (process.env.KASM_TEST_BUILD_BASE ?? 'debian:bookworm-slim');
  return { BUILD_BASE: shell, RUNTIME_BASE: runtime };
}

/**
 * Builds the image with the executable of dist-exe (`npm run test:containers` builds it before).
 * @returns the base it was built on
 */
export function buildImage(): string {
  const { BUILD_BASE, RUNTIME_BASE } = bases();
  docker(
    ...['build', '--network', 'none', '--build-arg', 'PREBUILT=1', '--build-arg', `BUILD_BASE=${BUILD_BASE}`],
    ...['--build-arg', `RUNTIME_BASE=${RUNTIME_BASE}`, '--build-arg', 'VERSION=0.0.0-test', '--tag', IMAGE, '.'],
  );
  return RUNTIME_BASE;
}

/** Every file of an image: path, without what Docker itself adds to each container. */
export function filesOf(image: string): Set<string> {
  const id = docker('create', '--entrypoint', '/kasm-db', image);
  try {
    const listing = execFileSync('sh', ['-c', `docker export ${id} | tar -t`], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    return new Set(listing.split('\n').filter((path) => path !== '' && !path.endsWith('/')));
  } finally {
    docker('rm', id);
  }
}

export interface ContainerRun {
  code: number | null;
  stdout: string;
  stderr: string;
  ms: number;
}

/** As restricted as Kubernetes' `restricted` Pod Security Standard, and with a root file system that nobody can write. */
export const RESTRICTED = ['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'];

/** Runs the image to its end, on the network of this machine or another. Values of `env` are no arguments, so no process list shows them. */
export function run(
  args: string[],
  env: Record<string, string>,
  options: string[] = [],
  network = 'host',
): Promise<ContainerRun> {
  const names = Object.keys(env).flatMap((name) => ['--env', name]);
  const started = performance.now();
  const child = spawn(
    'docker',
    ['run', '--rm', '--network', network, ...RESTRICTED, ...names, ...options, IMAGE, ...args],
    {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr, ms: performance.now() - started }));
  });
}
