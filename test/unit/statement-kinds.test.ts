import { expect, it } from 'vitest';
import { parseScript } from '../../src/postgres/parser.js';
import { ifExists, isSessionSetting } from '../../src/postgres/statement-kinds.js';

const first = async (sql: string) => {
  const [statement] = await parseScript(sql, 'a test');
  if (!statement) throw new Error('it holds no statement');
  return statement;
};

it.each([
  'TABLE a, s.b CASCADE',
  'INDEX CONCURRENTLY i',
  '/* the old */ MATERIALIZED -- one\n VIEW v',
  'FOREIGN TABLE t',
  'FOREIGN DATA WRAPPER w',
  'EVENT TRIGGER e',
  'TEXT SEARCH CONFIGURATION c',
  'ACCESS METHOD m',
  'OPERATOR CLASS c USING btree',
  'OPERATOR FAMILY f USING btree',
  'OPERATOR + (int, int)',
  'PROCEDURAL LANGUAGE l',
  'TRIGGER x ON t',
  'CAST (text AS int)',
  'AGGREGATE a (*)',
  'FUNCTION "concurrently"()',
])('DROP %s with IF EXISTS is the same DROP', async (what) => {
  const statement = await first(`DROP ${what}`);
  const lenient = await first(ifExists(statement));
  const plain = ({ node }: typeof statement) =>
    JSON.stringify({ ...node, missing_ok: true }).replaceAll(/"location":\d+,?/g, '');
  expect(lenient.node.missing_ok).toBe(true);
  expect(plain({ ...lenient, node: { ...lenient.node } }).length).toBe(plain(statement).length);
  expect(ifExists(lenient)).toBe(lenient.sql);
});

it('other statements stay as they are', async () => {
  const statement = await first('ALTER TABLE t DROP COLUMN c');
  expect(ifExists(statement)).toBe(statement.sql);
});

it.each([
  ['SET search_path = s', true],
  ['RESET ALL', true],
  ["SELECT pg_catalog.set_config('search_path', '', false)", true],
  ["SELECT set_config('a.b', 'c', false), set_config('d.e', 'f', false)", true],
  ['SET LOCAL search_path = s', false],
  ["SELECT set_config('a.b', x, false) FROM t", false],
  ["SELECT set_config('a.b', 'c', false), f()", false],
  ['SELECT 1', false],
  ["VALUES (set_config('a.b', 'c', false))", false],
])('%s lasts for the session: %s', async (sql, lasts) => {
  expect(isSessionSetting(await first(sql))).toBe(lasts);
});
