import { existsSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { KasmDbError, messageOf } from '../app/errors.js';

/** A file of ~/.postgresql, which libpq takes where nothing else is set; undefined when it is not there. */
export function defaultFile(name: string): string | undefined {
  const path = join(homedir(), '.postgresql', name);
  return existsSync(path) ? path : undefined;
}

/**
 * Reads certificates or a key as PEM text.
 * @param setting how the user knows it, for the message
 * @throws KasmDbError usage, without anything of the content
 */
export function readPem(path: string, setting: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new KasmDbError('usage', `${setting}: cannot use ${path} (${messageOf(error)})`, {
      hint: 'mount the file there, or correct the path',
    });
  }
  if (!text.includes('-----BEGIN ')) {
    throw new KasmDbError('usage', `${setting}: cannot use ${path} (it is not PEM)`, {
      hint: 'convert it with openssl: PEM begins with -----BEGIN',
    });
  }
  return text;
}

/**
 * Reads a private key by libpq's rule for its permissions (PostgreSQL manual, 34.19.2): 0600 or less, or 0640 or less where root owns
 * it, which a Kubernetes Secret with fsGroup (0440) fulfils.
 * @throws KasmDbError usage
 */
export function readKey(path: string, password: string | undefined): string {
  const text = readPem(path, 'sslkey');
  const { uid, mode } = statSync(path);
  const forbidden = uid === 0 ? 0o037 : 0o077;
  if (process.platform !== 'win32' && (mode & forbidden) !== 0) {
    throw new KasmDbError('usage', `sslkey: ${path} may be read by others (mode ${(mode & 0o777).toString(8)})`, {
      hint: 'chmod 600 it; where root owns it 640 will do (in Kubernetes: defaultMode 0440 with fsGroup)',
    });
  }
  if (/-----BEGIN ENCRYPTED|Proc-Type: 4,ENCRYPTED/.test(text) && !password) {
    throw new KasmDbError('usage', `sslkey: ${path} is encrypted, and no password for it is set`, {
      hint: 'set sslpassword in KASM_DB_URL (…?sslpassword=…), or decrypt it: openssl pkey -in KEY -out NEW',
    });
  }
  return text;
}

/** Where Linux distributions and macOS keep the roots that the system trusts. */
const SYSTEM_BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/** The roots that the system trusts (SSL_CERT_FILE, as OpenSSL has it); undefined where it has none: Node's own are taken then. */
export function systemRoots(): string | undefined {
  const path = process.env.SSL_CERT_FILE || SYSTEM_BUNDLES.find((file) => existsSync(file));
  return path ? readPem(path, process.env.SSL_CERT_FILE ? 'SSL_CERT_FILE' : 'sslrootcert=system') : undefined;
}
