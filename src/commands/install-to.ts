import { chmodSync, copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { KasmDbError, messageOf } from '../app/errors.js';
import type { Answer } from './command.js';

/**
 * Copies the standalone executable into a folder: an init container does so into an emptyDir, from which a container of another image runs
 * `kasm-db once`. Put in place with one rename, so that nobody ever starts half of it.
 * @throws KasmDbError usage where the folder takes no file; environment where this is not the executable
 */
export async function installToCommand(folder: string): Promise<Answer> {
  if (!process.versions.bun) {
    throw new KasmDbError('environment', 'only the standalone executable can copy itself; this is kasm-db on Node', {
      hint: 'take it from the image, or build it: npm run build:exe; with Node, install the npm package where it is needed',
    });
  }
  const path = join(folder, 'kasm-db');
  const part = `${path}.${process.pid}`;
  try {
    mkdirSync(folder, { recursive: true });
    copyFileSync(process.execPath, part);
    chmodSync(part, 0o755);
    renameSync(part, path);
  } catch (error) {
    // Bun's rmSync fails where a folder on the way is none, force or not.
    if (existsSync(part)) rmSync(part);
    throw new KasmDbError('usage', `kasm-db cannot be copied to ${path} (${messageOf(error)})`, {
      hint: 'is it a folder that this user may write to, with 200 MB of space?',
      cause: error,
    });
  }
  return { fields: {}, text: (s) => `${s.green('Installed')} ${path}.` };
}
