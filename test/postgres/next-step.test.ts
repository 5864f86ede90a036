import { beforeAll, describe, expect, it } from 'vitest';
import * as library from '../../src/index.js';
import type { Result } from '../../src/output/result.js';
import { folder } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';

const BEFORE = `CREATE TABLE users (id int PRIMARY KEY, name text);
  INSERT INTO users VALUES (1, 's3cr3t-row'), (2, 's3cr3t-row'), (3, NULL);
  CREATE VIEW names AS SELECT name FROM users; CREATE TYPE mood AS ENUM ('sad');`;

let db: TestDatabase;
beforeAll(async () => {
  db = await createDatabase();
});

/** Nothing of a migration that fails is kept: one database is enough for all. */
async function failure(sql: string): Promise<Result> {
  const dir = folder({ '0001_before.sql': BEFORE, '0002_it.sql': sql });
  const result = await library.migrate({ env: db.env, migrations: dir });
  expect(result.outcome, sql).not.toBe('ok');
  return result;
}

describe('a migration that fails › every failure has a next step', () => {
  it.each<[string, sql: string, sqlstate: string, line: number, hint: RegExp]>([
    ['VACUUM', 'SELECT 1;\nVACUUM;', '25001', 2, /begins with "-- kasm-db: no-transaction"/],
    ['CREATE INDEX CONCURRENTLY', 'CREATE INDEX CONCURRENTLY i ON users (name);', '25001', 1, /no-transaction/],
    ['CREATE DATABASE', 'SELECT 1;\nCREATE DATABASE other;', '25001', 2, /inside of one database/],
    [
      'an isolation level',
      'SELECT 1;\nSET TRANSACTION ISOLATION LEVEL SERIALIZABLE;',
      '25001',
      2,
      /^take it out.*READ COMMITTED/,
    ],
    ['DISCARD ALL', 'DISCARD ALL;', '25001', 1, /put away after it/],
    ['ALTER SYSTEM', "ALTER SYSTEM SET work_mem = '1MB';", '25001', 1, /settings of the server/],
    [
      'COMMIT in a DO block',
      'DO $$ BEGIN COMMIT; END $$;',
      '2D000',
      1,
      /COMMIT and ROLLBACK in a DO block.*no-transaction/,
    ],
    [
      'what others depend on',
      '\nDROP TABLE users;',
      '2BP01',
      2,
      /drop what depends on it first.*PostgreSQL says.*CASCADE/,
    ],
    ['a variable of psql', 'SELECT 1;\nSELECT *\nFROM :table_name;', '42601', 3, /^:table_name is a variable of psql/],
    ['a variable of psql in quotes', "SELECT :'who';", '42601', 1, /^:'who' is a variable of psql/],
    ['an open quote', "SELECT 1;\nSELECT 'open;", '42601', 2, /has no end: close it/],
    [
      'a typographic quote',
      'CREATE TABLE a (t text DEFAULT \u2018x\u2019);',
      '0A000',
      1,
      /U\+2018 at .*a quote or a dash/,
    ],
    ['a command of another client', 'SELECT 1;\nGO\nSELECT 2;', '42601', 2, /^GO is a command of SQL Server/],
    ['a no-break space', 'SELECT 1;\nCREATE TABLE\u00a0a (id int);', '42601', 2, /U\+00A0 at .*0002_it\.sql:2:13/],
    [
      'a byte order mark in mid-file',
      'SELECT 1;\n\ufeffCREATE TABLE a (id int);',
      '42601',
      2,
      /U\+FEFF at .*0002_it\.sql:2:1/,
    ],
    [
      'a DO block',
      'SELECT 1;\nDO\n$body$\nDECLARE n int;\nBEGIN\n  n := 1;\n  n := 1 / 0;\nEND $body$;',
      '22012',
      7,
      /correct the value/,
    ],
    ['a DO block that raises', "DO $$ BEGIN\n  RAISE 'come back later';\nEND $$;", 'P0001', 2, /do what it says/],
    ['a table that is not there', 'SELECT 1 FROM usres;', '42P01', 1, /an earlier migration makes it/],
    ['a column that is not there', 'SELECT nmae FROM users;', '42703', 1, /whether the name is right/],
    ['a function that is not there', 'SELECT uuid_generate_v9();', '42883', 1, /name and types are right/],
    ['a schema that is not there', 'CREATE TABLE other.a (id int);', '3F000', 1, /CREATE SCHEMA/],
    ['a table that is there', 'CREATE TABLE users (id int);', '42P07', 1, /somebody has made it already/],
    ['a type that is there', "CREATE TYPE mood AS ENUM ('a');", '42710', 1, /somebody has made it already/],
    ['doubles', 'CREATE UNIQUE INDEX i ON users (name);', '23505', 1, /make them differ first/],
    ['rows without a value', 'ALTER TABLE users ALTER name SET NOT NULL;', '23502', 1, /fill it first/],
    ['rows against a check', "ALTER TABLE users ADD CHECK (name <> 's3cr3t-row');", '23514', 1, /correct them first/],
    [
      'rows that refer to nothing',
      'CREATE TABLE a (id int PRIMARY KEY); ALTER TABLE users ADD FOREIGN KEY (id) REFERENCES a;',
      '23503',
      1,
      /correct or delete them first/,
    ],
    ['a value that does not fit', "SELECT 's3cr3t'::int;", '22P02', 1, /correct the value/],
    [
      'a new label that is used at once',
      "ALTER TYPE mood ADD VALUE 'new';\nSELECT 'new'::mood;",
      '55P04',
      2,
      /into the next migration/,
    ],
    [
      'a limit',
      `CREATE TABLE a (${Array.from({ length: 1601 }, (_, i) => `c${i} int`).join(', ')});`,
      '54011',
      1,
      /a limit of PostgreSQL/,
    ],
  ])('%s', async (_, sql, sqlstate, line, hint) => {
    const { error } = await failure(sql);
    expect(error).toMatchObject({ sqlstate, line, hint: expect.stringMatching(hint) });
    expect(error?.file).toMatch(/0002_it\.sql$/);
  });

  it('what depends on an object is named, since it is no value of a row', async () => {
    expect((await failure('DROP TABLE users;')).error?.message).toContain('view names depends on table users');
  });
});

