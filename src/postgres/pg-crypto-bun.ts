import { remembering } from './derived-key.js';

/** What Bun has built in, without loading node:crypto. */
declare const Bun: {
  CryptoHasher: new (
    algorithm: string,
    key?: Uint8Array,
  ) => { update(data: Uint8Array | string): { digest(): Buffer; digest(encoding: 'hex'): string } };
};

/**
 * Stands in for pg's own lib/crypto/utils in the executable. Web Crypto hands each of a login's eight steps to another thread; in Bun only
 * the long one, the key's derivation, is worth that.
 */
export const deriveKey = remembering(async (password, salt, iterations) => {
  const secret = new TextEncoder().encode(password);
  const key = await crypto.subtle.importKey('raw', secret, 'PBKDF2', false, ['deriveBits']);
  const how = { name: 'PBKDF2', hash: 'SHA-256', salt: new Uint8Array(salt), iterations };
  return Buffer.from(await crypto.subtle.deriveBits(how, key, 256));
});

/** @param name as Web Crypto writes it: SHA-256, SHA-384, SHA-512 */
export async function hashByName(name: string, data: Uint8Array): Promise<Buffer> {
  return new Bun.CryptoHasher(name.replace('-', '').toLowerCase()).update(data).digest();
}

export async function sha256(data: Uint8Array): Promise<Buffer> {
  return new Bun.CryptoHasher('sha256').update(data).digest();
}

export async function hmacSha256(key: Uint8Array, message: string): Promise<Buffer> {
  return new Bun.CryptoHasher('sha256', key).update(message).digest();
}

export async function md5(data: string | Uint8Array): Promise<string> {
  return new Bun.CryptoHasher('md5').update(data).digest('hex');
}

/** PostgreSQL's md5 login: md5(md5(password || user) || salt). */
export async function postgresMd5PasswordHash(user: string, password: string, salt: Uint8Array): Promise<string> {
  return `md5${await md5(Buffer.concat([Buffer.from(await md5(password + user)), salt]))}`;
}

export function randomBytes(length: number): Buffer {
  return crypto.getRandomValues(Buffer.alloc(length));
}
