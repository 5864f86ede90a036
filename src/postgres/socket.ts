import type { Duplex } from 'node:stream';

/** A socket for a short conversation without TLS, not connected yet; undefined: the driver makes its own. */
export function shortSocket(): Duplex | undefined {
  return undefined;
}
