import { describe, expect, it } from 'vitest';
import { KasmDbError } from '../../src/app/errors.js';
import { parseMigration } from '../../src/migrations/directives.js';
import type { Migration } from '../../src/migrations/files.js';
import { refuseUnrunnable } from '../../src/migrations/refused.js';

function guard(sql: string): KasmDbError | undefined {
  const path = 'migrations/0001_a.sql';
  const migration: Migration = {
    ...parseMigration('0001_a', path, sql, false),
    path,
    downPath: path,
    sql: async () => sql,
    downSql: async () => undefined,
  };
  try {
    refuseUnrunnable(migration, sql);
    return undefined;
  } catch (error) {
    if (error instanceof KasmDbError) return error;
    throw error;
  }
}

describe('guard › transaction control in a migration is refused before anything runs', () => {
  it.each([
    'BEGIN',
    'BEGIN WORK',
    'BEGIN ISOLATION LEVEL SERIALIZABLE',
    'START TRANSACTION',
    'COMMIT',
    'commit and chain',
    'COMMIT PREPARED $$a$$',
    'END',
    'END TRANSACTION',
    'ROLLBACK',
    'ROLLBACK TO SAVEPOINT a',
    'ABORT',
    'SAVEPOINT a',
    'RELEASE SAVEPOINT a',
    "PREPARE TRANSACTION 'a'",
    "prepare /* x */ transaction 'a'",
    '/* now */ COMMIT',
    'COMMIT -- now',
  ])('%s', (statement) => {
    const error = guard(`CREATE TABLE a ();\n\n${statement};\nCREATE TABLE b ();`);
    expect(error).toMatchObject({
      outcome: 'usage',
      details: { file: 'migrations/0001_a.sql', line: 3, migration: '0001_a' },
    });
    expect(error?.message).toMatch(/^migrations\/0001_a\.sql:3: \w+ may not stand inside a migration$/);
    expect(error?.details.statement).toMatch(/begin|start|commit|end|rollback|abort|savepoint|release|prepare/i);
    expect(error?.details.hint).toContain('no-transaction');
  });

  it('as the first and only statement, without semicolon', () => {
    expect(guard('COMMIT')?.details.line).toBe(1);
  });

  it('after statements that end in every way', () => {
    for (const before of [
      "SELECT 'a'",
      'SELECT $$a$$',
      'SELECT "a" FROM b',
      'SELECT (1)',
      'SELECT 1 /* a */',
      "SELECT E'\\''",
    ]) {
      expect(guard(`${before}; COMMIT;`)?.outcome).toBe('usage');
    }
  });

  it('behind a string that goes on in the next line', () => {
    // PostgreSQL manual 4.1.2.1: the second part is still an E string, so its quote is an escaped one.
    expect(guard("SELECT E'a'\n'\\''; COMMIT; SELECT 'b';")?.outcome).toBe('usage');
  });
});

describe('guard › the same words elsewhere are no statements', () => {
  it.each([
    ['a string', "INSERT INTO a VALUES ('x; COMMIT;')"],
    ['an E string', "INSERT INTO a VALUES (E'\\'; COMMIT;')"],
    ['a comment', '-- COMMIT;\n/* ROLLBACK; /* BEGIN; */ */ SELECT 1'],
    ['a quoted identifier', 'CREATE TABLE "COMMIT; " ()'],
    ['an identifier', 'CREATE TABLE commit_log (rollback int, "end" int)'],
    ['a longer word', 'CREATE TABLE a ();commits'],
    ['a PL/pgSQL body', 'CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; END; $$'],
    ['a quoted body', "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS 'BEGIN PERFORM 1; END;'"],
    ['a DO block, whose COMMIT the server refuses (2D000)', 'DO $$ BEGIN COMMIT; END $$'],
    ['a SQL-standard body', 'CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END'],
    ['a rule', 'CREATE RULE r AS ON INSERT TO a DO ALSO (INSERT INTO b VALUES (1); DELETE FROM c)'],
    ['CASE … END', 'SELECT CASE WHEN true THEN 1 END'],
    ['a prepared statement', 'PREPARE transactions AS SELECT 1'],
    ['SET TRANSACTION, which ends nothing', 'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE'],
  ])('%s', (_, sql) => {
    expect(guard(`${sql};\nSELECT 1;`)).toBeUndefined();
  });

  it('a no-transaction file holds none either: each of its statements is committed by itself', () => {
    expect(guard('-- kasm-db: no-transaction\nCOMMIT;')?.details.hint).toMatch(/each statement/);
  });
});
