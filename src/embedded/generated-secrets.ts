import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';

/** The secrets that an embedded database makes for itself, kept in a file only its user can read. */
export function readGenerated(file: string): Map<string, string> {
  if (!existsSync(file)) return new Map();
  return new Map(
    readFileSync(file, 'utf8')
      .split('\n')
      .flatMap((line) => {
        const at = line.indexOf(': ');
        return at > 0 ? [[line.slice(0, at), line.slice(at + 2)] as const] : [];
      }),
  );
}

/** 144 random bits, in characters that need no quoting anywhere. */
export function generatedSecret(): string {
  return randomBytes(18).toString('base64url');
}
