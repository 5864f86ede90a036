import { hash } from 'node:crypto';

/** SHA-256 (hex) of the text as editors may not change it: without BOM, with LF, without blank space at its end, so that there is no false alarm. */
export function checksum(text: string): string {
  return hash('sha256', normalize(text));
}

/** The text that counts: without BOM, with LF, without blank space at its end. */
export function normalize(text: string): string {
  // A folder may have thousands of files; most need no new copy.
  const plain = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  return (plain.includes('\r') ? plain.replace(/\r\n?/g, '\n') : plain).trimEnd();
}
