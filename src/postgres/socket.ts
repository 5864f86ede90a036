import type { Duplex } from 'node:stream';

/** A socket without TLS, not connected yet; undefined: the driver makes its own. */
export function fastSocket(): Duplex | undefined {
  return undefined;
}
