import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readSql } from '../../src/migrations/files.js';
import { parseScript } from '../../src/postgres/parser.js';
import { excerpt, lineAt, splitStatements } from '../../src/postgres/statements.js';

const split = (sql: string) => [...splitStatements(sql)].map(({ start, end }) => sql.slice(start, end).trim());
const keywords = (sql: string) => [...splitStatements(sql)].map(({ keyword }) => keyword);

describe('splitStatements › ends a statement at a semicolon', () => {
  it.each([
    ['one', 'SELECT 1', ['SELECT 1']],
    ['with its semicolon', 'SELECT 1;', ['SELECT 1']],
    ['two', 'SELECT 1; SELECT 2', ['SELECT 1', 'SELECT 2']],
    ['without a blank', 'SELECT 1;SELECT 2;', ['SELECT 1', 'SELECT 2']],
    ['nothing', '', []],
    ['blanks and comments alone', ' \n-- a;\n/* b; */ ', []],
    ['empty statements are left out', ';; SELECT 1;; -- x\n;SELECT 2;;', ['SELECT 1', 'SELECT 2']],
    ['a comment before a statement is not of it', '-- a\n/* b */ SELECT 1;', ['SELECT 1']],
    ['a comment inside one is', 'SELECT -- a;\n 1; SELECT 2', ['SELECT -- a;\n 1', 'SELECT 2']],
  ])('%s', (_, sql, statements) => {
    expect(split(sql)).toEqual(statements);
  });
});

describe('splitStatements › not inside', () => {
  it.each([
    ['a string', "SELECT 'a;b'"],
    ['a string with a doubled quote', "SELECT 'it''s; so'"],
    ['a string that ends with a backslash', "SELECT 'C:\\'"],
    ['a string over lines', "SELECT 'a;\n;b'"],
    ['strings side by side', "SELECT 'a' ';' 'b;'"],
    ['an E string with an escaped quote', "SELECT E'it\\'s; so'"],
    ['an E string with an escaped backslash', "SELECT E'a;\\\\'"],
    ['an E string with a doubled quote', "SELECT e'a'';b'"],
    ['a string that goes on in the next line, E as it began', "SELECT E'a'\n  'b\\'; c'"],
    ['a string that goes on behind line comments', "SELECT E'a' -- x\n -- y; it's\n 'b\\'; c'"],
    ['bit, national and Unicode strings', "SELECT B'1', N'a;', U&'\\0061;'"],
    ['a dollar quote', 'SELECT $$a;b$$'],
    ['a tagged dollar quote', 'SELECT $a$ ; $b$ ; $$ ; $a$'],
    ['a tag with digits and letters of any script', 'SELECT $größe_1$ ; $größe_1$'],
    ['a tag in another case', 'SELECT $a$ ; $A$ ; $a$'],
    ['a quote inside a dollar quote', "SELECT $$it's; so$$"],
    ['a comment mark inside a dollar quote', 'SELECT $$ -- $$'],
    ['a line comment', "SELECT 1 -- ; it's\n + 1"],
    ['a block comment', 'SELECT 1 /* ; \' " $$ */ + 1'],
    ['nested comments', 'SELECT 1 /* a /* ; */ ; */ + 1'],
    ['a quoted identifier', 'SELECT 1 AS "a;b"'],
    ['a quoted identifier with a doubled quote', 'SELECT 1 AS "a"";b"'],
    ['parentheses', 'CREATE RULE r AS ON INSERT TO a DO ALSO (INSERT INTO b VALUES (1); INSERT INTO c VALUES (1))'],
  ])('%s', (_, sql) => {
    expect(split(`${sql}; SELECT 2`)).toEqual([sql, 'SELECT 2']);
  });

  it('an identifier that holds a dollar sign opens no quote', () => {
    expect(split('SELECT a$b$c; SELECT 1')).toEqual(['SELECT a$b$c', 'SELECT 1']);
  });

  it('a parameter opens no quote', () => {
    expect(split('PREPARE p AS SELECT $1; SELECT $1$2')).toEqual(['PREPARE p AS SELECT $1', 'SELECT $1$2']);
  });

  it('an identifier that ends with e opens no E string', () => {
    expect(split("SELECT date'2026-01-01\\'; SELECT 1")).toEqual(["SELECT date'2026-01-01\\'", 'SELECT 1']);
  });

  it('a closing parenthesis too many does not hide the next semicolon', () => {
    expect(split('SELECT 1); SELECT 2')).toEqual(['SELECT 1)', 'SELECT 2']);
  });
});

