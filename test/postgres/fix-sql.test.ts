import { beforeAll, describe, expect, it } from 'vitest';
import type { Client } from '../../src/postgres/client.js';
import { capture } from '../../src/schema/capture.js';
import { diff } from '../../src/schema/diff.js';
import { fixStatements } from '../../src/schema/fix.js';
import { introspectHere } from '../../src/schema/introspect.js';
import { DRIFTS } from '../fixtures/schema/drifts.js';
import { createDatabase, OLDEST_AND_NEWEST, type TestDatabase } from '../support/database.js';

/** With what a person may decide to drop. */
const withDrops = (sql: string) => sql.replace(/^-- (?=(?:DROP|ALTER) )/gm, '').replace(/^(BEGIN|COMMIT);$/gm, '');
const PUBLIC_FIRST = 'SET LOCAL search_path = public, pg_temp';

describe.each(OLDEST_AND_NEWEST)('PostgreSQL %i › captured, changed by hand, and brought back', (version) => {
  let db: TestDatabase;
  let reader: string;
  beforeAll(async () => {
    db = await createDatabase(version);
    reader = `reader_${db.name}`;
    await db.superQuery(`CREATE ROLE ${reader}`);
  });

  const known = Object.entries(DRIFTS).filter(([, { from = 0, until = 99 }]) => from <= version && version <= until);
  it.each(known)('%s', async (_, { made, drifts }) => {
    const named = (sql: string) => sql.replace(/\breader\b/g, reader);
    const connection = await db.connect();
    const client = connection as Client;
    const run = (sql: string, told: string) =>
      connection.query(sql).catch((error) => expect.fail(`${told}: ${error.message}\n${sql}`));
    await run(`BEGIN; ${PUBLIC_FIRST}; ${named(made)}`, 'making it');
    const expected = await introspectHere(client);
    await run(`ROLLBACK; BEGIN; ${PUBLIC_FIRST}`, 'beginning anew');
    await run(capture(expected, 'a database').sql, 'what was captured');
    expect(await introspectHere(client)).toEqual(expected);
    for (const drift of drifts) {
      await run(`SAVEPOINT before; ${PUBLIC_FIRST}; ${named(drift)}`, 'the change');
      const actual = await introspectHere(client);
      const differences = diff(expected, actual);
      expect(differences, drift).not.toEqual([]);
      const sql = withDrops(fixStatements(differences, expected, actual));
      await run(sql, drift);
      expect(diff(expected, await introspectHere(client)), `${drift}\n${sql}`).toEqual([]);
      await run('ROLLBACK TO before', 'going back');
    }
    await connection.end();
  });
});

it('a foreign key whose triggers are disabled is drift, and enforced again', async () => {
  const db = await createDatabase();
  await db.query(
    'CREATE TABLE t (id integer PRIMARY KEY DEFERRABLE); CREATE TABLE u (id integer PRIMARY KEY); CREATE TABLE r (id integer REFERENCES u)',
  );
  const client = await db.connect();
  const look = () => introspectHere(client as Client);
  await client.query('BEGIN');
  const expected = await look();
  await client.query('COMMIT');
  await db.superQuery('ALTER TABLE r DISABLE TRIGGER ALL; ALTER TABLE t DISABLE TRIGGER ALL');
  await client.query('BEGIN');
  const actual = await look();
  const differences = diff(expected, actual);
  expect(differences.map(({ object, property }) => `${property} ${object}`)).toEqual([
    'disabled constraint public.r.r_id_fkey',
    'disabled constraint public.t.t_pkey',
  ]);
  await client.query(withDrops(fixStatements(differences, expected, actual)));
  expect(diff(expected, await look())).toEqual([]);
  await client.end();
});

it('a new value of an enum and a column that has it as its default: one script brings both', async () => {
  const db = await createDatabase();
  await db.query("CREATE TYPE mood AS ENUM ('calm'); CREATE TYPE empty AS ENUM (); CREATE TABLE t (m mood)");
  const client = await db.connect();
  const look = async () => {
    await client.query('BEGIN');
    const schema = await introspectHere(client as Client);
    await client.query('COMMIT');
    return schema;
  };
  const actual = await look();
  await db.query("ALTER TYPE mood ADD VALUE 'busy'; ALTER TYPE empty ADD VALUE 'some'");
  await db.query("ALTER TABLE t ALTER m SET DEFAULT 'busy'");
  const expected = await look();
  await db.query(
    "DROP TABLE t; DROP TYPE mood; DROP TYPE empty; CREATE TYPE mood AS ENUM ('calm'); CREATE TYPE empty AS ENUM (); CREATE TABLE t (m mood)",
  );
  // As psql sends it: a statement after the other.
  for (const sql of fixStatements(diff(expected, actual), expected, actual).split(/;\n/)) await client.query(sql);
  expect(diff(expected, await look())).toEqual([]);
  await client.end();
});
