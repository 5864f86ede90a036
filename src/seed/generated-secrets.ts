import { createPublicKey, generateKeyPair, randomBytes, randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { parseToken } from './tokens.js';

const generate = promisify(generateKeyPair);
/** Bits; what JWT libraries and RDP clients take without question. */
const RSA_BITS = 3072;
const ALPHANUMERIC = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** A time of UTC as Kasm writes it, without a zone. */
export const timestampText = (time: Date) => time.toISOString().replace('T', ' ').replace('Z', '');

/** Gives every token its value; the same token always the same one. */
export class GeneratedSecrets {
  private readonly values = new Map<string, string>();

  /** @param known values that the database already has, by token */
  constructor(
    known: ReadonlyMap<string, string>,
    private readonly credentials: (key: string) => string | undefined,
    private readonly now = new Date(),
  ) {
    for (const [token, value] of known) this.values.set(token, value);
  }

  async value(text: string): Promise<string> {
    const known = this.values.get(text);
    if (known !== undefined) return known;
    const token = parseToken(text);
    if (!token) throw new Error(`unknown token ${text}`);
    if (token.kind === 'rsa' || token.kind === 'ec' || token.kind === 'signing')
      await this.pair(token.kind, token.name);
    else this.values.set(text, this.single(token));
    return this.values.get(text) as string;
  }

  private single(token: NonNullable<ReturnType<typeof parseToken>>): string {
    if (token.kind === 'uuid') return randomUUID();
    if (token.kind === 'datetime') return timestampText(this.now);
    // 256 random bytes as hex: 512 characters.
    if (token.kind === 'crypt') return randomBytes(256).toString('hex');
    const key = { manager_token: 'manager-token', registration_token: 'service-token' }[token.name ?? ''];
    return (key && this.credentials(key)) || randomToken();
  }

  private async pair(kind: 'rsa' | 'ec' | 'signing', name: string): Promise<void> {
    const other = kind === 'signing' ? 'certificate' : 'public';
    const privateToken = `\${${kind}:${name}:private}`;
    const known = this.values.get(privateToken);
    // Of one that Kasm has encrypted nobody else can make the other half.
    const privateKey = known?.includes('PRIVATE KEY') ? known : await newPrivateKey(kind);
    this.values.set(privateToken, known ?? privateKey);
    const otherToken = `\${${kind}:${name}:${other}}`;
    if (this.values.has(otherToken)) return;
    this.values.set(
      otherToken,
      kind === 'signing' ? await newCertificate(privateKey, this.now) : publicKey(privateKey),
    );
  }
}

async function newPrivateKey(kind: 'rsa' | 'ec' | 'signing'): Promise<string> {
  const { privateKey } =
    kind === 'ec' ? await generate('ec', { namedCurve: 'P-256' }) : await generate('rsa', { modulusLength: RSA_BITS });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
}

/** ASN.1 and its polyfill are only loaded when a certificate has to be made. */
async function newCertificate(privateKey: string, now: Date): Promise<string> {
  const { certificate } = await import('./certificate.js');
  return certificate(privateKey, publicKey(privateKey), now);
}

function publicKey(privateKey: string): string {
  return createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }) as string;
}

function randomToken(): string {
  let token = '';
  while (token.length < 32) {
    for (const byte of randomBytes(48)) {
      // 248 is the largest multiple of 62 below 256: no letter is likelier than another.
      if (byte < 248 && token.length < 32) token += ALPHANUMERIC[byte % 62];
    }
  }
  return token;
}