describe('splitStatements › SQL-standard function bodies', () => {
  const head = 'CREATE FUNCTION f() RETURNS int LANGUAGE sql';

  it.each([
    ['BEGIN ATOMIC', `${head} BEGIN ATOMIC SELECT 1; SELECT 2; END`],
    ['in lower case, OR REPLACE', 'create or replace function f() returns int begin atomic select 1; end'],
    ['a procedure', 'CREATE PROCEDURE p() BEGIN ATOMIC INSERT INTO a VALUES (1); DELETE FROM a; END'],
    ['OR REPLACE PROCEDURE', 'CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC DELETE FROM a; END'],
    ['with CASE', `${head} BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END`],
    ['with nested CASE', `${head} BEGIN ATOMIC SELECT CASE WHEN a THEN CASE WHEN b THEN 1 END END; SELECT 2; END`],
    ['with CASE in parentheses', `${head} BEGIN ATOMIC SELECT (CASE WHEN a THEN 1 END); SELECT 2; END`],
    ['with a word in a string', `${head} BEGIN ATOMIC SELECT 'END'; SELECT 2; END`],
    ['with a quoted identifier', `${head} BEGIN ATOMIC SELECT 1 AS "end"; SELECT 2; END`],
  ])('%s', (_, sql) => {
    expect(split(`${sql}; SELECT 3`)).toEqual([sql, 'SELECT 3']);
  });

  it('a CASE among the defaults of parameters opens no body', () => {
    const sql = `CREATE FUNCTION f(a int DEFAULT CASE WHEN true THEN 1 END) RETURNS int LANGUAGE sql AS 'SELECT 1'`;
    expect(split(`${sql}; SELECT 3`)).toEqual([sql, 'SELECT 3']);
  });

  it('BEGIN and CASE elsewhere open no body', () => {
    expect(split('BEGIN; SELECT CASE WHEN a THEN 1 END; END')).toEqual([
      'BEGIN',
      'SELECT CASE WHEN a THEN 1 END',
      'END',
    ]);
    expect(split('CREATE VIEW v AS SELECT CASE WHEN a THEN 1 END; SELECT 2')).toHaveLength(2);
  });
});

describe('splitStatements › what never ends takes the rest, and nothing is lost', () => {
  it.each([
    ["'", "SELECT 'a; SELECT 2;"],
    ["E'", "SELECT E'a\\'; SELECT 2;"],
    ['"', 'SELECT "a; SELECT 2;'],
    ['$$', 'SELECT $$a; SELECT 2;'],
    ['$a$', 'SELECT $a$ a; $$ SELECT 2;'],
    ['(', 'SELECT (1; SELECT 2;'],
    ['BEGIN ATOMIC', 'CREATE FUNCTION f() BEGIN ATOMIC SELECT 1; SELECT 2;'],
    ["a backslash at the end of E'", "SELECT E'a\\"],
  ])('%s', (_, sql) => {
    expect(split(sql)).toEqual([sql]);
  });

  it('an open comment after a statement is of it; alone it is nothing', () => {
    expect(split('SELECT 1 /* a; /* b */ c;')).toEqual(['SELECT 1 /* a; /* b */ c;']);
    expect(split('SELECT 1; /* a; SELECT 2;')).toEqual(['SELECT 1']);
  });
});

describe('splitStatements › keyword', () => {
  it('is the first word in lower case', () => {
    expect(keywords('CREATE TABLE a (); /* x */ Insert INTO a; -- y\ncommit;(SELECT 1); "x"; 1; ')).toEqual([
      'create',
      'insert',
      'commit',
      'select',
      '',
      '',
    ]);
  });
});

/** Pieces of SQL that hold everything but a top-level semicolon. */
const tokens = fc.constantFrom(
  'SELECT',
  'a',
  'BEGIN',
  'END',
  'case',
  '42',
  '+',
  ',',
  '"q;"',
  '"d""q;"',
  "'s;'",
  "'d''q;'",
  "E'\\';'",
  '$$;$$',
  '$t$;$$;$t$',
  '(a;b)',
  '((;))',
  "(';')",
  '/*;*/',
  '/*/*;*/;*/',
  '--;\n',
  '$1',
  'a$b',
  'größe',
  '😀',
  "'😀;'",
);
const statements = fc
  .array(tokens, { minLength: 1, maxLength: 8 })
  .map((parts) => parts.join(' '))
  .filter((sql) => split(sql).length === 1 && !/^(?:\/\*|--)/.test(sql));
