import { describe, expect, it } from 'vitest';
import { EXIT_CODES } from '../../src/app/errors.js';
import * as library from '../../src/index.js';
import { lint } from '../../src/lint/lint.js';
import { locksOfFiles } from '../../src/lint/plan-locks.js';
import { parseMigration } from '../../src/migrations/directives.js';
import { readDown } from '../../src/migrations/down.js';
import { type Migration, readMigrations } from '../../src/migrations/files.js';
import { parseScript } from '../../src/postgres/parser.js';
import { blankGaps, psqlCommands } from '../../src/postgres/statements.js';
import { syntaxHint } from '../../src/postgres/syntax-hint.js';
import { folder } from '../support/folder.js';

function migrationOf(sql: string, downSql?: string): Migration {
  const path = 'migrations/0001_a.sql';
  return {
    ...parseMigration('0001_a', path, sql, downSql !== undefined),
    ...{ path, downPath: 'migrations/0001_a.down.sql', sql: async () => sql, downSql: async () => downSql },
  };
}

const linted = (sql: string, downSql = '-- nothing') => lint([migrationOf(sql, downSql)], () => true);
const planned = (sql: string, downSql?: string) => locksOfFiles([], [migrationOf(sql, downSql)]);

describe('a literal goes on behind a comment, as the server reads it', () => {
  it.each([
    ["SELECT 'a' -- one; 'two'\n  'b'"],
    ["SELECT 'a'\n-- über\n\n   -- more\n'b' AS größe"],
    ["SELECT E'a\\'' -- x\n'\\'b'"],
    ["SELECT B'1' -- x\n'0', U&'d' -- y\n'b'"],
  ])('%j is parsed, and every place stays', async (sql) => {
    const script = `CREATE TABLE a (id int);\n${sql};\nCREATE TABLE b (id int);`;
    const parsed = await parseScript(script, 'a.sql');
    expect(parsed.map(({ type }) => type)).toEqual(['CreateStmt', 'SelectStmt', 'CreateStmt']);
    expect(parsed.map(({ sql: text, start }) => script.slice(start, start + text.length) === text)).toEqual([
      true,
      true,
      true,
    ]);
    expect(Buffer.byteLength(blankGaps(script))).toBe(Buffer.byteLength(script));
    await expect(linted(script)).resolves.toEqual([]);
  });

  it('a comment in any other place is left alone', () => {
    const sql = "SELECT 'a', -- one\n'b' /* c */ || 'd' -- e\n|| 'f'";
    expect(blankGaps(sql)).toBe(sql);
  });

  it('nested comments before a statement are not of it', async () => {
    expect((await parseScript('/* a /* b */ c */ -- d\nSELECT 1;', 'a.sql'))[0]).toMatchObject({
      start: 23,
      sql: 'SELECT 1',
    });
  });
});

