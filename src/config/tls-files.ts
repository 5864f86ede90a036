import { createPrivateKey } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { KasmDbError } from '../app/errors.js';
import { type FileContent, readSettingFile } from '../app/read-file.js';

/**
 * Reads certificates as PEM text.
 * @param setting how the user knows it, for the message
 * @throws KasmDbError usage, without anything of the content
 */
export function readPem(path: string, setting: string): string {
  const text = read(path, setting).bytes.toString();
  if (text.includes('-----BEGIN ')) return text;
  throw new KasmDbError('usage', `${setting}: cannot use ${path} (it is not PEM)`, {
    hint: 'convert it with openssl: PEM begins with -----BEGIN',
  });
}

function read(path: string, setting: string): FileContent {
  return readSettingFile(path, 'pem', `${setting}: cannot use ${path}`, 'mount the file there, or correct the path');
}

/**
 * Reads a private key, PEM or DER, by libpq's rule for its permissions (PostgreSQL manual, 34.19.2): 0600 or less, or 0640 or less where
 * root owns it, which a Kubernetes Secret with fsGroup (0440) fulfils.
 * @returns PEM
 * @throws KasmDbError usage
 */
export function readKey(path: string, password: string | undefined): string {
  const { bytes, stats } = read(path, 'sslkey');
  const { uid, mode } = stats;
  const forbidden = uid === 0 ? 0o037 : 0o077;
  if (process.platform !== 'win32' && (mode & forbidden) !== 0) {
    throw new KasmDbError('usage', `sslkey: ${path} may be read by others (mode ${(mode & 0o777).toString(8)})`, {
      hint: 'chmod 600 it; where root owns it 640 will do (in Kubernetes: defaultMode 0440 with fsGroup)',
    });
  }
  const text = bytes.toString();
  if (!text.includes('-----BEGIN ')) return fromDer(bytes, path);
  if (/-----BEGIN ENCRYPTED|Proc-Type: 4,ENCRYPTED/.test(text) && !password) {
    throw new KasmDbError('usage', `sslkey: ${path} is encrypted, and no password for it is set`, {
      hint: 'set sslpassword in KASM_DB_URL (…?sslpassword=…), or decrypt it: openssl pkey -in KEY -out NEW',
    });
  }
  return text;
}

function fromDer(key: Buffer, path: string): string {
  for (const type of ['pkcs8', 'pkcs1', 'sec1'] as const) {
    try {
      return createPrivateKey({ key, format: 'der', type }).export({ format: 'pem', type: 'pkcs8' }).toString();
    } catch {
      // It is of another type.
    }
  }
  throw new KasmDbError('usage', `sslkey: cannot use ${path} (it is neither PEM nor DER)`, {
    hint: 'convert it with openssl: openssl pkey -in KEY -out NEW',
  });
}

/** Each list of `file`, and of the files in `folder` that `openssl rehash` has named; PEM, one a string, since Node reads but the first of one. */
export function revocationLists(file: string | undefined, folder: string | undefined): string[] {
  const files = file && existsSync(file) ? [file] : [];
  if (folder) {
    const hashed = existsSync(folder) ? readdirSync(folder).filter((name) => /^[0-9a-f]{8}\.r\d+$/.test(name)) : [];
    // libpq then finds no list for any certificate, and refuses them all.
    if (hashed.length === 0)
      throw new KasmDbError('usage', `sslcrldir: ${folder} holds no revocation list`, {
        hint: 'put the lists there and run: openssl rehash -compat FOLDER',
      });
    files.push(...hashed.map((name) => join(folder, name)));
  }
  return files.flatMap(
    (path) => readPem(path, 'revocation list').match(/-----BEGIN X509 CRL-----[\s\S]*?-----END X509 CRL-----/g) ?? [],
  );
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
