import { createHash } from 'node:crypto';

/** SHA-256 (hex) of the text as editors may not change it: without BOM, with LF, without blank space at its end (TRAPS 16). */
export function checksum(text: string): string {
  return createHash('sha256').update(normalize(text)).digest('hex');
}

export function normalize(text: string): string {
  return text
    .replace(/^\ufeff/, '')
    .replace(/\r\n?/g, '\n')
    .trimEnd();
}
