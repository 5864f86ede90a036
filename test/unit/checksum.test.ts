import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checksum, normalize } from '../../src/migrations/checksum.js';

const SQL = 'CREATE TABLE a (id int);\n\nINSERT INTO a VALUES (1);\n';

describe('checksum › what editors and git do to a file does not change it', () => {
  it.each([
    ['CRLF line ends', SQL.replaceAll('\n', '\r\n')],
    ['CR line ends', SQL.replaceAll('\n', '\r')],
    ['mixed line ends', SQL.replace('\n', '\r\n')],
    ['a byte order mark', `\ufeff${SQL}`],
    ['no newline at the end', SQL.trimEnd()],
    ['many newlines at the end', `${SQL}\n\n\n`],
    ['blanks at the end of the file', `${SQL}  \t\n `],
    ['all of them', `\ufeff${SQL.replaceAll('\n', '\r\n')}\r\n\r\n`],
  ])('%s', (_, text) => {
    expect(checksum(text)).toBe(checksum(SQL));
  });
});

describe('checksum › what the server or a reader could notice changes it', () => {
  it.each([
    ['a token', SQL.replace('(1)', '(2)')],
    ['the case of a letter', SQL.replace('TABLE', 'Table')],
    ['a blank inside a line', SQL.replace('a (id', 'a  (id')],
    ['a blank at the end of a line', SQL.replace(';\n', '; \n')],
    ['an empty line inside', SQL.replace('\n\n', '\n')],
    ['a blank at the start', ` ${SQL}`],
    ['a comment', `${SQL}-- done\n`],
    ['a byte order mark inside', SQL.replace('INSERT', '\ufeffINSERT')],
  ])('%s', (_, text) => {
    expect(checksum(text)).not.toBe(checksum(SQL));
  });

  it('any other character added anywhere but at the end', () => {
    const char = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }).filter((c) => c.trim() !== '');
    fc.assert(
      fc.property(char, fc.nat({ max: SQL.length }), (c, at) => {
        fc.pre(c !== '\ufeff');
        expect(checksum(SQL.slice(0, at) + c + SQL.slice(at))).not.toBe(checksum(SQL));
      }),
    );
  });
});

describe('checksum › its form', () => {
  it('is SHA-256 in hex, of the normalized text: sha256sum of an LF file without its last newline gives the same', () => {
    expect(checksum('SELECT 1;\n')).toBe('17db4fd369edb9244b9f91d9aeed145c3d04ad8ba6e95d06247f07a63527d11a');
  });

  it('of a normalized text is that of the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', ' ', '\n', '\r', '\ufeff', 'é') }), (text) => {
        fc.pre(!text.startsWith('\ufeff\ufeff'));
        expect(checksum(normalize(text))).toBe(checksum(text));
      }),
    );
  });
});
