import 'reflect-metadata';
import { createPrivateKey, randomBytes, type webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY_MS = 86_400_000;

export interface Certificate {
  /** PEM. */
  cert: string;
  /** PEM, PKCS #8. */
  key: string;
}

export interface Authority extends Certificate {
  /** @param names DNS names and IP addresses; none: only a common name */
  issue(commonName: string, names?: x509.JsonGeneralNames, options?: { expired?: boolean }): Promise<Certificate>;
  /** A list of revoked certificates, PEM. */
  revoke(...certificates: Certificate[]): Promise<string>;
}

const serial = () => `00${randomBytes(12).toString('hex')}`;

async function keyPair(): Promise<{ keys: webcrypto.CryptoKeyPair; key: string }> {
  const keys = (await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey));
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  return { keys, key: key.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

/** A private CA. */
export async function authority(name: string): Promise<Authority> {
  const { keys, key } = await keyPair();
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=${name}`,
    notBefore: new Date(Date.now() - 2 * DAY_MS),
    notAfter: new Date(Date.now() + DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return {
    cert: `${root.toString('pem')}\n`,
    key,
    issue: async (commonName, names = [], { expired = false } = {}) => {
      const own = await keyPair();
      const issued = await x509.X509CertificateGenerator.create({
        serialNumber: serial(),
        issuer: root.subject,
        subject: `CN=${commonName}`,
        notBefore: new Date(Date.now() - 2 * DAY_MS),
        notAfter: new Date(Date.now() + (expired ? -DAY_MS : DAY_MS)),
        signingAlgorithm: ALGORITHM,
        publicKey: own.keys.publicKey,
        signingKey: keys.privateKey,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
          await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
        ],
      });
      return { cert: `${issued.toString('pem')}\n`, key: own.key };
    },
    revoke: async (...certificates) => {
      const list = await x509.X509CrlGenerator.create({
        issuer: root.subject,
        thisUpdate: new Date(Date.now() - DAY_MS),
        nextUpdate: new Date(Date.now() + DAY_MS),
        signingAlgorithm: ALGORITHM,
        signingKey: keys.privateKey,
        entries: certificates.map(({ cert }) => ({
          serialNumber: new x509.X509Certificate(cert).serialNumber,
          revocationDate: new Date(Date.now() - DAY_MS),
        })),
      });
      // The library says CRL, which OpenSSL does not know.
      return `${list.toString('pem').replaceAll('-----BEGIN CRL', '-----BEGIN X509 CRL').replaceAll('-----END CRL', '-----END X509 CRL')}\n`;
    },
  };
}

/** A certificate that only vouches for itself. */
export async function selfSigned(commonName: string, names: x509.JsonGeneralNames): Promise<Certificate> {
  const { keys, key } = await keyPair();
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=${commonName}`,
    notBefore: new Date(Date.now() - 2 * DAY_MS),
    notAfter: new Date(Date.now() + DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [new x509.SubjectAlternativeNameExtension(names)],
  });
  return { cert: `${made.toString('pem')}\n`, key };
}
