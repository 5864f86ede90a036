import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as library from '../../src/index.js';
import { RULES } from '../../src/lint/lint.js';
import { readMigrations } from '../../src/migrations/files.js';
import { type Case, filesOf, HAZARDS, SAFE } from '../fixtures/lint/cases.js';
import { folder } from '../support/folder.js';

async function findings(files: Record<string, string>, ...names: string[]) {
  const path = folder(files);
  const result = await library.lint({
    files: names.map((name) => join(path, name)),
    ...(names.length ? {} : { migrations: path }),
  });
  expect(result.error).toBeUndefined();
  return result.findings ?? [];
}

const ofCase = (entry: Case) => findings(filesOf(entry), '0002_case.sql');
const rulesOf = (found: { rule: string }[]) => found.map(({ rule }) => rule);

describe('lint › hazards and their safe variants', () => {
  it.each(HAZARDS.map((entry) => [entry.rule, entry] as const))('%s is found', async (rule, entry) => {
    const found = await ofCase(entry);
    expect(rulesOf(found), entry.sql).toContain(rule);
    for (const finding of found) {
      expect(finding.why.length * finding.safe.length).toBeGreaterThan(0);
      expect(finding.line).toBeGreaterThan(0);
    }
  });

  it('at least forty of each, and every rule is found by one and passed by one', () => {
    expect([HAZARDS.length, SAFE.length]).toSatisfy((counts: number[]) => counts.every((n) => n >= 40));
    const ids = RULES.map(({ id }) => id);
    expect(ids.filter((id) => !HAZARDS.some(({ rule }) => rule === id))).toEqual([]);
    expect(HAZARDS.filter(({ rule }) => !ids.includes(rule))).toEqual([]);
  });

  it.each(SAFE.map((entry) => [entry.rule, entry] as const))('the safe way for %s has no finding', async (_, entry) => {
    expect(await ofCase(entry), entry.sql).toEqual([]);
  });

  it('nothing but what was planted is found, but for what a hazard brings along', async () => {
    const more: Record<string, string[]> = {
      'concurrently-in-transaction': [],
      'vacuum-full': [],
    };
    for (const entry of HAZARDS) {
      const others = rulesOf(await ofCase(entry)).filter(
        (rule) => rule !== entry.rule && !more[entry.rule]?.includes(rule),
      );
      expect(others, entry.sql).toEqual([]);
    }
  });
});

describe('lint › what it knows', () => {
  it('a suppression for an upgrade is used also where all is one first installation; one for nothing is not', async () => {
    const files = {
      '0001_a.sql': 'CREATE TABLE a (x integer);',
      '0001_a.down.sql': '-- nothing',
      '0002_b.sql': `-- kasm-db: lint-ignore rename-column pods are stopped for it
ALTER TABLE a RENAME COLUMN x TO y;
-- kasm-db: lint-ignore drop-table nobody has it
CREATE TABLE b (x integer);`,
      '0002_b.down.sql': '-- nothing',
    };
    const expected = [expect.objectContaining({ rule: 'suppression-unused', line: 3 })];
    expect(await findings(files)).toEqual(expected);
    expect(await findings(files, '0002_b.sql')).toEqual(expected);
  });

  it('what PostgreSQL refuses in a transaction is found in down migrations too, and nothing else of what they do', async () => {
    const files = {
      '0001_a.sql': 'CREATE TABLE a (x integer);\nCREATE INDEX a_x ON a (x);',
      '0001_a.down.sql': 'DROP TABLE a;\n-- the index\nDROP INDEX CONCURRENTLY a_x;\nVACUUM;',
      '0002_b.sql': '-- kasm-db: no-transaction\nCREATE INDEX CONCURRENTLY a_y ON a (x);',
      '0002_b.down.sql': '-- kasm-db: no-transaction\nDROP INDEX CONCURRENTLY a_y;',
    };
    const expected = [3, 4].map((line) =>
      expect.objectContaining({
        rule: 'concurrently-in-transaction',
        file: expect.stringContaining('0001_a.down.sql'),
        line,
      }),
    );
    expect(await findings(files)).toEqual(expected);
  });

  const base = filesOf({ rule: '', sql: 'SELECT 1;' });

  it('our own migrations have no finding, as one first installation', async () => {
    const result = await library.lint({ env: {} });
    expect(result).toMatchObject({ outcome: 'ok', exitCode: 0, findings: [] });
  });

  it("tables of earlier pending migrations are nobody's yet; those of applied ones are in use", async () => {
    const files = {
      ...base,
      '0002_case.sql': 'CREATE TABLE hosts (id uuid, name text);\n',
      '0003_index.sql':
        'CREATE INDEX hosts_name ON hosts (name);\nDROP INDEX hosts_name;\nALTER TABLE hosts DROP COLUMN name;\n',
      '0003_index.down.sql': '-- Nothing.\n',
    };
    expect(await findings(files)).toEqual([]);
    expect(await findings(files, '0002_case.sql', '0003_index.sql')).toEqual([]);
    expect(rulesOf(await findings(files, '0003_index.sql'))).toEqual([
      'index-not-concurrent',
      'drop-index-not-concurrent',
      'drop-column',
    ]);
    const path = folder(files);
    const since = (applied: string) => library.lint({ migrations: path, applied });
    expect((await since('0001_base')).findings).toEqual([]);
    expect((await since('0002_case')).findings).toHaveLength(3);
    expect((await since('0003_indx')).error?.hint).toContain('0003_index');
  });

  it('SET NOT NULL after a CHECK that an earlier migration has validated', async () => {
    const steps = {
      ...base,
      '0002_case.sql': 'ALTER TABLE machines ADD CONSTRAINT named CHECK (name IS NOT NULL) NOT VALID;\n',
      '0003_b.sql': 'ALTER TABLE machines VALIDATE CONSTRAINT named;\n',
      '0003_b.down.sql': '-- Nothing.\n',
      '0004_c.sql':
        'ALTER TABLE machines ALTER COLUMN name SET NOT NULL;\nALTER TABLE machines DROP CONSTRAINT named;\n',
      '0004_c.down.sql': '-- Nothing.\n',
    };
    expect(await findings(steps, '0002_case.sql', '0003_b.sql', '0004_c.sql')).toEqual([]);
    expect(rulesOf(await findings({ ...steps, '0003_b.sql': 'SELECT 1;\n' }, '0004_c.sql'))).toEqual(['set-not-null']);
  });
});

