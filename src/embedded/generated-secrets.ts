import { randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { KasmDbError } from '../app/errors.js';
import { readOwnFile } from './data-folder.js';

const KEYS = ['admin-password', 'user-password', 'manager-token', 'service-token'];

/**
 * The secrets that an embedded database makes for itself: 144 random bits each, in characters that need no quoting anywhere.
 * @param file where they are kept, which only its user can read
 * @throws KasmDbError usage where somebody else has made the file: he knows them
 */
export function generatedSecrets(file: string): ReadonlyMap<string, string> {
  if (!existsSync(file)) {
    const lines = KEYS.map((key) => `${key}: ${randomBytes(18).toString('base64url')}\n`);
    writeFileSync(file, lines.join(''), { mode: 0o600, flag: 'wx' });
  }
  const { bytes, stats } = readOwnFile(file);
  if (stats.uid !== process.geteuid?.())
    throw new KasmDbError(
      'usage',
      `${file} belongs to another user (uid ${stats.uid}), who knows the passwords in it`,
      { hint: 'give --embedded another folder, or run kasm-db as that user' },
    );
  const pairs = bytes.toString('utf8').matchAll(/^(.+?): (.*)$/gm);
  return new Map([...pairs].map(([, key, value]) => [key as string, value as string]));
}
