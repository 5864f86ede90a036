import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { passwordFromFile } from '../../src/config/pass-file.js';
import { folder } from '../support/folder.js';

const key = { host: 'db', port: 5432, dbname: 'kasm', user: 'app' };
const read = (text: string, wanted = {}, mode = 0o600) => {
  const file = join(folder({ f: text }), 'f');
  chmodSync(file, mode);
  return passwordFromFile(file, { ...key, ...wanted });
};

describe('pass file › as libpq reads it', () => {
  it.each<[string, string, object, string | undefined]>([
    ['the first line that fits counts', 'x:*:*:*:no\n*:5432:*:app:yes\n*:*:*:*:later', {}, 'yes'],
    ['also with an empty password', '*:*:*:*:\n*:*:*:*:later', {}, ''],
    ['a star fits anything, an escaped one a star', '\\*:*:*:*:no\n*:*:*:*:yes', {}, 'yes'],
    ['an escaped star', '*:*:\\*:*:yes', { dbname: '*' }, 'yes'],
    ['a star is one only alone', 'd*:*:*:*:no', {}, undefined],
    ['escaped colons and backslashes', '*:*:a\\:b\\\\c:*:p\\:w\\\\d', { dbname: 'a:b\\c' }, 'p:w\\d'],
    ['any character may be escaped', '\\d\\b:*:*:*:\\x', {}, 'x'],
    ['the password ends at a colon', '*:*:*:*:pw:more', {}, 'pw'],
    ['a backslash at the end stays', '*:*:*:*:pw\\', {}, 'pw\\'],
    ['comments and short lines', '#*:*:*:*:no\n*:*:*\n\n *:*:*:*:no\n*:*:*:*:yes', {}, 'yes'],
    ['capitals differ', 'DB:*:*:*:no', {}, undefined],
    ['a port is compared as text', '*:05432:*:*:no', {}, undefined],
    ['localhost fits the default socket folder', 'localhost:*:*:*:yes', { host: '/var/run/postgresql' }, 'yes'],
    ['and no other one', 'localhost:*:*:*:no\n/run/x:*:*:*:yes', { host: '/run/x' }, 'yes'],
    ['Windows line ends', '*:*:*:*:pw\r\n', {}, 'pw'],
  ])('%s', (_, text, wanted, password) => {
    expect(read(text, wanted)).toEqual(password === undefined ? {} : { password });
  });

  it('is ignored where others may read it, or where it is no file', () => {
    for (const mode of [0o640, 0o604, 0o660])
      expect(read('*:*:*:*:pw', {}, mode).ignored).toMatch(/others may read it/);
    expect(passwordFromFile('/', key).ignored).toBe('it is a folder, not a file');
    expect(passwordFromFile('/nowhere', key)).toEqual({});
  });
});