describe('lint › suppressions', () => {
  const one = (sql: string) => ofCase({ rule: '', sql });

  it('hold for the next statement only, for their rule only, and need a reason', async () => {
    expect(rulesOf(await one('-- kasm-db: lint-ignore drop-table\nDROP TABLE areas;'))).toEqual([
      'suppression-without-reason',
      'drop-table',
    ]);
    expect(
      rulesOf(await one('-- kasm-db: lint-ignore drop-table gone since 1.17\nDROP TABLE areas;\nDROP TABLE machines;')),
    ).toEqual(['drop-table', 'second-table-lock']);
    expect(rulesOf(await one('-- kasm-db: lint-ignore drop-column a reason\nDROP TABLE areas;'))).toEqual([
      'suppression-unused',
      'drop-table',
    ]);
    expect(rulesOf(await one('SELECT 1;\n-- kasm-db: lint-ignore\nSELECT 2;'))).toEqual(['suppression-without-reason']);
  });

  it('stand anywhere without being taken for a directive, and a file rule is suppressed anywhere in the file', async () => {
    const sql = '-- kasm-db: lint-ignore missing-down it cannot be undone\nCREATE TABLE more (x integer);';
    expect(await ofCase({ rule: '', sql, noDown: true })).toEqual([]);
    const path = folder({ '0001_a.sql': 'SELECT 1;\n-- kasm-db: lint-ignore truncate a reason\nSELECT 2;\n' });
    expect(readMigrations(path)[0]).toMatchObject({ transaction: true });
  });
});

describe('lint › bad input', () => {
  it('a file that cannot be parsed: exit 2 with its line', async () => {
    const path = folder({ '0001_a.sql': 'CREATE TABLE a (x int);\n\nCREATE TABEL b (x int);\n' });
    const result = await library.lint({ migrations: path });
    expect(result).toMatchObject({ outcome: 'usage', error: { line: 3, file: join(path, '0001_a.sql') } });
  });

  it('files that are not there, or in two folders: exit 2', async () => {
    const [a, b] = [folder({ '0001_a.sql': 'SELECT 1;' }), folder({ '0001_a.sql': 'SELECT 1;' })];
    expect((await library.lint({ files: [join(a, '0002_b.sql')] })).outcome).toBe('usage');
    expect((await library.lint({ files: [join(a, '0001_a.sql'), join(b, '0001_a.sql')] })).outcome).toBe('usage');
  });

  it('what is nearly a directive, or nearly a migration, is an error and no comment', () => {
    for (const line of [
      '-- kasm-db no-transaction',
      '-- kasmdb: no-transaction',
      '-- KASM-DB: lock-timeout 2s',
      '--kasm_db: out_of_order',
    ])
      expect(() => readMigrations(folder({ '0001_a.sql': `${line}\nSELECT 1;` })), line).toThrow('nearly a directive');
    readMigrations(folder({ '0001_a.sql': '-- kasm-db runs this file in a transaction.\nSELECT 1;' }));
    expect(() => readMigrations(folder({ '0001_a.sql': 'SELECT 1;', '0002_b.SQL': 'SELECT 2;' }))).toThrow(
      'small letters',
    );
  });
});
