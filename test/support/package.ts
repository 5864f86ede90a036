import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { inject } from 'vitest';
// @ts-expect-error plain JavaScript, shared with the build
import { writeTypes } from '../../scripts/types.mjs';

const ROOT = join(import.meta.dirname, '../..');
const QUIET = ['--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'];

/** A folder that goes when the run ends; the account of embedded servers can look into it. */
export function scratchFolder(): string {
  const path = mkdtempSync(join(dirname(inject('outputLog')), 'package-'));
  chmodSync(path, 0o755);
  return path;
}

export interface Packed {
  /** The tarball. */
  path: string;
  size: number;
  unpackedSize: number;
  files: { path: string; size: number; mode: number }[];
}

/** Packs kasm-db as `npm pack` does, from what the test run has built, with declarations. */
export function pack(): Packed {
  const folder = scratchFolder();
  const { files } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { files: string[] };
  for (const path of [...files, 'package.json']) cpSync(join(ROOT, path), join(folder, path), { recursive: true });
  writeTypes(join(folder, 'dist/types'));
  const [packed] = JSON.parse(npm(['pack', '--json', '--ignore-scripts'], folder));
  return { ...packed, path: join(folder, packed.filename) };
}

/** Runs npm. @returns its stdout */
export function npm(args: string[], cwd: string): string {
  return execFileSync('npm', [...args, ...QUIET], { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/**
 * Node of another release, from npm: fetched once.
 * @returns the program; undefined, said aloud, where it cannot be had
 */
export function nodeOf(release: string): string | undefined {
  const folder = join(ROOT, 'test/.nodes');
  const program = join(folder, `node_modules/node-${release}/bin/node`);
  try {
    if (!existsSync(program)) {
      mkdirSync(folder, { recursive: true });
      if (!existsSync(join(folder, 'package.json'))) writeFileSync(join(folder, 'package.json'), '{"private":true}\n');
      const name = `node-${process.platform}-${process.arch}`;
      npm(['install', '--ignore-scripts', '--no-package-lock', `node-${release}@npm:${name}@${release}`], folder);
    }
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return program;
  } catch (error) {
    console.warn(`Node ${release} cannot be had: the package is not tested on it (${String(error).split('\n')[0]})`);
    return undefined;
  }
}
