import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readService } from '../../src/config/service-file.js';
import { folder } from '../support/folder.js';

const read = (text: string, name = 's', env = {}) => {
  const file = join(folder({ f: text }), 'f');
  return Object.fromEntries(readService(name, { PGSERVICEFILE: file, PGSYSCONFDIR: '/nowhere', ...env }));
};

describe('service file › as libpq reads it', () => {
  it.each<[string, string, Record<string, string>]>([
    [
      'comments, blank lines, blanks around a line, Windows line ends',
      '# x\n\n  [s]  \r\n\thost=db \r\n#port=1\n',
      { host: 'db' },
    ],
    ['the first value of a key counts', '[s]\nhost=a\nhost=b', { host: 'a' }],
    [
      'a value may be empty, hold =, begin with a blank',
      '[s]\nsslcert=\noptions=-c a=b\nuser= x',
      { sslcert: '', options: '-c a=b', user: ' x' },
    ],
    ['the section ends at any line that begins with [', '[s]\nhost=a\n[t\nport=1', { host: 'a' }],
    ['what stands behind ] is passed over', '[s] x\nhost=a', { host: 'a' }],
    ['the first section of a name counts', '[s]\nhost=a\n[s]\nport=1', { host: 'a' }],
    ['another section may hold anything', '[t]\nnonsense\nfoo=bar\n[s]\nhost=a', { host: 'a' }],
    ['an empty section is one', '[s]', {}],
  ])('%s', (_, text, values) => {
    expect(read(text)).toEqual(values);
  });

  it.each([
    ['a line without =', '[s]\nhost=a\nhunter2', 3, 'the line is not KEY=VALUE'],
    ['an unknown key', '[s]\nhunter2=x', 2, 'libpq does not know the key'],
    ['a blank before =', '[s]\nhost =db', 2, 'libpq does not know the key'],
    ['requiressl', '[s]\nrequiressl=1', 2, 'libpq does not know the key'],
    ['an LDAP address', '[s]\nldap://hunter2/x', 2, 'the line is not KEY=VALUE'],
    ['a service', '[s]\nservice=t', 2, 'a service cannot name another one'],
    ['a line that is too long', `[s]\nuser=${'x'.repeat(1020)}`, 2, 'the line is too long'],
  ])('%s is an error with file and line that repeats nothing', (_, text, line, what) => {
    expect(() => read(text)).toThrow(
      expect.objectContaining({
        outcome: 'usage',
        message: expect.stringMatching(new RegExp(`^service file .*f, line ${line}: ${what}$`)),
      }),
    );
  });

  it('PGSERVICEFILE that is not there is an error; the system’s file is looked in after it', () => {
    expect(() => readService('s', { PGSERVICEFILE: '/nowhere/f' })).toThrow(
      /cannot read the service file \/nowhere\/f/,
    );
    const system = folder({ 'pg_service.conf': '[s]\nhost=system\n' });
    expect(read('[t]\nhost=a', 's', { PGSYSCONFDIR: system })).toEqual({ host: 'system' });
  });

  it('an empty name is looked for, too', () => {
    expect(read('[]\nhost=a', '')).toEqual({ host: 'a' });
    expect(() => read('[s]\nhost=a', '')).toThrow(/service "" is in no service file/);
  });

  it('the user’s file is in $HOME, else in the passwd entry’s home, never in the current folder', () => {
    const home = folder({ '.pg_service.conf': '[s]\nhost=home\n' });
    expect(Object.fromEntries(readService('s', { HOME: home }))).toEqual({ host: 'home' });
    const before = process.cwd();
    process.chdir(home);
    try {
      for (const env of [{ HOME: '' }, {}])
        expect(() => readService('s', { ...env, PGSYSCONFDIR: '/nowhere' })).toThrow(/"s" is in no service file/);
    } finally {
      process.chdir(before);
    }
  });
});
