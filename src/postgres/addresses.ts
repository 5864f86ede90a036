import { isIP } from 'node:net';
import { onThread } from '../app/exit.js';
import type { Host } from '../config/hosts.js';

/**
 * The addresses of a host as the system has them (getaddrinfo), in its order, as libpq tries them. Sockets that look names up by themselves
 * have ways of their own: Node's race the addresses, Bun's go to ::1 for localhost whatever /etc/hosts says.
 */
export async function addressesOf({ host, hostaddr }: Host): Promise<string[]> {
  if (hostaddr) return [hostaddr];
  if (host.startsWith('/') || isIP(host)) return [host];
  // A gate that has an address needs no resolver at its start.
  const { lookup } = await import('node:dns/promises');
  // Bun has several resolvers; `backend` tells it to take the system's.
  const options = { all: true, order: 'verbatim', backend: 'libc' } as const;
  return [...new Set((await onThread(lookup(host, options))).map(({ address }) => address))];
}