describe('what no server could run, or would read otherwise, is refused before anything runs, with what to do', () => {
  const cases: [sql: string, line: number, message: RegExp, hint: RegExp][] = [
    [
      'CREATE TABLE a (id int);\n\\connect other\nSELECT 1;',
      2,
      /\\connect is a command of psql/,
      /connects by its own settings/,
    ],
    ['\\i tables.sql', 1, /\\i is a command/, /put the SQL of that file here/],
    ['\\set n 5\nSELECT :n;', 1, /\\set is/, /write the values themselves/],
    ["SELECT 'a;b' AS x \\gset", 1, /\\gset is/, /write the values themselves/],
    ['\\pset border 2', 1, /\\pset/, /take it out/],
    ['\\set ON_ERROR_STOP on', 1, /\\set is/, /stops at the first error by itself/],
    ['SELECT 1 \\g\nSELECT 2', 1, /\\g is/, /end the statement with a semicolon/],
    ['\\! rm -f x', 1, /\\! is a command/, /take it out/],
    ['COPY a /* b */ FROM -- c\n stdin;\n1\n\\.\n', 1, /COPY … FROM stdin/, /--inserts/],
    ['COPY a (id) FROM stdin;\n1\n2\n\\.\n', 1, /COPY … FROM stdin/, /--inserts/],
    ["COPY a FROM STDIN WITH (FORMAT csv);\nit's\n\\.\n", 1, /COPY … FROM stdin/, /--inserts/],
    ["CREATE TABLE a (id int);\nSET client_encoding = 'LATIN1';", 2, /client_encoding changes how/, /iconv/],
    ['SET NAMES latin1;', 1, /client_encoding changes/, /UTF-8/],
    ['SET SESSION client_encoding TO win1252;', 1, /client_encoding changes/, /UTF-8/],
    ['SET standard_conforming_strings = off;', 1, /standard_conforming_strings changes/, /E'…'/],
    ["SELECT pg_catalog.set_config('client_encoding', 'LATIN1', false);", 1, /client_encoding changes/, /UTF-8/],
    ['RESET standard_conforming_strings;', 1, /standard_conforming_strings changes/, /E'…'/],
  ];
  it.each(cases)('%j', async (sql, line, message, hint) => {
    for (const look of [linted, planned]) {
      const error = await look(sql).then(
        () => undefined,
        (thrown) => thrown,
      );
      expect(error).toMatchObject({ outcome: 'usage', details: { line, file: 'migrations/0001_a.sql' } });
      expect(error.message).toMatch(message);
      expect(error.details.hint).toMatch(hint);
    }
    const error = await readDown(migrationOf('SELECT 1', sql)).catch((thrown) => thrown);
    expect(error).toMatchObject({ outcome: 'usage', details: { line, file: 'migrations/0001_a.down.sql' } });
  });

  it('what a dump sets to what it is anyway is left alone, and so are the words in texts and bodies', async () => {
    const sql = `SET client_encoding = 'UTF8';\nSET client_encoding TO DEFAULT;\nSET standard_conforming_strings = on;
      SELECT '\\connect', E'\\\\i', 'COPY a FROM stdin', $$ \\set $$ -- \\i\n;
      CREATE FUNCTION f() RETURNS int LANGUAGE sql SET client_encoding = 'LATIN1' AS 'SELECT 1';
      COPY "from stdin" TO '/tmp/x'; COPY (SELECT 1 AS "from", 2 AS stdin) TO '/tmp/x'; COPY a FROM '/from stdin';
      CREATE TABLE names (names text);`;
    await expect(linted(sql)).resolves.toEqual([]);
    expect([...psqlCommands(sql)]).toEqual([]);
  });

  it("pg_dump's \\restrict and \\unrestrict are skipped, and every line stays where it is", async () => {
    const dump =
      "\\restrict Yq8Kbc0\n\nCREATE TABLE a (note text DEFAULT '\\restrict x');\n\n\\unrestrict Yq8Kbc0\nCREATE TABLE b (id int);\n";
    const [file] = readMigrations(
      folder({ '0001_a.sql': dump, '0001_a.down.sql': '\\restrict k\nDROP TABLE a, b;\n\\unrestrict k' }),
    );
    const sql = (await file?.sql()) as string;
    expect(sql.split('\n').map((line) => line.trim())).toEqual([
      '',
      '',
      "CREATE TABLE a (note text DEFAULT '\\restrict x');",
      '',
      '',
      'CREATE TABLE b (id int);',
    ]);
    expect(sql.indexOf('CREATE TABLE b')).toBe(dump.indexOf('CREATE TABLE b'));
    expect((await file?.downSql())?.trim()).toBe('DROP TABLE a, b;');
  });
});

describe('a down script is looked at long before it is needed', () => {
  it.each([
    ['a syntax error', 'DROP TABEL a;', /a\.down\.sql:1: .*TABEL/],
    ['transaction control', '-- back\nBEGIN; DROP TABLE a; COMMIT;', /a\.down\.sql:2: BEGIN may not stand inside/],
    ['a wrong directive', '-- kasm-db: no-transactions\nDROP TABLE a;', /unknown directive|nearly a directive/],
    [
      'no-transaction beside a transactional up',
      '-- kasm-db: no-transaction\nDROP TABLE a;',
      /is no-transaction, but 0001_a itself is not/,
    ],
  ])('%s', async (_, down, message) => {
    const dir = folder({ '0001_a.sql': 'CREATE TABLE a (id int);', '0001_a.down.sql': down });
    const found = await library.lint({ migrations: dir });
    expect(found).toMatchObject({ outcome: 'usage', exitCode: EXIT_CODES.usage });
    expect(found.error?.message).toMatch(message);
    await expect(planned('CREATE TABLE a (id int);', down)).rejects.toThrow(message);
    await expect(readDown(migrationOf('CREATE TABLE a (id int);', down))).rejects.toThrow(message);
  });
});

