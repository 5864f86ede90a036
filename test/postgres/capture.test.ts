import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { migrate } from '../fixtures/kasm/observe.js';
import { introspected } from '../fixtures/schema/introspected.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase, type TestDatabase, VERSIONS } from '../support/database.js';

const HARD = readFileSync(join(import.meta.dirname, '../fixtures/schema/hard.sql'), 'utf8');

/** What only later servers have. */
const NEWER: Partial<Record<number, string>> = {
  14: `CREATE TABLE newer_14 (a text COMPRESSION pglz, b integer);
    CREATE FUNCTION atomic(n integer) RETURNS integer LANGUAGE sql BEGIN ATOMIC SELECT n + 1; END;
    CREATE VIEW parts AS SELECT EXTRACT(year FROM seen) AS y, SUBSTRING(name FROM 2) AS s FROM people;
    CREATE STATISTICS on_expressions ON (b + 1), lower(a) FROM newer_14;`,
  15: `CREATE TABLE newer_15 (a integer, b integer, UNIQUE NULLS NOT DISTINCT (a), FOREIGN KEY (b) REFERENCES newer_15 (a) ON DELETE SET NULL (b));
    CREATE VIEW invoked WITH (security_invoker = true) AS SELECT a FROM newer_15;`,
  16: `CREATE VIEW is_json AS SELECT name IS JSON AS j FROM people;`,
  17: `CREATE TABLE parted (id bigint GENERATED ALWAYS AS IDENTITY, at date) PARTITION BY RANGE (at);
    CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');`,
  18: `CREATE TABLE newer_18 (a integer, twice integer GENERATED ALWAYS AS (a * 2) VIRTUAL, b integer CONSTRAINT own_name NOT NULL,
      CONSTRAINT lax CHECK (a > 0) NOT ENFORCED);
    INSERT INTO newer_18 (a, b) VALUES (1, 2);
    ALTER TABLE newer_18 ADD CONSTRAINT later NOT NULL a NOT VALID;`,
};

async function captured(db: TestDatabase): Promise<string> {
  const out = join(folder({}), '0001_baseline.sql');
  const run = await cli(['capture', '--json', '--out', out], db.env);
  expect(run.json()).toMatchObject({ outcome: 'ok' });
  return readFileSync(out, 'utf8');
}

async function applied(sql: string, like: TestDatabase): Promise<TestDatabase> {
  const db = await createDatabase(like.version);
  const run = await migrate(db, folder({ '0001_baseline.sql': sql }));
  expect(run.json().error, sql).toBeUndefined();
  return db;
}

describe.each(VERSIONS)('PostgreSQL %i › capture, apply, introspect: the same', (version) => {
  it('a schema with one of everything', async () => {
    const db = await createDatabase(version);
    await db.query(HARD);
    for (const [since, sql] of Object.entries(NEWER)) if (Number(since) <= version) await db.query(sql as string);
    const first = await introspected(db);
    const sql = await captured(db);
    const copy = await applied(sql, db);
    expect(await introspected(copy)).toEqual(first);
    expect(await captured(copy)).toBe(sql.replace(db.name, copy.name));
  });

  it("Kasm's", async () => {
    const db = await createDatabase(version);
    await migrate(db);
    const copy = await applied(await captured(db), db);
    expect(await introspected(copy)).toEqual(await introspected(db));
  });
});

describe('capture › what it says', () => {
  it('names what it leaves out: aggregates, invalid indexes; and the roles that must be there', async () => {
    const db = await createDatabase();
    await db.superQuery(`CREATE ROLE "Reader ${db.name}"`);
    await db.query(`CREATE TABLE t (a integer); INSERT INTO t VALUES (1), (1);
      CREATE AGGREGATE mine (integer) (sfunc = int4pl, stype = integer); GRANT SELECT ON t TO "Reader ${db.name}"`);
    await expect(db.query('CREATE UNIQUE INDEX CONCURRENTLY broken ON t (a)')).rejects.toThrow();
    const out = join(folder({}), 'a.sql');
    const run = await cli(['capture', '--json', '--out', out], db.env);
    expect(run.json().warnings).toEqual(['aggregate public.mine(integer) is not captured']);
    const text = readFileSync(out, 'utf8');
    expect(text).toContain('-- Left out, make it by hand: aggregate public.mine(integer)');
    expect(text).toContain(
      '-- Left out, it was invalid (a CREATE INDEX CONCURRENTLY that failed): index public.broken',
    );
    expect(text).toContain(`-- These roles must be there: Reader ${db.name}.`);
    expect(text).toContain(`GRANT SELECT ON TABLE public.t TO "Reader ${db.name}";`);
    expect(text).not.toContain('CREATE UNIQUE INDEX');
  });

  it('never writes over a file, and needs --out', async () => {
    const db = await createDatabase();
    const dir = folder({ 'there.sql': 'SELECT 1;' });
    expect((await cli(['capture', '--json', '--out', join(dir, 'there.sql')], db.env)).json()).toMatchObject({
      exitCode: 2,
    });
    expect(readFileSync(join(dir, 'there.sql'), 'utf8')).toBe('SELECT 1;');
    expect((await cli(['capture', '--json'], db.env)).json()).toMatchObject({ exitCode: 2 });
    const snapshot = await cli(['capture', '--json', '--out', join(dir, 'a.json')], db.env);
    expect(snapshot.json(), 'nothing is migrated').toMatchObject({ exitCode: 3 });
  });
});

/** Names of objects that capture leaves out, or names in a comment only; each becomes a statement where it is written as it is. */
const INJECTED = (kind: string) => `${kind}\nCREATE TABLE forged_${kind} (); --`;
it.each([13, 18] as const)('PostgreSQL %i › a name with a line break in it stays a comment', async (version) => {
  const db = await createDatabase(version);
  const name = (kind: string) => `"${INJECTED(kind)}"`;
  await db.query(`
    CREATE FUNCTION add(int, int) RETURNS int LANGUAGE sql AS 'SELECT $1 + $2';
    CREATE AGGREGATE ${name('aggregate')} (int) (SFUNC = add, STYPE = int);
    CREATE TEXT SEARCH CONFIGURATION ${name('config')} (COPY = simple);
    CREATE TABLE t (a int);
    INSERT INTO t VALUES (1), (1)`);
  await db.query(`CREATE UNIQUE INDEX CONCURRENTLY ${name('index')} ON t (a)`).catch(() => {});
  await db.superQuery(`CREATE ROLE ${name(`role_${db.name}`)}; GRANT SELECT ON t TO ${name(`role_${db.name}`)}`);
  const copies: TestDatabase[] = [];
  try {
    const sql = await captured(db);
    const [head = ''] = sql.split('SET LOCAL');
    for (const kind of ['aggregate', 'config', 'index', 'role']) expect(head).toContain(`CREATE TABLE forged_${kind}`);
    expect(head.split('\n').filter((line) => line !== '' && !line.startsWith('--'))).toEqual([]);
    copies.push(await applied(sql, db));
    expect(await copies[0]?.query("SELECT relname FROM pg_class WHERE relname ~ '^forged'")).toEqual([]);
    const fix = await cli(['verify', '--fix-sql', '--strict', '--json'], db.env);
    expect(fix.json().fixSql ?? '').not.toMatch(/^\s*CREATE TABLE forged/m);
  } finally {
    for (const made of [db, ...copies]) await made.superQuery(`REVOKE ALL ON t FROM ${name(`role_${db.name}`)}`);
    await db.superQuery(`DROP ROLE ${name(`role_${db.name}`)}`);
  }
});
