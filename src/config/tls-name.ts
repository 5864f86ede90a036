import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';

/**
 * Does the certificate stand for this host, by libpq's rules (PostgreSQL manual, 34.19.1)? Its DNS names and IP addresses count; where it
 * has none of the host's kind, its first common name does too.
 * @param raw the certificate, DER
 * @returns what is wrong; undefined when it does
 */
export function nameMismatch(host: string, raw: Buffer): Error | undefined {
  const certificate = new X509Certificate(raw);
  const names = alternativeNames(certificate.subjectAltName ?? '');
  const kind = isIP(host) ? 'IP Address' : 'DNS';
  const dnsNames = names.filter(([type]) => type === 'DNS').map(([, name]) => name);
  const fallback = names.some(([type]) => type === kind) ? [] : commonNames(certificate).slice(0, 1);
  if ((isIP(host) && certificate.checkIP(host)) || [...dnsNames, ...fallback].some((name) => standsFor(name, host)))
    return undefined;
  const said = certificate.subjectAltName || certificate.subject?.replaceAll('\n', ', ');
  return Object.assign(new Error(`the server certificate is for ${said}, not for "${host}"`), {
    code: 'HOSTNAME_MISMATCH',
  });
}

/** `DNS:a, IP Address:10.0.0.1`; Node writes a name that holds anything else than plain characters as JSON. */
function alternativeNames(text: string): [type: string, name: string][] {
  return [...text.matchAll(/(?:^|, )([^:,]+):("(?:\\.|[^"\\])*"|[^,]*)/g)].map(([, type = '', name = '']) => [
    type,
    name.startsWith('"') ? String(JSON.parse(name)) : name,
  ]);
}

function commonNames(certificate: X509Certificate): string[] {
  return [certificate.toLegacyObject().subject?.CN ?? []].flat();
}

/** `*.example.org` stands for one label in the star's place. */
function standsFor(pattern: string, host: string): boolean {
  const [name, wanted] = [pattern.toLowerCase(), host.toLowerCase()];
  if (name === wanted) return true;
  return (
    name.length > 2 &&
    name.startsWith('*.') &&
    wanted.indexOf('.') > 0 &&
    wanted.slice(wanted.indexOf('.')) === name.slice(1)
  );
}
