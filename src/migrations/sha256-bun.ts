/** What Bun has built in, without loading node:crypto. */
declare const Bun: { SHA256: { hash(text: string, encoding: 'hex'): string } };

/** Stands in for sha256.ts in the executable. */
export const sha256 = (text: string): string => Bun.SHA256.hash(text, 'hex');
