import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checksum } from '../../src/migrations/checksum.js';
import { parseMigration } from '../../src/migrations/directives.js';

const parse = (text: string, name = '0003_zones') => parseMigration(name, `migrations/${name}.sql`, text, false);

describe('header › without directives', () => {
  it('says: one transaction, in order, compatible with every build', () => {
    expect(parse('SELECT 1;')).toEqual({
      name: '0003_zones',
      number: '0003',
      checksum: checksum('SELECT 1;'),
      transaction: true,
      outOfOrder: false,
      hasDown: false,
      creates: [],
    });
  });

  it('knows whether there is a down migration', () => {
    expect(parseMigration('0001_a', 'a', 'SELECT 1;', true).hasDown).toBe(true);
  });
});

describe('header › directives', () => {
  it.each([
    ['no-transaction', { transaction: false }],
    ['out-of-order', { outOfOrder: true }],
    ['min-compatible 0003', { minCompatible: '0003' }],
    ['min-compatible 0001', { minCompatible: '0001' }],
    ['lock-timeout 2s', { lockTimeoutMs: 2000 }],
    ['lock-timeout 500ms', { lockTimeoutMs: 500 }],
  ])('%s', (directive, fields) => {
    expect(parse(`-- kasm-db: ${directive}\nSELECT 1;`)).toMatchObject(fields);
  });

  it('may stand below a licence in a block comment', () => {
    for (const head of [
      '/*\n * Licence /* nested */\n * -- with a dash\n */\n',
      '/* one */ -- two\n',
      '/**/\n\n/* a\n*/ -- b\n',
    ])
      expect(parse(`${head}-- kasm-db: no-transaction\nSELECT 1;`), head).toMatchObject({ transaction: false });
  });

  it('inside of a block comment, or behind a statement that follows one, is an error', () => {
    expect(() => parse('/*\n-- kasm-db: no-transaction\n*/ SELECT 1;')).toThrow(
      /:2: a directive stands inside of a comment/,
    );
    expect(() => parse('/*\n*/ SELECT 1;\n-- kasm-db: no-transaction')).toThrow(/above the first statement/);
  });

  it('may be several, among other comments and empty lines', () => {
    const text =
      '-- Zones.\n\n-- kasm-db: no-transaction\n-- why\n--kasm-db:min-compatible 0002\n  -- kasm-db: lock-timeout 1m  \nSELECT 1;';
    expect(parse(text)).toMatchObject({ transaction: false, minCompatible: '0002', lockTimeoutMs: 60_000 });
  });

  it('are not the words of another comment', () => {
    expect(parse('-- see kasm-db: no-transaction\nSELECT 1;').transaction).toBe(true);
  });

  it('are read in a file with CRLF', () => {
    expect(parse('-- kasm-db: no-transaction\r\n-- kasm-db: lock-timeout 2s\r\nSELECT 1;\r\n')).toMatchObject({
      transaction: false,
      lockTimeoutMs: 2000,
    });
  });
});

describe('header › a wrong directive is a usage error with file, line and what to write instead', () => {
  it.each([
    ['unknown', '-- kasm-db: no-transactions', 1, /unknown directive "no-transactions"/, /known are no-transaction/],
    ['in another case', '-- kasm-db: No-Transaction', 1, /unknown directive/, /no-transaction/],
    ['empty', '-- a\n-- kasm-db:', 2, /unknown directive ""/, /known are/],
    ['a value too many', '-- kasm-db: no-transaction yes', 1, /takes no value/, /"-- kasm-db: no-transaction"/],
    ['a value too many', '\n-- kasm-db: out-of-order 3', 2, /takes no value/, /out-of-order/],
    ['no number', '-- kasm-db: min-compatible', 1, /"" is not a number NNNN/, /min-compatible 0003/],
    ['a short number', '-- kasm-db: min-compatible 3', 1, /"3" is not a number NNNN/, /0003/],
    ['newer than itself', '-- kasm-db: min-compatible 0004', 1, /0004 is newer than this migration/, /older/],
    ['no duration', '-- kasm-db: lock-timeout', 1, /lock-timeout "" is not a duration/, /lock-timeout 2s/],
    ['no end', '-- kasm-db: lock-timeout 0s', 1, /lock-timeout "0s" would wait for ever/, /lock-timeout 2s/],
    ['no unit', '-- kasm-db: lock-timeout 2', 1, /lock-timeout "2" is not a duration/, /lock-timeout 2s/],
    ['below SQL', 'SELECT 1;\n\n-- kasm-db: no-transaction', 3, /above the first statement/, /top of the file/],
  ])('%s: %j', (_, text, line, message, hint) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({
        outcome: 'usage',
        message: expect.stringMatching(new RegExp(`^migrations/0003_zones\\.sql:${line}: .*${message.source}`)),
        details: expect.objectContaining({
          file: 'migrations/0003_zones.sql',
          line,
          migration: '0003_zones',
          hint: expect.stringMatching(hint),
        }),
      }),
    );
  });
});

describe('header › what a migration creates', () => {
  it.each([
    ['CREATE TABLE users (id int);', ['users']],
    ['create table public.users (id int);\nCREATE TABLE groups ();', ['users', 'groups']],
    ['  CREATE  TABLE "users" (id int);', ['users']],
    ['CREATE TABLE IF NOT EXISTS users (id int);', ['users']],
    ['CREATE TABLE IF NOT EXISTS public.users (id int);', ['users']],
    ['-- CREATE TABLE users (id int);\nSELECT 1;', []],
    ['CREATE TEMPORARY TABLE users (id int);', []],
  ])('%s', (text, creates) => {
    expect(parse(text).creates).toEqual(creates);
  });

  it.each([
    ["INSERT INTO alembic_version (version_num) VALUES ('bfc22f00ad19');", 'bfc22f00ad19'],
    ["INSERT INTO public.alembic_version VALUES ('bfc22f00ad19');", 'bfc22f00ad19'],
    ["UPDATE alembic_version SET version_num = 'abc1';", 'abc1'],
    ["SELECT 1; -- INSERT INTO alembic_version VALUES ('x');", undefined],
    ["INSERT INTO other VALUES ('bfc22f00ad19');", undefined],
  ])("Kasm's release, from %s", (text, version) => {
    expect(parse(text).vendorVersion).toBe(version);
  });
});

describe('header › a text without any of these', () => {
  // A comment that is about kasm makes it look at every line.
  it('says what it would say if it were looked at line by line', () => {
    const pieces = [
      'CREATE TABLE ',
      'create\t',
      'table ',
      'IF NOT EXISTS ',
      'users ',
      'public.',
      '"',
      ' ',
      '\n',
      '\u00a0',
      '--',
      ';',
    ];
    const more = [
      'INSERT INTO ',
      'update ',
      'alembic_version ',
      'ALEMBIC_VERSION ',
      "'abc1'",
      '-- kasm-db: out-of-order',
    ];
    let found = 0;
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces, ...more), { maxLength: 12 }), (list) => {
        const [plain, looked] = ['', '\n-- kasm'].map((end) => {
          try {
            const { checksum: _, ...header } = parse(`${list.join('')}${end}`);
            return header;
          } catch (error) {
            return (error as Error).message;
          }
        });
        expect(plain).toEqual(looked);
        if (typeof plain === 'object' && (plain.creates.length > 0 || plain.vendorVersion)) found++;
      }),
      { numRuns: 20_000 },
    );
    expect(found).toBeGreaterThan(20);
  });
});
