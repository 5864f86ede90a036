import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { migrate } from '../fixtures/kasm/observe.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase, type TestDatabase, type Version } from '../support/database.js';

const SCHEMA = `CREATE TABLE forms (
  day date DEFAULT '2020-04-03' CHECK (day > '2019-12-31'), at timestamptz DEFAULT '2020-04-03 12:13:14.5+02', plain timestamp DEFAULT '2020-12-31 23:59:59',
  span interval DEFAULT '1 year 2 mons -3 days +04:05:06', back interval DEFAULT '-1 days -02:03:04', bytes bytea DEFAULT '\\x00ff5c27',
  path text DEFAULT 'C:\\new' CHECK (path <> '\\' AND path ~ '^\\w+\\\\'), single real DEFAULT 0.1, double float8 DEFAULT 0.1, third float8 DEFAULT 1.0::float8 / 3,
  nothing text[] DEFAULT '{NULL,"a\\\\b"}', doc xml DEFAULT '<a b="c"/>', part xml DEFAULT 'text <a/>', span_of daterange DEFAULT '[2020-02-01,2020-03-04)',
  "order" int DEFAULT 1, name text COLLATE "C");
CREATE VIEW seen AS SELECT day, at, "order", path || '\\n' AS p, span * 2 AS s, '2020-01-02'::date AS d, name IS NULL AS n FROM forms WHERE day > '2020-05-06' AND at < '2021-01-01 00:00:00+00';
CREATE TABLE parts (at timestamptz, day date) PARTITION BY RANGE (day);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2020-02-01') TO ('2020-03-04');
CREATE INDEX forms_day ON forms (day) WHERE span > '1 day 02:00:00' AND bytes <> '\\xdead';
CREATE FUNCTION f(d date DEFAULT '2020-04-03', t text DEFAULT '\\') RETURNS text LANGUAGE sql AS $$ SELECT '\\' || d $$;
COMMENT ON TABLE forms IS 'back\\slash';
CREATE POLICY p ON forms USING (day = '2020-04-03'); CREATE DOMAIN dom AS interval DEFAULT '-1 year' CHECK (VALUE > '-2 years');`;

/** Set for the login, as on a host or by an administrator long ago; the values are none that a server has by itself. */
const STRINGS: Record<string, string> = {
  DateStyle: 'German, DMY',
  TimeZone: 'Asia/Kathmandu',
  extra_float_digits: '-5',
  search_path: '"$user", elsewhere',
  bytea_output: 'escape',
  IntervalStyle: 'sql_standard',
  lc_monetary: 'C',
};

/** Says how statements end and who is told, nothing of what is printed; what cannot be set for a role. */
const NOT_MEANT = /^(debug_|enable_|log_|geqo|jit|exit_on_error|transaction_|client_min_messages|in_hot_standby|ssl)/;

async function turnEverything(db: TestDatabase, round: number): Promise<string[]> {
  const settings = await db.query<{ name: string; setting: string; vartype: string; values: string[] | null }>(
    "SELECT name, setting, vartype, enumvals AS values FROM pg_settings WHERE context = 'user' AND vartype IN ('bool', 'enum') ORDER BY name",
  );
  const turned: [string, string][] = settings
    .filter(({ name }) => !NOT_MEANT.test(name) && !(name in STRINGS))
    .map(({ name, setting, vartype, values }) => {
      const others =
        vartype === 'bool' ? [setting === 'on' ? 'off' : 'on'] : (values ?? []).filter((value) => value !== setting);
      return [name, others[round % others.length] as string];
    });
  const done: string[] = [];
  for (const [name, value] of [...turned, ...Object.entries(STRINGS)]) {
    const value_ = name === 'search_path' || name === 'DateStyle' ? value : `'${value}'`;
    await db
      .superQuery(`ALTER ROLE ${db.user} SET ${name} = ${value_}`)
      .then(() => done.push(name))
      .catch(() => {});
  }
  return done;
}

it.each<Version>([
  13, 18,
])("PostgreSQL %i › whatever the session's settings are, capture writes the same, verify says the same, and the file makes the same", async (version) => {
  const db = await createDatabase(version);
  const dir = folder({ '0001_forms.sql': SCHEMA });
  expect((await migrate(db, dir)).json().error).toBeUndefined();
  const files = folder({});
  const captured = async (of: TestDatabase, name: string) => {
    const out = join(files, name);
    const run = await cli(['capture', '--json', '--migrations', dir, '--out', out], of.env);
    expect(run.json()).toMatchObject({ exitCode: 0 });
    return readFileSync(out, 'utf8').replace(of.name, 'it');
  };
  const snapshot = join(dir, 'schema.snapshot.json');
  expect((await cli(['capture', '--json', '--migrations', dir, '--out', snapshot], db.env)).code).toBe(0);
  const before = await captured(db, 'plain.sql');
  expect(before).toContain("'2020-04-03'");
  for (const round of [0, 1]) {
    const names = await turnEverything(db, round);
    expect(names).toEqual(
      expect.arrayContaining(['quote_all_identifiers', 'standard_conforming_strings', 'DateStyle']),
    );
    expect(await captured(db, `turned-${round}.sql`)).toBe(before);
    const run = await cli(['verify', '--json', '--migrations', dir], db.env);
    expect(run.json(), run.stdout.slice(0, 1000)).toMatchObject({ exitCode: 0, differences: [] });
    // Applied under the same settings, it makes the same.
    const copy = await createDatabase(version);
    await turnEverything(copy, round);
    expect((await migrate(copy, folder({ '0001_forms.sql': before }))).json().error).toBeUndefined();
    expect(await captured(copy, `copy-${round}.sql`)).toBe(before);
  }
});
