import { X509Certificate } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import type { ConnectionOptions, DetailedPeerCertificate } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { SSL_MODES } from '../../src/config/parameters.js';
import { type ConnectionSettings, resolveSettings } from '../../src/config/settings.js';
import { tlsAttempts } from '../../src/config/tls.js';
import type { Environment } from '../../src/config/variables.js';
import { authority } from '../support/certificates.js';
import { folder } from '../support/folder.js';

const files = folder({
  'root.crt': '-----BEGIN CERTIFICATE-----\nroot\n',
  'client.crt': '-----BEGIN CERTIFICATE-----\nclient\n',
  'client.key': '-----BEGIN PRIVATE KEY-----\nkey\n',
  'encrypted.key': '-----BEGIN ENCRYPTED PRIVATE KEY-----\nkey\n',
  junk: 'no certificate',
});
const at = (name: string) => join(files, name);
chmodSync(at('client.key'), 0o600);
chmodSync(at('encrypted.key'), 0o600);

// A developer's own ~/.postgresql must not decide these tests.
const HOME = folder({});
const resolve = (env: Environment) => resolveSettings({ host: 'db' }, { HOME, ...env }, { direct: false });
const settings = (values: Partial<ConnectionSettings>): ConnectionSettings => ({ ...resolve({}), ...values });
const attempts = (values: Partial<ConnectionSettings>, host = 'db') =>
  tlsAttempts(settings(values), { host, port: 1 }).map((tls) => (tls ? tls() : tls));
const encrypted = (values: Partial<ConnectionSettings>) => attempts(values).find(Boolean) as ConnectionOptions;
const shape = (values: Partial<ConnectionSettings>, host?: string) =>
  attempts(values, host).map((tls) => (tls === false ? 'plain' : tls.rejectUnauthorized ? 'verified' : 'encrypted'));

