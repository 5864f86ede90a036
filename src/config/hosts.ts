import { isIP } from 'node:net';
import { KasmDbError } from '../app/errors.js';

export interface Host {
  /** A name, an address, or a folder of Unix sockets; empty where only an address is given. */
  host: string;
  /** Where to connect to instead of looking the name up. */
  hostaddr?: string;
  port: number;
}

/** Is it reached by a Unix socket? A folder with an address beside it is but a name. */
export function isSocket({ host, hostaddr }: Host): boolean {
  return hostaddr === undefined && host.startsWith('/');
}

const DEFAULT_HOST = 'localhost';
const DEFAULT_PORT = '5432';

/**
 * The hosts of a list with their addresses and ports, paired as libpq pairs them.
 * @param sources where the lists came from, for messages
 * @throws KasmDbError usage
 */
export function pairHosts(
  lists: { host: string | undefined; hostaddr: string | undefined; port: string | undefined },
  sources: Record<string, string>,
): Host[] {
  const hosts = lists.host?.split(',') ?? [];
  const addresses = lists.hostaddr ? lists.hostaddr.split(',') : [];
  const ports = (lists.port || DEFAULT_PORT).split(',');
  const count = addresses.length || hosts.length || 1;
  const mismatch = (found: number, what: string, hint: string) =>
    new KasmDbError('usage', `${count} hosts but ${found} ${what}`, { hint });
  if (lists.host && hosts.length !== count)
    throw mismatch(hosts.length, 'names', 'hostaddr needs an address for each name, which may be empty');
  if (ports.length > 1 && ports.length !== count)
    throw mismatch(ports.length, 'ports', 'give one port for all hosts, or one for each');
  return Array.from({ length: count }, (_, i) => {
    const hostaddr = checkAddress(addresses[i] ?? '', sources.hostaddr);
    const host = checkHost(hosts[i] ?? '', sources.host);
    return {
      host: host || (hostaddr ? '' : DEFAULT_HOST),
      ...(hostaddr ? { hostaddr } : {}),
      port: portNumber(ports[ports.length > 1 ? i : 0] || DEFAULT_PORT, sources.port),
    };
  });
}

/** What no name of a host has; the first that fits is told. */
const NO_NAMES: readonly (readonly [RegExp, string])[] = [
  [/:\/\//, 'holds a URL'],
  [/@/, 'holds an @'],
  [/:/, 'holds a port'],
  [/[\s/?#%]/, 'is not the name of a host'],
];

/** What is not the name of a host was meant for another setting, and may hold a password: it is not repeated, and looked up nowhere. */
function checkHost(host: string, source = ''): string {
  const wrong = NO_NAMES.find(([pattern]) => pattern.test(host));
  if (!wrong || host.startsWith('/') || isIP(host)) return host;
  throw new KasmDbError('usage', `host (${source}) ${wrong[1]}`, {
    hint: 'give the name or the address alone, several with commas and no blanks; the port goes into POSTGRES_PORT, a URL into KASM_DB_URL',
  });
}

function checkAddress(address: string, source = ''): string {
  if (address === '' || isIP(address)) return address;
  throw new KasmDbError('usage', `hostaddr "${address}" (${source}) is not an IP address`, {
    hint: 'a name goes into host',
  });
}

function portNumber(text: string, source = ''): number {
  const port = Number(text);
  if (/^[1-9]\d{0,4}$/.test(text) && port <= 65_535) return port;
  // In a URL it may be part of a password that was not encoded.
  const shown = /URL|url/.test(source) ? 'the port' : `port "${text}"`;
  throw new KasmDbError('usage', `${shown} (${source}) is not a number from 1 to 65535`, {
    hint: 'give a number, several with commas and no blanks; / in a password of a URL is %2F',
  });
}