describe('what looks like blank space and is a letter is named by code point, line and column', () => {
  it.each([
    ['SELECT 1;\nSELECT\u00a02;', 'U+00A0', 'a.sql:2:7'],
    ['\ufeffSELECT 1;', 'U+FEFF', 'a.sql:1:1'],
    ['SELECT 1;\n\n  \u200bSELECT 2;', 'U+200B', 'a.sql:3:3'],
  ])('%j', async (sql, codePoint, place) => {
    expect(syntaxHint(sql, 'a.sql')).toContain(`${codePoint} at ${place} `);
  });

  it('the parser says so, too', async () => {
    await expect(parseScript('SELECT 1;\n\ufeffCREATE TABLE a (id int);', 'a.sql')).rejects.toMatchObject({
      details: { line: 2, hint: expect.stringContaining('U+FEFF at a.sql:2:1') },
    });
  });

  it('in texts, quoted names and comments it is as it should be', () => {
    expect(syntaxHint('SELECT \'\u00a0\', "\u00a0", $$\u00a0$$ -- \u00a0\n/* \u00a0 */', 'a.sql')).toBeUndefined();
  });
});

describe('what people write for another program is told as that, by lint as by migrate', () => {
  it.each([
    ["SELECT 1;\nSELECT :'who';", /^:'who' is a variable of psql/],
    ['SELECT * FROM :"tab";', /^:"tab" is a variable of psql/],
    ['INSERT INTO a VALUES (:id);', /^:id is a variable of psql/],
    ['DELIMITER //\nSELECT 1//', /^DELIMITER is a command of MySQL/],
    ['SELECT 1;\nGO\nSELECT 2;', /^GO is a command of SQL Server/],
    ['SELECT 1;\n/\n', /is for SQL\*Plus/],
    ['# comment\nSELECT 1;', /^a comment begins with --/],
    ['CREATE TABLE `a` (id int);', /^names stand in double quotes/],
    ['CREATE TABLE {{ name }} (id int);', /^\{\{ begins a placeholder/],
    ['CREATE TABLE ${name} (id int);', /^\$\{ begins a placeholder/],
    ['SELECT 1;\n\u001a', /a character U\+001A at a\.sql:2:1/],
    ['\u2013\u2013 comment\nSELECT 1;', /U\+2013 at a\.sql:1:1 .*a quote or a dash/],
    ["SELECT 'a;\nSELECT 1;", /^the quote that begins there has no end/],
    ['SELECT "a;\nSELECT 1;', /^the quote that begins there has no end/],
    ['SELECT $a$ b;\nSELECT 1;', /^the quote that begins there has no end/],
    ['SELECT 1; /* a /* b */', /^the comment has no end/],
  ])('%j', async (sql, hint) => {
    await expect(parseScript(sql, 'a.sql')).rejects.toMatchObject({ details: { hint: expect.stringMatching(hint) } });
  });

  it('a quote that is closed is not taken for an open one', () => {
    expect(syntaxHint("SELECT 1 'a'", 'a.sql', { at: 9 })).toBeUndefined();
    expect(syntaxHint("SELECT 1 'a", 'a.sql', { at: 9 })).toMatch(/has no end/);
  });
});

describe('lint and plan take time in proportion to the statements', () => {
  it.each([
    ['INSERT', (i: number) => `INSERT INTO t (a, b) VALUES (${i}, 'it is ${i}');`],
    ['UPDATE', (i: number) => `UPDATE t SET a = ${i} WHERE b = 'it is ${i}';`],
    ['VALIDATE', (i: number) => `ALTER TABLE t VALIDATE CONSTRAINT c${i};`],
    ['lint-ignore', (i: number) => `-- kasm-db: lint-ignore drop-table nobody reads it\nDROP TABLE t${i};`],
  ])('20,000 statements: %s', async (_, statement) => {
    const sql = Array.from({ length: 20_000 }, (_, i) => statement(i)).join('\n');
    const started = process.cpuUsage();
    await linted(sql);
    await planned(sql);
    const { user, system } = process.cpuUsage(started);
    // Some 2 s for both where nothing else runs; quadratic, it was more than 20 s for each.
    expect((user + system) / 1e6).toBeLessThan(12);
  });
});
