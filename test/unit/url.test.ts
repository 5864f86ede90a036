import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseConnectionUrl } from '../../src/config/url.js';

const parse = (url: string) => parseConnectionUrl(url, 'KASM_DB_URL');

describe('parseConnectionUrl › the forms of libpq (PostgreSQL manual, 34.1.1.2)', () => {
  it.each([
    ['postgres://', { params: {} }],
    ['postgresql://db', { host: 'db', params: {} }],
    ['postgres://db:5433', { host: 'db', port: '5433', params: {} }],
    ['postgres://db/kasm', { host: 'db', dbname: 'kasm', params: {} }],
    ['postgres:///kasm', { dbname: 'kasm', params: {} }],
    ['postgres://app@db', { user: 'app', host: 'db', params: {} }],
    ['postgres://app@', { user: 'app', params: {} }],
    [
      'postgres://app:pw@db:5432/kasm',
      { user: 'app', password: 'pw', host: 'db', port: '5432', dbname: 'kasm', params: {} },
    ],
    ['postgres://app:@db', { user: 'app', host: 'db', params: {} }],
    [' postgres://db/kasm ', { host: 'db', dbname: 'kasm', params: {} }],
    [
      'postgres://db/kasm?sslmode=require&connect_timeout=5',
      { host: 'db', dbname: 'kasm', params: { sslmode: 'require', connect_timeout: '5' } },
    ],
    ['postgres://db?sslmode=require', { host: 'db', params: { sslmode: 'require' } }],
    ['postgres://db/kasm?', { host: 'db', dbname: 'kasm', params: {} }],
  ])('%s', (url, values) => {
    expect(parse(url)).toEqual(values);
  });

  it.each([
    ['postgres://[::1]/kasm', '::1', undefined],
    ['postgres://[2001:db8::1]:5433/kasm', '2001:db8::1', '5433'],
    ['postgres://app@[fe80::1%25eth0]:1/kasm', 'fe80::1%eth0', '1'],
  ])('an IPv6 address: %s', (url, host, port) => {
    expect(parse(url)).toMatchObject({ host, dbname: 'kasm' });
    expect(parse(url).port).toBe(port);
  });

  it.each([
    ['percent-encoded', 'postgres://%2Fvar%2Frun%2Fpostgresql/kasm'],
    ['in the query', 'postgres:///kasm?host=/var/run/postgresql'],
  ])('a Unix socket folder, %s', (_, url) => {
    expect(parse(url)).toMatchObject({ host: '/var/run/postgresql', dbname: 'kasm' });
  });

  it('several hosts, each with or without port', () => {
    expect(parse('postgres://a:1,b,[::1]:3/kasm')).toMatchObject({ host: 'a,b,::1', port: '1,,3' });
    expect(parse('postgres://a,b/kasm').port).toBeUndefined();
  });

  it('the query wins over what stands before it', () => {
    expect(parse('postgres://app:pw@db:1/kasm?host=h&port=2&dbname=d&user=u&password=p')).toMatchObject({
      host: 'h',
      port: '2',
      dbname: 'd',
      user: 'u',
      password: 'p',
    });
  });

  it('a value may hold an equals sign, and be empty', () => {
    expect(parse('postgres://db?options=-c%20a=b&sslrootcert=').params).toEqual({ options: '-c a=b', sslrootcert: '' });
  });

  it('an @ in the query belongs to its value', () => {
    expect(parse('postgres://db:5432/kasm?user=svc@tenant')).toMatchObject({
      host: 'db',
      port: '5432',
      dbname: 'kasm',
      user: 'svc@tenant',
    });
    expect(parse('postgres://db/kasm?application_name=a:b@c').password).toBeUndefined();
  });
});

describe('parseConnectionUrl › percent-encoding (TRAPS 29)', () => {
  it('takes any user, password and database', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1 });
    fc.assert(
      fc.property(text, text, text, (user, password, dbname) => {
        const url = `postgres://${encodeURIComponent(user)}:${encodeURIComponent(password)}@db/${encodeURIComponent(dbname)}`;
        expect(parse(url)).toEqual({ user, password, host: 'db', dbname, params: {} });
        const query = `postgres://db/?user=${encodeURIComponent(user)}&password=${encodeURIComponent(password)}`;
        expect(parse(query)).toMatchObject({ user, password, host: 'db' });
      }),
    );
  });

  it('is not needed for / : # in a password', () => {
    expect(parse('postgres://app:a/b:c#d@db/kasm')).toMatchObject({ password: 'a/b:c#d', host: 'db', dbname: 'kasm' });
  });
});

describe('parseConnectionUrl › a wrong URL is a usage error that names the setting and never repeats the URL', () => {
  const cases = [
    ['another scheme', 'mysql://app:hunter2@db/kasm', /KASM_DB_URL is not a PostgreSQL URL/],
    ['no scheme', 'app:hunter2@db/kasm', /is not a PostgreSQL URL/],
    ['one slash', 'postgres:/app:hunter2@db', /is not a PostgreSQL URL/],
    ['a half percent-encoding', 'postgres://app:hunter2%@db/kasm', /a % that is not a percent-encoding/],
    ['not UTF-8', 'postgres://app:hunter2%ff@db/kasm', /a % that is not a percent-encoding/],
    ['brackets left open', 'postgres://app:hunter2@[::1/kasm', /KASM_DB_URL/],
    ['an @ in the password', 'postgres://app:hun@ter2@db/kasm', /KASM_DB_URL/],
  ] as const;

  it.each(cases)('%s', (_, url, message) => {
    expect(() => parse(url)).toThrow(
      expect.objectContaining({ outcome: 'usage', message: expect.stringMatching(message) }),
    );
    expect(() => parse(url)).not.toThrow(/hunter2|ter2/);
  });

  it('the hint says how such a password is written', () => {
    expect(() => parse('postgres://app:100%@db')).toThrow(
      expect.objectContaining({
        details: expect.objectContaining({ hint: expect.stringContaining('% as %25, @ as %40') }),
      }),
    );
  });
});
