import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { quickStatements } from '../../src/migrator/quick.js';

describe('quickStatements › counts the statements of a file that holds nothing but simple DDL', () => {
  it.each([
    ['CREATE TABLE', 'CREATE TABLE a (x int);', 1],
    ['in any case, over lines', 'create\n  TABLE a (x int)', 1],
    ['IF NOT EXISTS', 'CREATE TABLE IF NOT EXISTS a (x int);', 1],
    ['UNLOGGED', 'CREATE UNLOGGED TABLE a (x int);', 1],
    ['CREATE INDEX', 'CREATE INDEX ON a (x);', 1],
    ['CREATE UNIQUE INDEX', 'CREATE UNIQUE INDEX i ON a (lower(x)) WHERE x IS NOT NULL;', 1],
    ['COMMENT ON', "COMMENT ON COLUMN a.x IS 'what it is for';", 1],
    ['DROP TABLE', 'DROP TABLE IF EXISTS a CASCADE;', 1],
    ['DROP INDEX', 'DROP INDEX i;', 1],
    ['several', "CREATE TABLE a (x int);\nCREATE INDEX ON a (x);\nCOMMENT ON TABLE a IS 'a; b';\nDROP TABLE b;\n", 4],
    ['no semicolon at the end', 'CREATE TABLE a (x int); CREATE TABLE b (x int)', 2],
    ['a comment at the end', 'CREATE TABLE a (x int); -- so far', 1],
    ['empty statements', ';;CREATE TABLE a (x int);;', 1],
    [
      'constraints and defaults',
      "CREATE TABLE a (x int PRIMARY KEY REFERENCES b ON DELETE CASCADE, y text DEFAULT 'é');",
      1,
    ],
    ['a dollar quote', 'COMMENT ON TABLE a IS $note$it; $$ is$note$;', 1],
    ['an identifier that holds such a word', 'CREATE TABLE offset_set (reset_at date, "as_of" date);', 1],
    ['a partition of its own', 'CREATE TABLE a (x int) PARTITION BY RANGE (x);', 1],
    ['such a word in a string', "COMMENT ON TABLE a IS 'do not use; it''s set';", 1],
    ['such a word in a comment', "-- as the manual's says\nCREATE TABLE a (x int);", 1],
    ['such a word as a name', 'CREATE TABLE "end" ("set" int);', 1],
    ['a literal that goes on behind a comment', "COMMENT ON TABLE a IS 'x' -- it's set\n'y'; DROP TABLE b;", 2],
    [
      'a foreign key',
      'ALTER TABLE a ADD CONSTRAINT a_x_fkey\n  FOREIGN KEY (x, y) REFERENCES public.b (x, y) ON DELETE CASCADE;',
      1,
    ],
    ['comments alone', '-- nothing yet\n/* nor here */\n', 0],
    ['nothing', '', 0],
  ])('%s', (_, sql, statements) => {
    expect(quickStatements(sql)).toBe(statements);
  });
});

describe('quickStatements › is undefined for a file with anything else in it', () => {
  it.each([
    ['CREATE TABLE AS', 'CREATE TABLE a AS SELECT f();'],
    ['CREATE TABLE AS, without a blank', 'CREATE TABLE a(x)AS(TABLE b)'],
    ['CREATE TABLE AS, the word between comments', 'CREATE TABLE a /**/AS/**/ TABLE b'],
    ['CREATE TABLE AS EXECUTE', 'CREATE TABLE a AS EXECUTE p;'],
    ['a temporary table', 'CREATE TEMP TABLE a (x int);'],
    ['a temporary table, in full', 'CREATE LOCAL TEMPORARY TABLE a (x int);'],
    ['what is done at COMMIT', 'CREATE TABLE pg_temp.a (x int) ON COMMIT DROP;'],
    ['ALTER TABLE', 'ALTER TABLE a ADD COLUMN y int;'],
    [
      'a foreign key and more',
      'ALTER TABLE a ADD CONSTRAINT b FOREIGN KEY (x) REFERENCES c (x), ADD COLUMN y int DEFAULT f();',
    ],
    ['a check', 'ALTER TABLE a ADD CONSTRAINT b CHECK (f(x));'],
    ['a column of a type that is computed', 'ALTER TABLE a ALTER COLUMN x TYPE int USING f(x);'],
    ['ALTER TABLE behind CREATE TABLE', 'CREATE TABLE a (x int); ALTER TABLE a ADD COLUMN y int;'],
    ['INSERT', 'CREATE TABLE a (x int); INSERT INTO a VALUES (1);'],
    ['SELECT', 'SELECT 1;'],
    ['VALUES', 'CREATE TABLE a (x int); VALUES (f());'],
    ['WITH', 'CREATE TABLE a (x int); WITH b (x) AS (TABLE a) TABLE b;'],
    ['a partition, whose bounds are computed', 'CREATE TABLE p PARTITION OF a FOR VALUES FROM (f()) TO (g());'],
    ['a function', 'CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1;'],
    ['a view', 'CREATE VIEW v (x) AS TABLE a;'],
    ['a schema', 'CREATE SCHEMA s CREATE TABLE a (x int);'],
    ['an extension', 'CREATE EXTENSION hstore;'],
    ['a trigger', 'CREATE TRIGGER t BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION f();'],
    ['SET', 'SET search_path = a;'],
    ['RESET', 'RESET ALL;'],
    ['DO', 'DO $$ BEGIN PERFORM 1; END $$;'],
    ['CALL', 'CALL p();'],
    ['DEALLOCATE', 'DEALLOCATE ALL;'],
    ['DISCARD', 'DISCARD PLANS;'],
    ['GRANT', 'CREATE TABLE a (x int); GRANT ALL ON a TO b;'],
    ['LOCK', 'LOCK TABLE a;'],
    ['ABORT', 'CREATE TABLE a (x int); ABORT;'],
    ['SAVEPOINT', 'CREATE TABLE a (x int); SAVEPOINT s;'],
    ['DROP of something else', 'DROP SCHEMA a CASCADE;'],
    ['a misspelt statement', 'CREATE TABEL a (x int);'],
    ['a psql command', '\\i other.sql'],
  ])('%s', (_, sql) => {
    expect(quickStatements(sql)).toBeUndefined();
  });

  // Where it stands is what a scanner may get wrong, and nothing is lost but a message.
  it.each([
    ['in a foreign key', 'CREATE TABLE a (x int REFERENCES b ON DELETE SET NULL);'],
    ['in a string of a text with a backslash', "COMMENT ON TABLE a IS E'do not use\\n';"],
    ['in a string that never ends', "COMMENT ON TABLE a IS 'do not use;"],
    ['in a dollar quote', 'COMMENT ON TABLE a IS $$as it was$$;'],
    ['in a line comment of a text with another', '/* */ -- as the manual says\nCREATE TABLE a (x int);'],
    ['in a block comment', 'CREATE TABLE a (x int); /* ABORT; */'],
  ])('one of the words that matter, %s', (_, sql) => {
    expect(quickStatements(sql)).toBeUndefined();
  });

  it.each([
    ['a literal goes on behind a comment', "COMMENT ON TABLE a IS E'x' -- y\n'\\''; ALTER TABLE a RENAME TO b; --'"],
    ['a literal goes on in the next line', "COMMENT ON TABLE a IS E'x'\n'\\''; ALTER TABLE a RENAME TO b; --'"],
  ])('for the server, where %s', (_, sql) => {
    expect(quickStatements(sql)).toBeUndefined();
  });
});