describe('tlsAttempts › what libpq does for each sslmode, not what pg does', () => {
  it.each([
    ['disable', ['plain'], ['plain']],
    ['allow', ['plain', 'encrypted'], ['plain', 'verified']],
    ['prefer', ['encrypted', 'plain'], ['verified', 'plain']],
    ['require', ['encrypted'], ['verified']],
  ] as const)('trap 37: %s: %j, and with a root certificate %j', (sslmode, without, withRoot) => {
    expect(shape({ sslmode })).toEqual(without);
    expect(shape({ sslmode, sslrootcert: at('root.crt') })).toEqual(withRoot);
  });

  it.each(['verify-ca', 'verify-full'] as const)('%s: verified, and refused without a root certificate', (sslmode) => {
    expect(shape({ sslmode, sslrootcert: at('root.crt') })).toEqual(['verified']);
    expect(() => attempts({ sslmode })).toThrow(
      expect.objectContaining({
        outcome: 'usage',
        message: `sslmode=${sslmode} needs a root certificate, and none is set`,
      }),
    );
    expect(() => attempts({ sslmode, sslrootcert: at('nowhere') })).toThrow(
      /sslrootcert: cannot use .*nowhere \(ENOENT/,
    );
    expect(() => attempts({ sslmode, sslrootcert: at('junk') })).toThrow(/it is not PEM/);
  });

  it('a root certificate that is not there does not matter to the modes that need none', () => {
    expect(shape({ sslmode: 'require', sslrootcert: at('nowhere') })).toEqual(['encrypted']);
  });

  it.each(SSL_MODES)('a Unix socket is never encrypted (%s)', (sslmode) => {
    expect(shape({ sslmode }, '/var/run/postgresql')).toEqual(['plain']);
  });

  it('but with hostaddr a folder is only a name, and sslmode counts', () => {
    const target = { host: '/var/run/postgresql', hostaddr: '10.0.0.1', port: 5432 };
    expect(tlsAttempts(settings({ sslmode: 'require' }), target)).toHaveLength(1);
    expect(tlsAttempts(settings({ sslmode: 'require' }), target)).not.toContain(false);
  });

  it('the name in the certificate counts for verify-full alone, by libpq’s rules instead of Node’s', async () => {
    const { issue } = await authority('unit');
    const { cert } = await issue('other', [{ type: 'dns', value: 'other' }]);
    const other = { raw: new X509Certificate(cert).raw } as DetailedPeerCertificate;
    for (const sslmode of SSL_MODES.slice(1)) {
      const of = (host: string) =>
        attempts({ sslmode, sslrootcert: at('root.crt') }, host).find(Boolean) as ConnectionOptions;
      expect(of('db').checkServerIdentity?.('db', other)?.message ?? 'any name will do').toMatch(
        sslmode === 'verify-full' ? /certificate is for DNS:other, not for "db"/ : 'any name will do',
      );
      expect(of('other').checkServerIdentity?.('other', other), sslmode).toBeUndefined();
    }
  });

  it('sslrootcert=system means the roots that the system trusts, with verify-full, which is then the default', () => {
    expect(resolve({ PGSSLROOTCERT: 'system' }).sslmode).toBe('verify-full');
    expect(() => resolve({ PGSSLROOTCERT: 'system', PGSSLMODE: 'require' })).toThrow(
      'sslrootcert=system needs sslmode=verify-full, not require (PGSSLMODE)',
    );
    const before = process.env.SSL_CERT_FILE;
    process.env.SSL_CERT_FILE = at('root.crt');
    try {
      expect(encrypted({ sslmode: 'verify-full', sslrootcert: 'system' })).toMatchObject({
        rejectUnauthorized: true,
        ca: expect.stringContaining('root'),
      });
    } finally {
      if (before === undefined) delete process.env.SSL_CERT_FILE;
      else process.env.SSL_CERT_FILE = before;
    }
  });

  it.each([
    ['PGSSLMINPROTOCOLVERSION', 'TLSv9', /ssl_min_protocol_version "TLSv9" \(PGSSLMINPROTOCOLVERSION\) is unknown/],
    ['PGSSLMAXPROTOCOLVERSION', 'SSLv3', /ssl_max_protocol_version "SSLv3" \(PGSSLMAXPROTOCOLVERSION\) is unknown/],
  ])('%s=%s is a usage error', (name, value, message) => {
    expect(() => resolve({ [name]: value })).toThrow(message);
  });

  it('never speaks less than TLS 1.2', () => {
    expect(encrypted({ sslmode: 'require' }).minVersion).toBe('TLSv1.2');
  });
});

describe('tlsAttempts › client certificates', () => {
  it('are given with their key', () => {
    expect(encrypted({ sslmode: 'require', sslcert: at('client.crt'), sslkey: at('client.key') })).toMatchObject({
      cert: expect.stringContaining('client'),
      key: expect.stringContaining('key'),
    });
  });

  it('an encrypted key needs its password, which is not taken from an argument', () => {
    const key = { sslmode: 'require', sslcert: at('client.crt'), sslkey: at('encrypted.key') } as const;
    expect(() => attempts(key)).toThrow(/encrypted\.key is encrypted, and no password for it is set/);
    expect(encrypted({ ...key, sslpassword: 's3cr3t-key' }).passphrase).toBe('s3cr3t-key');
    const inUrl = 'postgres://db?sslpassword=s3cr3t-key';
    expect(resolveSettings({}, { KASM_DB_URL: inUrl }, { direct: false }).sslpassword).toBe('s3cr3t-key');
    expect(() => resolveSettings({ url: inUrl }, {}, { direct: false })).toThrow(/^--url holds a password/);
  });

  it('a key that others may read is refused', () => {
    chmodSync(at('client.key'), 0o644);
    const key = { sslmode: 'require', sslcert: at('client.crt'), sslkey: at('client.key') } as const;
    expect(() => attempts(key)).toThrow(/sslkey: .*client\.key may be read by others \(mode 644\)/);
    chmodSync(at('client.key'), 0o600);
  });

  it('without a key are refused', () => {
    expect(() => attempts({ sslmode: 'require', sslcert: at('client.crt') })).toThrow(/client\.crt has no key/);
    expect(() => attempts({ sslmode: 'require', sslcert: at('client.crt'), sslkey: at('nowhere') })).toThrow(
      /sslkey: cannot use .*nowhere/,
    );
  });
});

describe('tlsAttempts › ~/.postgresql, as libpq', () => {
  it('gives the root and the client certificate when nothing else does', () => {
    const own = folder({
      '.postgresql/root.crt': '-----BEGIN CERTIFICATE-----\nhome root\n',
      '.postgresql/postgresql.crt': '-----BEGIN CERTIFICATE-----\nhome client\n',
      '.postgresql/postgresql.key': '-----BEGIN PRIVATE KEY-----\nhome key\n',
    });
    chmodSync(join(own, '.postgresql/postgresql.key'), 0o600);
    const found = (env: Environment) =>
      tlsAttempts(resolve({ HOME: own, ...env }), { host: 'db', port: 1 })
        .map((tls) => (tls ? tls() : tls))
        .find(Boolean) as ConnectionOptions;
    expect(found({ PGSSLMODE: 'prefer' })).toMatchObject({
      rejectUnauthorized: true,
      ca: expect.stringContaining('home root'),
      cert: expect.stringContaining('home client'),
      key: expect.stringContaining('home key'),
    });
    expect(found({ PGSSLROOTCERT: at('root.crt') }).ca).not.toContain('home');
    expect(found({ PGSSLCERTMODE: 'disable' }).cert).toBeUndefined();
  });
});
