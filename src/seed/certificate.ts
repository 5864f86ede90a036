// The library asks for this polyfill to be there first.
import 'reflect-metadata';
import { randomBytes } from 'node:crypto';
import * as x509 from '@peculiar/x509';

/** Ten years: nothing renews the certificate that signs RDP files but an operator. */
const CERTIFICATE_MS = 10 * 365.25 * 86_400_000;

/** A self-signed certificate for signing RDP files; keys and certificate are PEM. */
export async function certificate(privateKey: string, publicKey: string, now: Date): Promise<string> {
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
  const der = (pem: string) => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  const keys = {
    privateKey: await crypto.subtle.importKey('pkcs8', der(privateKey), algorithm, true, ['sign']),
    publicKey: await crypto.subtle.importKey('spki', der(publicKey), algorithm, true, ['verify']),
  };
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: `00${randomBytes(15).toString('hex')}`,
    name: 'CN=Kasm RDP signing',
    notBefore: new Date(now.getTime() - 60_000),
    notAfter: new Date(now.getTime() + CERTIFICATE_MS),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.codeSigning, x509.ExtendedKeyUsage.serverAuth]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return `${made.toString('pem')}\n`;
}
