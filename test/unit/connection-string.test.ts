import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseConnectionString } from '../../src/config/connection-string.js';

const parse = (text: string) => Object.fromEntries(parseConnectionString(text, 'KASM_DB_URL'));

describe('connection string › the URLs of libpq’s own tests (001_uri.pl), read the same', () => {
  it.each<[string, Record<string, string>]>([
    [
      'postgresql://uri-user:secret@host:12345/db',
      { user: 'uri-user', password: 'secret', host: 'host', port: '12345', dbname: 'db' },
    ],
    ['postgresql://uri-user@host:12345/db', { user: 'uri-user', host: 'host', port: '12345', dbname: 'db' }],
    ['postgresql://uri-user@host/db', { user: 'uri-user', host: 'host', dbname: 'db' }],
    ['postgresql://host:12345/db', { host: 'host', port: '12345', dbname: 'db' }],
    ['postgresql://host/db', { host: 'host', dbname: 'db' }],
    ['postgresql://uri-user@host:12345/', { user: 'uri-user', host: 'host', port: '12345' }],
    ['postgresql://uri-user@host/', { user: 'uri-user', host: 'host' }],
    ['postgresql://uri-user@', { user: 'uri-user' }],
    ['postgresql://host:12345/', { host: 'host', port: '12345' }],
    ['postgresql://host:12345', { host: 'host', port: '12345' }],
    ['postgresql://host/', { host: 'host' }],
    ['postgresql://host', { host: 'host' }],
    ['postgresql://', {}],
    ['postgresql://?hostaddr=127.0.0.1', { hostaddr: '127.0.0.1' }],
    ['postgresql://example.com?hostaddr=63.1.2.4', { host: 'example.com', hostaddr: '63.1.2.4' }],
    ['postgresql://%68ost/', { host: 'host' }],
    ['postgresql://host/db?user=uri-user', { host: 'host', dbname: 'db', user: 'uri-user' }],
    ['postgresql://host/db?user=uri-user&port=12345', { host: 'host', dbname: 'db', user: 'uri-user', port: '12345' }],
    [
      'postgresql://host/db?u%73er=someotheruser&port=12345',
      { host: 'host', dbname: 'db', user: 'someotheruser', port: '12345' },
    ],
    ['postgresql://host:12345?user=uri-user', { host: 'host', port: '12345', user: 'uri-user' }],
    ['postgresql://host?user=uri-user', { host: 'host', user: 'uri-user' }],
    ['postgresql://host?', { host: 'host' }],
    ['postgresql://[::1]:12345/db', { host: '::1', port: '12345', dbname: 'db' }],
    ['postgresql://[2001:db8::1234]/', { host: '2001:db8::1234' }],
    ['postgresql://[200z:db8::1234]/', { host: '200z:db8::1234' }],
    ['postgresql://[::1]', { host: '::1' }],
    ['postgres://', {}],
    ['postgres:///', {}],
    ['postgres:///db', { dbname: 'db' }],
    ['postgres://uri-user@/db', { user: 'uri-user', dbname: 'db' }],
    ['postgres://?host=/path/to/socket/dir', { host: '/path/to/socket/dir' }],
    ['postgres://@host', { host: 'host' }],
    ['postgres://host:/', { host: 'host' }],
    ['postgres://:12345/', { port: '12345' }],
    ['postgres://otheruser@?host=/no/such/directory', { user: 'otheruser', host: '/no/such/directory' }],
    ['postgres://otheruser@/?host=/no/such/directory', { user: 'otheruser', host: '/no/such/directory' }],
    [
      'postgres://otheruser@:12345?host=/no/such/socket/path',
      { user: 'otheruser', port: '12345', host: '/no/such/socket/path' },
    ],
    [
      'postgres://otheruser@:12345/db?host=/path/to/socket',
      { user: 'otheruser', port: '12345', dbname: 'db', host: '/path/to/socket' },
    ],
    ['postgres://:12345/db?host=/path/to/socket', { port: '12345', dbname: 'db', host: '/path/to/socket' }],
    ['postgres://:12345?host=/path/to/socket', { port: '12345', host: '/path/to/socket' }],
    ['postgres://%2Fvar%2Flib%2Fpostgresql/dbname', { host: '/var/lib/postgresql', dbname: 'dbname' }],
    ['postgresql://host?sslmode=disable', { host: 'host', sslmode: 'disable' }],
    ['postgresql://host?sslmode=prefer&sslrootcert=system', { host: 'host', sslmode: 'prefer', sslrootcert: 'system' }],
    ['postgresql://host?ssl=true', { host: 'host', sslmode: 'require' }],
    ['postgresql://host?requiressl=1', { host: 'host', sslmode: 'require' }],
    ['postgresql://host?requiressl=0', { host: 'host', sslmode: 'prefer' }],
    ['postgresql://a:1,b,[::1]:3/db', { host: 'a,b,::1', port: '1,,3', dbname: 'db' }],
    ['postgresql://host/a/b', { host: 'host', dbname: 'a/b' }],
    ['postgresql://host?user=a&', { host: 'host', user: 'a' }],
    // A blank at either end is none, as of libpq 18; an empty parameter counts.
    [
      'postgresql:// host /db?sslmode= require &sslcert=',
      { host: 'host', dbname: 'db', sslmode: 'require', sslcert: '' },
    ],
  ])('%s', (url, values) => {
    expect(parse(url)).toEqual(values);
  });

  it.each([
    ['another scheme', 'postgre://'],
    ['one slash', 'postgres:/host'],
    ['none', 'app:hunter2@db/kasm'],
    ['a blank before it', ' postgres://app:hunter2@db/kasm'],
    ['an unknown parameter', 'postgresql://host?uzer=hunter2'],
    ['a parameter in capitals', 'postgresql://host?SSLMODE=require'],
    ['ssl with another value than true', 'postgresql://host?ssl=hunter2'],
    ['a parameter with two =', 'postgresql://host?password=hun=ter2'],
    ['a parameter without =', 'postgresql://host/db?user=a&hunter2'],
    ['an empty parameter', 'postgresql://host/db?&user=hunter2'],
    ['two &', 'postgresql://host?user=a&&password=hunter2'],
    ['a % with nothing', 'postgres://app:hunter2%@host'],
    ['a % with one digit', 'postgres://app:hunter2%1@host'],
    ['a % with no digits', 'postgresql://host?zzz=%xx'],
    ['a NUL', 'postgres://app:hunter2%00@host'],
    ['[ without ]', 'postgres://app:hunter2@[::1'],
    ['[]', 'postgres://app:hunter2@[]:5432'],
    ['something behind ]', 'postgres://app:hunter2@[::1]z'],
    ['a blank within', 'postgres://app:hunter 2@host'],
    ['not UTF-8', 'postgres://app:hunter2%ff@host'],
    // Here libpq would connect to a host that is the login, and take the password's rest for a database.
    ['a / in the password', 'postgres://app:54/hunter2@host/kasm'],
  ])('refused, and not repeated: %s', (_, url) => {
    expect(() => parse(url)).toThrow(
      expect.objectContaining({ outcome: 'usage', message: expect.stringMatching(/^KASM_DB_URL /) }),
    );
    expect(() => parse(url)).not.toThrow(/hunter|ter2/);
  });
});

