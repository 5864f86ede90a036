import { existsSync } from 'node:fs';
import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { KasmDbError } from '../app/errors.js';
import { type Host, isSocket } from './hosts.js';
import type { ConnectionSettings } from './settings.js';
import { readKey, readPem, revocationLists, systemRoots } from './tls-files.js';
import { nameMismatch } from './tls-name.js';
import { SYSTEM_ROOTS } from './tls-settings.js';

/** One attempt: unencrypted, or with TLS; its files are read when it is made. */
export type TlsAttempt = false | (() => ConnectionOptions);

/**
 * The attempts that libpq makes for an sslmode, in order (PostgreSQL manual, 34.19). pg alone differs: its `require` verifies,
 * and it has neither `allow` nor `prefer` (traps: sslmode).
 */
export function tlsAttempts(settings: ConnectionSettings, host: Host): TlsAttempt[] {
  const { sslmode } = settings;
  const encrypted = () => tlsOptions(settings, host.host);
  // libpq ignores sslmode on Unix sockets.
  if (sslmode === 'disable' || isSocket(host)) return [false];
  if (sslmode === 'allow') return [false, encrypted];
  return sslmode === 'prefer' ? [encrypted, false] : [encrypted];
}

/**
 * @param host its name; empty where only an address is given
 * @throws KasmDbError usage when a certificate file cannot be used
 */
function tlsOptions(settings: ConnectionSettings, host: string): ConnectionOptions {
  const { sslmode } = settings;
  const root = rootCertificate(settings);
  const options: ConnectionOptions = {
    ...(settings.sslMinProtocolVersion ? { minVersion: settings.sslMinProtocolVersion } : {}),
    ...(settings.sslMaxProtocolVersion ? { maxVersion: settings.sslMaxProtocolVersion } : {}),
    // An address is no name that a server could have a certificate for (RFC 6066, section 3).
    ...(settings.sslSni && /^[^/]/.test(host) && !isIP(host) ? { servername: host } : {}),
    ...clientCertificate(settings),
  };
  if (sslmode.startsWith('verify-') && !root) {
    throw new KasmDbError('usage', `sslmode=${sslmode} needs a root certificate, and none is set`, {
      hint: 'set PGSSLROOTCERT to the CA file (or to "system"), or choose another sslmode',
    });
  }
  if (sslmode === 'verify-full' && host === '') {
    throw new KasmDbError('usage', 'sslmode=verify-full needs a name to verify, and only hostaddr is set', {
      hint: 'set POSTGRES_HOST to the name in the certificate, or choose another sslmode',
    });
  }
  // With a root certificate at hand libpq verifies the chain in every mode.
  options.rejectUnauthorized = root !== undefined;
  if (root) {
    // Without `ca` Node takes the roots that it ships with.
    const ca = root === SYSTEM_ROOTS ? systemRoots() : root;
    if (ca) options.ca = ca;
    const lists = revocationLists(settings.sslcrl, settings.sslcrldir);
    if (lists.length > 0) options.crl = lists;
  }
  // Node checks the name by itself, by other rules; only verify-full wants it.
  options.checkServerIdentity = (_, peer) => (sslmode === 'verify-full' ? nameMismatch(host, peer.raw) : undefined);
  return options;
}

function rootCertificate(settings: ConnectionSettings): string | undefined {
  const path = settings.sslrootcert;
  if (!path || path === SYSTEM_ROOTS) return path;
  // Like libpq, a named file that is not there only matters to the modes that verify.
  if (!existsSync(path) && !settings.sslmode.startsWith('verify-')) return undefined;
  return readPem(path, 'sslrootcert');
}

function clientCertificate(settings: ConnectionSettings): Pick<ConnectionOptions, 'cert' | 'key' | 'passphrase'> {
  const { sslcert: cert, sslkey: key, sslpassword } = settings;
  if (!cert || settings.sslcertmode === 'disable' || !existsSync(cert)) return {};
  if (!key) throw new KasmDbError('usage', `client certificate ${cert} has no key`, { hint: 'set PGSSLKEY' });
  return {
    cert: readPem(cert, 'sslcert'),
    key: readKey(key, sslpassword),
    ...(sslpassword ? { passphrase: sslpassword } : {}),
  };
}
