import { randomBytes } from 'node:crypto';
import { KasmDbError } from '../app/errors.js';
import { readOwnFile } from './own-file.js';

/**
 * The secrets that an embedded database makes for itself, kept in a file only its user can read.
 * @throws KasmDbError usage where somebody else has made the file: he knows them
 */
export function readGenerated(file: string): Map<string, string> {
  const { text, uid } = readOwnFile(file);
  if (uid !== process.geteuid?.())
    throw new KasmDbError('usage', `${file} belongs to another user (uid ${uid}), who knows the passwords in it`, {
      hint: 'give --embedded another folder, or run kasm-db as that user',
    });
  return new Map(
    text.split('\n').flatMap((line) => {
      const at = line.indexOf(': ');
      return at > 0 ? [[line.slice(0, at), line.slice(at + 2)] as const] : [];
    }),
  );
}

/** 144 random bits, in characters that need no quoting anywhere. */
export function generatedSecret(): string {
  return randomBytes(18).toString('base64url');
}
