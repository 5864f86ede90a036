import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { KasmDbError, messageOf } from '../errors.js';
import type { ConnectionSettings } from './settings.js';

/** TLS options of one attempt; false: an unencrypted one. */
export type TlsAttempt = ConnectionOptions | false;

/**
 * The attempts that libpq makes for an sslmode, in order (PostgreSQL manual, 34.19). pg alone differs: its `require` verifies,
 * and it has neither `allow` nor `prefer` (TRAPS 37).
 * @throws KasmDbError usage when a certificate file cannot be read
 */
export function tlsAttempts(settings: ConnectionSettings, host: string): TlsAttempt[] {
  // libpq ignores sslmode on Unix sockets.
  if (settings.sslmode === 'disable' || host.startsWith('/')) return [false];
  const encrypted = tlsOptions(settings);
  if (settings.sslmode === 'allow') return [false, encrypted];
  if (settings.sslmode === 'prefer') return [encrypted, false];
  return [encrypted];
}

function tlsOptions(settings: ConnectionSettings): ConnectionOptions {
  const { sslmode } = settings;
  const root = rootCertificate(settings);
  const options: ConnectionOptions = { minVersion: 'TLSv1.2', ...clientCertificate(settings) };
  const mustVerify = sslmode === 'verify-ca' || sslmode === 'verify-full';
  if (mustVerify && !root) {
    throw new KasmDbError('usage', `sslmode=${sslmode} needs a root certificate, and none is set`, {
      hint: 'set PGSSLROOTCERT to the CA file (or to "system"), or choose another sslmode',
    });
  }
  // With a root certificate at hand libpq verifies the chain in every mode.
  options.rejectUnauthorized = root !== undefined;
  // Without `ca` Node takes the roots that it ships with.
  if (root && root !== SYSTEM_ROOTS) options.ca = root;
  // Node checks the name by itself; only verify-full wants that.
  if (sslmode !== 'verify-full') options.checkServerIdentity = () => undefined;
  return options;
}

/** libpq's word for the roots that the system trusts. */
const SYSTEM_ROOTS = 'system';

function rootCertificate(settings: ConnectionSettings): string | undefined {
  const path = settings.sslrootcert ?? defaultFile('root.crt');
  if (!path) return undefined;
  if (path === SYSTEM_ROOTS) {
    if (settings.sslmode !== 'verify-full') {
      throw new KasmDbError('usage', `sslrootcert=system needs sslmode=verify-full, not ${settings.sslmode}`);
    }
    return SYSTEM_ROOTS;
  }
  // Like libpq, a named file that is not there only matters to the modes that verify.
  if (!existsSync(path) && !settings.sslmode.startsWith('verify-')) return undefined;
  return readPem(path, 'sslrootcert');
}

function clientCertificate(settings: ConnectionSettings): Pick<ConnectionOptions, 'cert' | 'key'> {
  const cert = settings.sslcert ?? defaultFile('postgresql.crt');
  if (!cert || !existsSync(cert)) return {};
  const key = settings.sslkey ?? defaultFile('postgresql.key');
  if (!key) {
    throw new KasmDbError('usage', `client certificate ${cert} has no key`, { hint: 'set PGSSLKEY' });
  }
  return { cert: readPem(cert, 'sslcert'), key: readPem(key, 'sslkey') };
}

function defaultFile(name: string): string | undefined {
  const path = join(homedir(), '.postgresql', name);
  return existsSync(path) ? path : undefined;
}

function readPem(path: string, setting: string): string {
  try {
    const text = readFileSync(path, 'utf8');
    if (!text.includes('-----BEGIN ')) throw new Error('it is not PEM');
    return text;
  } catch (error) {
    throw new KasmDbError('usage', `${setting}: cannot use ${path} (${messageOf(error)})`);
  }
}
