import { createHash, createHmac, randomBytes as nodeRandomBytes, pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import { remembering } from './derived-key.js';

/**
 * Stands in for pg's own lib/crypto/utils in the bundles: the same functions on node:crypto. Loading Web Crypto for a login costs a cold
 * start some 8 ms and 0.5 MB.
 */
export const deriveKey = remembering((password, salt, iterations) =>
  // Not the synchronous form: the server chooses the number of iterations.
  promisify(pbkdf2)(password, salt, iterations, 32, 'sha256'),
);

/** @param name as Web Crypto writes it: SHA-256, SHA-384, SHA-512 */
export async function hashByName(name: string, data: Uint8Array): Promise<Buffer> {
  return createHash(name.replace('-', '').toLowerCase()).update(data).digest();
}

export async function sha256(data: Uint8Array): Promise<Buffer> {
  return createHash('sha256').update(data).digest();
}

export async function hmacSha256(key: Uint8Array, message: string): Promise<Buffer> {
  return createHmac('sha256', key).update(message).digest();
}

export async function md5(data: string | Uint8Array): Promise<string> {
  return createHash('md5').update(data).digest('hex');
}

/** PostgreSQL's md5 login: md5(md5(password || user) || salt). */
export async function postgresMd5PasswordHash(user: string, password: string, salt: Uint8Array): Promise<string> {
  return `md5${await md5(Buffer.concat([Buffer.from(await md5(password + user)), salt]))}`;
}

export function randomBytes(length: number): Buffer {
  return nodeRandomBytes(length);
}