/** Statements of another kind, with what follows their first words at will. */
const OTHERS = [
  'ALTER TABLE a ADD COLUMN y int',
  'INSERT INTO a VALUES (1)',
  'UPDATE a SET x = 1',
  'DELETE FROM a',
  'TRUNCATE a',
  'SELECT 1',
  'CREATE TABLE b AS TABLE a',
  'CREATE TEMP TABLE b (x int)',
  'CREATE VIEW v AS TABLE a',
  "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
  'CREATE SEQUENCE s',
  'CREATE TYPE t AS (x int)',
  'DROP VIEW v',
  'SET ROLE b',
  'RESET ROLE',
  'DO $$ BEGIN END $$',
  'CALL p()',
  'VALUES (1)',
  'LOCK TABLE a',
  'NOTIFY n',
  'LISTEN n',
  'COMMIT',
  'ROLLBACK',
  'ABORT',
  'SAVEPOINT s',
  'DEALLOCATE ALL',
  'EXECUTE p',
  'VACUUM a',
  'GRANT SELECT ON a TO b',
];
const SIMPLE = [
  'CREATE TABLE t (x int)',
  "CREATE TABLE t (x text DEFAULT 'a;b')",
  'CREATE UNLOGGED TABLE t ("a;b" int)',
  'CREATE INDEX ON t (x)',
  'CREATE UNIQUE INDEX i ON t (lower(x))',
  "COMMENT ON TABLE t IS E'it\\'s; so'",
  'COMMENT ON TABLE t IS $q$; \' " -- /* $q$',
  'DROP TABLE t',
  'DROP INDEX i',
];
const gap = fc
  .array(fc.constantFrom(' ', '\n', '\t', '-- a note;\n', "/* it's; /* nested */ */", ';'), { maxLength: 4 })
  .map((parts) => parts.join(''));
const cased = (sql: fc.Arbitrary<string>) =>
  fc.tuple(sql, fc.boolean()).map(([s, lower]) => (lower ? s.toLowerCase() : s));
const script = (statements: string[], gaps: string[]) =>
  statements.map((statement, i) => `${gaps[i % gaps.length] ?? ''}${statement};`).join('\n') + (gaps.at(-1) ?? '');

describe('quickStatements › of any script', () => {
  const simple = fc.array(cased(fc.constantFrom(...SIMPLE)), { maxLength: 6 });
  const gaps = fc.array(gap, { maxLength: 4 });

  it('simple statements alone are counted', () => {
    fc.assert(
      fc.property(simple, gaps, (statements, between) => {
        expect(quickStatements(script(statements, between))).toBe(statements.length);
      }),
    );
  });

  it('a statement of another kind anywhere makes it not quick', () => {
    fc.assert(
      fc.property(simple, gaps, cased(fc.constantFrom(...OTHERS)), fc.nat(), (statements, between, other, at) => {
        const mixed = [...statements];
        mixed.splice(at % (statements.length + 1), 0, other);
        expect(quickStatements(script(mixed, between))).toBeUndefined();
      }),
    );
  });
});
