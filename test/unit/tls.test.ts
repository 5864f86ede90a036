import { join } from 'node:path';
import { type ConnectionOptions, checkServerIdentity, type PeerCertificate } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ConnectionSettings, resolveSettings, SSL_MODES } from '../../src/config/settings.js';
import { tlsAttempts } from '../../src/config/tls.js';
import { folder } from '../support/cli.js';

const files = folder({
  'root.crt': '-----BEGIN CERTIFICATE-----\nroot\n',
  'client.crt': '-----BEGIN CERTIFICATE-----\nclient\n',
  'client.key': '-----BEGIN PRIVATE KEY-----\nkey\n',
  junk: 'no certificate',
});
const at = (name: string) => join(files, name);

// A developer's own ~/.postgresql must not decide these tests.
const home = process.env.HOME;
beforeAll(() => {
  process.env.HOME = folder({});
});
afterAll(() => {
  process.env.HOME = home;
});

const settings = (values: Partial<ConnectionSettings>): ConnectionSettings => ({
  ...resolveSettings({ host: 'db' }, {}, { direct: false }),
  ...values,
});
const attempts = (values: Partial<ConnectionSettings>, host = 'db') => tlsAttempts(settings(values), host);
const encrypted = (values: Partial<ConnectionSettings>) => attempts(values).find(Boolean) as ConnectionOptions;
const shape = (values: Partial<ConnectionSettings>, host?: string) =>
  attempts(values, host).map((tls) => (tls === false ? 'plain' : tls.rejectUnauthorized ? 'verified' : 'encrypted'));

describe('tlsAttempts › what libpq does for each sslmode, not what pg does (TRAPS 37)', () => {
  it.each([
    ['disable', ['plain'], ['plain']],
    ['allow', ['plain', 'encrypted'], ['plain', 'verified']],
    ['prefer', ['encrypted', 'plain'], ['verified', 'plain']],
    ['require', ['encrypted'], ['verified']],
  ] as const)('%s: %j, and with a root certificate %j', (sslmode, without, withRoot) => {
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

  it('the name in the certificate counts for verify-full alone', () => {
    const other = { subject: { CN: 'other' }, subjectaltname: 'DNS:other' } as unknown as PeerCertificate;
    for (const sslmode of SSL_MODES.slice(1)) {
      // Without a check of ours Node makes its own.
      const { checkServerIdentity: check = checkServerIdentity } = encrypted({ sslmode, sslrootcert: at('root.crt') });
      expect(check('db', other)?.message ?? 'any name will do').toMatch(
        sslmode === 'verify-full' ? /db\. is not in the cert's altnames/ : 'any name will do',
      );
      expect(check('other', other), sslmode).toBeUndefined();
    }
  });

  it('sslrootcert=system means the roots that Node trusts by itself, with verify-full alone', () => {
    expect(encrypted({ sslmode: 'verify-full', sslrootcert: 'system' })).toMatchObject({ rejectUnauthorized: true });
    expect(encrypted({ sslmode: 'verify-full', sslrootcert: 'system' })).not.toHaveProperty('ca');
    expect(() => attempts({ sslmode: 'require', sslrootcert: 'system' })).toThrow(
      /needs sslmode=verify-full, not require/,
    );
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

  it('without a key are refused', () => {
    expect(() => attempts({ sslmode: 'require', sslcert: at('client.crt') })).toThrow(/client\.crt has no key/);
    expect(() => attempts({ sslmode: 'require', sslcert: at('client.crt'), sslkey: at('nowhere') })).toThrow(
      /sslkey: cannot use .*nowhere/,
    );
  });
});

describe('tlsAttempts › ~/.postgresql, as libpq', () => {
  it('gives the root and the client certificate when nothing else does', () => {
    process.env.HOME = folder({
      '.postgresql/root.crt': '-----BEGIN CERTIFICATE-----\nhome root\n',
      '.postgresql/postgresql.crt': '-----BEGIN CERTIFICATE-----\nhome client\n',
      '.postgresql/postgresql.key': '-----BEGIN PRIVATE KEY-----\nhome key\n',
    });
    expect(encrypted({ sslmode: 'prefer' })).toMatchObject({
      rejectUnauthorized: true,
      ca: expect.stringContaining('home root'),
      cert: expect.stringContaining('home client'),
      key: expect.stringContaining('home key'),
    });
    expect(encrypted({ sslmode: 'prefer', sslrootcert: at('root.crt') }).ca).not.toContain('home');
  });
});
