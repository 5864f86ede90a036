import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';

/**
 * Does the certificate stand for this host, by libpq's rules (PostgreSQL manual, 34.19.1)? A DNS name: the certificate's DNS names, or
 * its common name where it has none. An IP address: its IP addresses; without any of those also the common name.
 * @param raw the certificate, DER
 * @returns what is wrong; undefined when it does
 */
export function nameMismatch(host: string, raw: Buffer): Error | undefined {
  const certificate = new X509Certificate(raw);
  const names = certificate.subjectAltName ?? '';
  const matches = isIP(host)
    ? certificate.checkIP(host) ||
      certificate.checkHost(host, { wildcards: false, subject: names.includes('IP Address:') ? 'never' : 'always' })
    : certificate.checkHost(host, { partialWildcards: false });
  if (matches) return undefined;
  const said = names || certificate.subject.replaceAll('\n', ', ');
  return Object.assign(new Error(`the server certificate is for ${said}, not for "${host}"`), {
    code: 'HOSTNAME_MISMATCH',
  });
}