const gaps = fc
  .array(fc.constantFrom(' ', '\n', '/*#;*/', '--#;\n', ';'), { maxLength: 4 })
  .map((parts) => parts.join(''));

describe('splitStatements › for any script', () => {
  it('gives back the statements that it was put together from', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(gaps, statements)), gaps, (parts, last) => {
        const sql = parts.map(([gap, statement]) => `${gap}${statement};`).join('') + last;
        expect(split(sql)).toEqual(parts.map(([, statement]) => statement.trim()));
      }),
    );
  });

  it('leaves out nothing but blanks, comments and semicolons', () => {
    // Only comments hold '#', so that what stands between two statements is easy to judge.
    const soup = fc.constantFrom(
      ...'SELECT|a|BEGIN|CREATE|FUNCTION|END|1|(|)|;|;| |\n|/*#*/|/*/*#*/#*/|--#\n|\'a;\'|$$b;$$|"c;"'.split('|'),
    );
    fc.assert(
      fc.property(
        fc.array(soup).map((parts) => parts.join(' ')),
        (sql) => {
          let at = 0;
          for (const { start, end } of splitStatements(sql)) {
            expect(start).toBeGreaterThanOrEqual(at);
            expect(end).toBeGreaterThan(start);
            expect(sql.slice(at, start)).toMatch(/^[\s;#*/-]*$/);
            at = end;
          }
          expect(sql.slice(at)).toMatch(/^[\s;#*/-]*$/);
        },
      ),
    );
  });

  it('never throws, and never stands still', () => {
    const chars = fc.string({
      unit: fc.constantFrom("'", '"', '$', '/', '*', '-', 'E', '\\', '(', ')', ';', '\n', 'a', '1', '\ud800'),
    });
    fc.assert(
      fc.property(chars, (sql) => {
        const found = [...splitStatements(sql)];
        expect(found.every(({ start, end }) => 0 <= start && start < end && end <= sql.length)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("cuts the shipped migrations where PostgreSQL's own parser does", async () => {
    for (const name of readdirSync('migrations').filter((file) => file.endsWith('.sql'))) {
      const sql = readSql(join('migrations', name));
      const parsed = await parseScript(sql, name);
      expect([...splitStatements(sql)].map(({ start }) => start)).toEqual(parsed.map(({ start }) => start));
    }
  });
});

describe('splitStatements › 20 MB in one piece take no stack and little time', () => {
  const MEGABYTES = 20 * 1024 * 1024;
  it.each([
    ['a string', `'${'x'.repeat(MEGABYTES)}'`],
    ['a string of doubled quotes', `'${"''".repeat(MEGABYTES / 2)}'`],
    ['an E string of escapes', `E'${'\\n'.repeat(MEGABYTES / 2)}'`],
    ['a dollar quote', `$$${'x;'.repeat(MEGABYTES / 2)}$$`],
    ['a comment', `/*${'x;'.repeat(MEGABYTES / 2)}*/1`],
    ['a name', 'x'.repeat(MEGABYTES)],
    ['blanks', `1${' '.repeat(MEGABYTES)}`],
  ])('%s', (_, literal) => {
    const sql = `SELECT ${literal}; SELECT 2`;
    const started = performance.now();
    expect([...splitStatements(sql)].map(({ end }) => end)).toEqual([7 + literal.length, sql.length]);
    // It takes one second at most; what goes over the text again and again would take hours.
    expect(performance.now() - started).toBeLessThan(30_000);
  });
});

describe('lineAt and excerpt', () => {
  it.each([
    [0, 1],
    [1, 1],
    [2, 2],
    [3, 3],
    [4, 3],
    [99, 3],
  ])('offset %i of "a\\n\\nb" is in line %i', (offset, line) => {
    expect(lineAt('a\n\nb', offset)).toBe(line);
  });

  it('cuts a long statement to a length that can be read', () => {
    expect(excerpt('  SELECT 1  ')).toBe('SELECT 1');
    expect(excerpt('x'.repeat(300))).toHaveLength(300);
    expect(excerpt('x'.repeat(301))).toBe(`${'x'.repeat(299)}…`);
  });
});
