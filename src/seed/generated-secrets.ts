import { createPublicKey, generateKeyPair, randomBytes, randomInt, randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { onThread } from '../app/exit.js';
import { parseToken, type Token } from './tokens.js';

const generate = promisify(generateKeyPair);
/** Bits; what JWT libraries and RDP clients take without question. */
const RSA_BITS = 3072;
const ALPHANUMERIC = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** A time of UTC as Kasm writes it, without a zone. */
export const timestampText = (time: Date) => time.toISOString().replace('T', ' ').replace('Z', '');

/** Gives every token its value; the same token always the same one. */
export class GeneratedSecrets {
  private readonly values: Map<string, Promise<string>>;

  /** @param known values that the database already has, by token */
  constructor(
    known: ReadonlyMap<string, string>,
    private readonly credentials: (key: string) => string | undefined,
    private readonly now = new Date(),
  ) {
    this.values = new Map([...known].map(([token, value]) => [token, Promise.resolve(value)]));
  }

  value(text: string): Promise<string> {
    const value = this.values.get(text) ?? this.make(text);
    this.values.set(text, value);
    return value;
  }

  private async make(text: string): Promise<string> {
    const token = parseToken(text);
    if (!token) throw new Error(`unknown token ${text}`);
    const { kind, name } = token;
    if (kind === 'uuid') return randomUUID();
    if (kind === 'datetime') return timestampText(this.now);
    // 256 random bytes as hex: 512 characters.
    if (kind === 'crypt') return randomBytes(256).toString('hex');
    if (kind === 'random_token') {
      const key = { manager_token: 'manager-token', registration_token: 'service-token' }[name];
      return (key && this.credentials(key)) || randomToken();
    }
    if (text.endsWith(':private}')) return newPrivateKey(kind);
    const stored = await this.value(`\${${kind}:${name}:private}`);
    // Of one that Kasm has encrypted nobody else can make the other half.
    const privateKey = stored.includes('PRIVATE KEY') ? stored : await newPrivateKey(kind);
    const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }) as string;
    if (kind !== 'signing') return publicKey;
    // ASN.1 and its polyfill are only loaded when a certificate has to be made.
    const { certificate } = await import('./certificate.js');
    return certificate(privateKey, publicKey, this.now);
  }
}

async function newPrivateKey(kind: Token['kind']): Promise<string> {
  const making = kind === 'ec' ? generate('ec', { namedCurve: 'P-256' }) : generate('rsa', { modulusLength: RSA_BITS });
  const { privateKey } = await onThread(making);
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
}

function randomToken(): string {
  return Array.from({ length: 32 }, () => ALPHANUMERIC[randomInt(ALPHANUMERIC.length)]).join('');
}