describe('a migration that fails › what the server says is cut, since it may repeat the rest of the file', () => {
  const rest = `${"INSERT INTO users VALUES (7, 'x');\n".repeat(30_000)}-- s3cr3t-at-the-end`;
  it.each([
    ['an open quote', `SELECT 1;\nSELECT 'open;\n${rest.replaceAll("'", '')}`],
    ['an open quoted name', `SELECT 1;\nSELECT "open;\n${rest}`],
    ['an open comment', `SELECT 1;\nSELECT 1 /* open;\n${rest}`],
    ['an open dollar quote', `SELECT 1;\nSELECT $a$ open;\n${rest}`],
    ['a huge literal', `SELECT 1;\nSELECT '${'x'.repeat(900_000)} s3cr3t-at-the-end'::uuid;`],
  ])('%s', async (_, sql) => {
    const result = await failure(sql);
    expect(result).toMatchObject({
      exitCode: 7,
      error: { line: 2, sqlstate: expect.any(String), hint: expect.any(String) },
    });
    const text = JSON.stringify(result);
    expect(text.length).toBeLessThan(4000);
    expect(text).not.toContain('s3cr3t-at-the-end');
  });
});

describe('a no-transaction file', () => {
  it('a DO block that has committed a part and then fails is in doubt: each retry would repeat it', async () => {
    const own = await createDatabase();
    const dir = folder({
      '0001_a.sql': 'CREATE TABLE a (id int);',
      '0002_b.sql':
        '-- kasm-db: no-transaction\nDO $$ BEGIN\n  INSERT INTO a VALUES (1);\n  COMMIT;\n  PERFORM 1 / 0;\nEND $$;',
    });
    const first = await library.migrate({ env: own.env, migrations: dir });
    expect(first).toMatchObject({
      exitCode: 6,
      error: { line: 5, sqlstate: '22012', hint: expect.stringContaining('kasm-db repair') },
    });
    expect(first.error?.message).toMatch(/a retry would repeat it/);
    expect(await library.migrate({ env: own.env, migrations: dir })).toMatchObject({ exitCode: 6 });
    expect(await own.query('SELECT * FROM a')).toEqual([{ id: 1 }]);
  });

  it('a DO block that cannot have committed is simply run again', async () => {
    const own = await createDatabase();
    const dir = folder({ '0001_a.sql': '-- kasm-db: no-transaction\nDO $$ BEGIN PERFORM 1 / 0; END $$;' });
    for (const exitCode of [7, 7])
      expect(await library.migrate({ env: own.env, migrations: dir })).toMatchObject({ exitCode });
  });

  it('a literal that goes on behind a comment is run, up and down', async () => {
    const own = await createDatabase();
    const sql = "'one' -- it's\n  'two'";
    const dir = folder({
      '0001_a.sql': `-- kasm-db: no-transaction\nCREATE TABLE a AS SELECT ${sql} AS b;`,
      '0001_a.down.sql': `-- kasm-db: no-transaction\nCOMMENT ON TABLE a IS ${sql};\nDROP TABLE a;`,
    });
    const call = { env: own.env, migrations: dir };
    expect(await library.plan(call)).toMatchObject({ exitCode: 0 });
    expect(await library.migrate(call)).toMatchObject({ exitCode: 0 });
    expect(await own.query('SELECT * FROM a')).toEqual([{ b: 'onetwo' }]);
    expect(await library.rollback({ ...call, steps: 1, allowDataLoss: true })).toMatchObject({ exitCode: 0 });
  });
});