describe('connection string › what stands where', () => {
  it('the login is only before the first /, and ends at the first @; a ? and a : may be in the password', () => {
    expect(parse('postgres://app:p?w:d@db/kasm')).toEqual({
      user: 'app',
      password: 'p?w:d',
      host: 'db',
      dbname: 'kasm',
    });
    expect(parse('postgres://app:p#w@db')).toMatchObject({ password: 'p#w', host: 'db' });
    expect(parse('postgres://db:5432/kasm?user=svc@tenant')).toMatchObject({ host: 'db', user: 'svc@tenant' });
  });

  it('the query wins over what stands before it', () => {
    expect(parse('postgres://app:pw@db:1/kasm?host=h&port=2&dbname=d&user=u&password=p')).toEqual({
      host: 'h',
      port: '2',
      dbname: 'd',
      user: 'u',
      password: 'p',
    });
  });

  it('takes any user, password and database, percent-encoded', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1 }).filter((value) => !/\0|^ | $/.test(value));
    fc.assert(
      fc.property(text, text, text, (user, password, dbname) => {
        const url = `postgres://${encodeURIComponent(user)}:${encodeURIComponent(password)}@db/${encodeURIComponent(dbname)}`;
        expect(parse(url)).toEqual({ user, password, host: 'db', dbname });
        const query = `postgres://db/?user=${encodeURIComponent(user)}&password=${encodeURIComponent(password)}`;
        expect(parse(query)).toEqual({ user, password, host: 'db' });
      }),
    );
  });

  it('the hint of a wrong parameter names the one that was meant', () => {
    expect(() => parse('postgres://db?sslmod=require')).toThrow(
      expect.objectContaining({
        details: expect.objectContaining({ hint: expect.stringMatching(/^did you mean sslmode\?/) }),
      }),
    );
  });
});

describe('connection string › key=value, as libpq reads it', () => {
  it.each<[string, Record<string, string>]>([
    ['host=db dbname=kasm', { host: 'db', dbname: 'kasm' }],
    [' host = db\n port\t=\t5433 ', { host: 'db', port: '5433' }],
    ["password='a b' user=app", { password: 'a b', user: 'app' }],
    ["password='a\\'b\\\\c'user=app", { password: "a'b\\c", user: 'app' }],
    ['password=a\\ b', { password: 'a b' }],
    ["password=a'b", { password: "a'b" }],
    ['host=', { host: '' }],
    ["host=''", { host: '' }],
    ['host=a host=b', { host: 'b' }],
    ['requiressl=1', { sslmode: 'require' }],
    ['options=-c\\ search_path=x', { options: '-c search_path=x' }],
    ['password=x\\', { password: 'x' }],
  ])('%j', (text, values) => {
    expect(parse(text)).toEqual(values);
  });

  it.each([
    'host',
    'host db=x',
    '=hunter2',
    "password='hunter2",
    'host=db hunter2',
    'pasword=hunter2',
    'ssl=true',
  ])('refused, and not repeated: %s', (text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ outcome: 'usage' }));
    expect(() => parse(text)).not.toThrow(/hunter/);
  });
});
