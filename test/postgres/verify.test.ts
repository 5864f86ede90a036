import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Client } from '../../src/postgres/client.js';
import { diff } from '../../src/schema/diff.js';
import { fixStatements } from '../../src/schema/fix.js';
import { introspectHere } from '../../src/schema/introspect.js';
import type { Schema } from '../../src/schema/model.js';
import { parseSnapshot, type Snapshot, snapshotText } from '../../src/schema/snapshot.js';
import { migrate, shippedAnd } from '../fixtures/kasm/observe.js';
import { type Change, changes, EVERYTHING } from '../fixtures/schema/changes.js';
import { introspected } from '../fixtures/schema/introspected.js';
import { copyOf } from '../fixtures/seed/seeding.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase, OLDEST_AND_NEWEST, type TestDatabase } from '../support/database.js';
import { NEWEST } from '../support/release.js';
import { randomSource, rounds } from '../support/rounds.js';

const verify = (db: TestDatabase, ...args: string[]) => cli(['verify', '--json', ...args], db.env);
/** With what a person may decide to drop. */
const withDrops = (sql: string) => sql.replace(/^-- (?=(?:DROP|ALTER) )/gm, '');

const SNAPSHOT = join(import.meta.dirname, '../../migrations/schema.snapshot.json');

describe.each(OLDEST_AND_NEWEST)('PostgreSQL %i › verify', (version) => {
  it('finds no drift in what migrate has made, and the snapshot is current', async () => {
    const db = await createDatabase(version);
    expect((await verify(db)).json()).toMatchObject({ outcome: 'pending', exitCode: 3 });
    expect((await migrate(db)).code).toBe(0);
    const run = await verify(db);
    expect(run.json(), run.stdout.slice(0, 500)).toMatchObject({ outcome: 'ok', exitCode: 0, differences: [] });
    const schema = await introspected(db);
    expect(snapshotText(NEWEST, schema), 'stale: npm run snapshot').toBe(readFileSync(SNAPSHOT, 'utf8'));
  });

  it('nor where the server keeps notes of its own among the options of columns', async () => {
    const db = await createDatabase(version);
    expect((await migrate(db)).code).toBe(0);
    await db.superQuery(`UPDATE pg_attribute SET attoptions = '{pg_attver=344216416}'
      WHERE attnum > 0 AND attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r')`);
    expect((await verify(db)).json()).toMatchObject({ exitCode: 0, differences: [] });
    expect(snapshotText(NEWEST, await introspected(db))).toBe(readFileSync(SNAPSHOT, 'utf8'));
  });
});

describe('verify › a hundred single changes', () => {
  let db: TestDatabase;
  let dir: string;
  let reader: string;
  let snapshot: Snapshot;
  beforeAll(async () => {
    db = await createDatabase();
    reader = `reader_${db.name}`;
    await db.superQuery(`CREATE ROLE ${reader}`);
    dir = shippedAnd({ '0020_everything.sql': EVERYTHING(reader) });
    expect((await migrate(db, dir)).json().error).toBeUndefined();
    const path = join(dir, 'schema.snapshot.json');
    expect((await cli(['capture', '--json', '--migrations', dir, '--out', path], db.env)).json().error).toBeUndefined();
    snapshot = parseSnapshot(readFileSync(path, 'utf8'), path);
  });

  it('none: exit 0', async () => {
    expect((await verify(db, '--migrations', dir)).json()).toMatchObject({ exitCode: 0, differences: [] });
  });

  it('each is reported, nothing else is, and --fix-sql brings it back', async () => {
    const { seed, next } = randomSource();
    const count = rounds(40, 100);
    console.log(`changes with seed ${seed}`);
    const all = changes(snapshot.schema, reader, next);
    // Every kind, then by chance.
    const start = Math.floor(next() * all.length);
    const client = await db.connect();
    let exact = 0;
    for (let i = 0; i < count; i++) {
      const change = (all[(start + i) % all.length] as () => Change)();
      const told = `seed ${seed}, round ${i}: ${change.sql}`;
      await client.query('BEGIN');
      await client.query(change.sql);
      const actual = await introspectHere(client as Client);
      const found = diff(snapshot.schema, actual);
      expect(new Set(found.map(({ change: kind, object }) => `${kind} ${object}`)), told).toEqual(
        new Set([`${change.change} ${change.object}`]),
      );
      exact++;
      if (!change.sql.includes('ADD VALUE')) {
        const sql = withDrops(fixStatements(found, snapshot.schema, actual)).replace(/^(BEGIN|COMMIT);$/gm, '');
        await client.query(sql).catch((error) => expect.fail(`${told}: ${error.message}\n${sql}`));
        expect(diff(snapshot.schema, await introspectHere(client as Client)), `${told}\n${sql}`).toEqual([]);
      }
      await client.query('ROLLBACK');
    }
    await client.end();
    console.log(`verify reported exactly the changed object: ${exact} of ${count}`);
  }, 1_200_000);

  it('the same through the command line, until it is brought back by hand', async () => {
    const { seed, next } = randomSource();
    const all = changes(snapshot.schema, reader, next);
    for (let i = 0; i < rounds(2, 100); i++) {
      const change = (all[Math.floor(next() * all.length)] as () => Change)();
      const copy = await copyOf(db);
      await copy.query(change.sql);
      const told = `seed ${seed}, round ${i}: ${change.sql}`;
      const run = await verify(copy, '--strict', '--migrations', dir);
      expect(run.code, told).toBe(6);
      expect(new Set(run.json().differences?.map((d) => `${d.change} ${d.object}`)), told).toEqual(
        new Set([`${change.change} ${change.object}`]),
      );
      if (change.sql.includes('ADD VALUE')) continue;
      const fix = await cli(['verify', '--fix-sql', '--strict', '--migrations', dir], copy.env);
      expect(fix.code).toBe(6);
      await copy.query(fix.stdout);
      await copy.query(withDrops(fix.stdout).split('COMMIT;')[1] ?? '');
      expect((await verify(copy, '--strict', '--migrations', dir)).json(), `${told}\n${fix.stdout}`).toMatchObject({
        exitCode: 0,
      });
    }
  }, 1_200_000);
});

describe('verify › two equal databases', () => {
  it('made in another order, with columns that came later or went: no difference', async () => {
    const first = await createDatabase(13);
    await first.query(`CREATE TABLE a (id integer PRIMARY KEY, x integer DEFAULT 1, y text NOT NULL);
      CREATE TABLE b (id integer PRIMARY KEY, a integer REFERENCES a); CREATE INDEX i ON a (x); CREATE INDEX j ON a (y);
      CREATE VIEW v AS SELECT id, y FROM a WHERE x IN (1, 2); CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'`);
    const second = await createDatabase(18);
    await second.query(`CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'; CREATE TABLE b (gone integer, a integer, id integer);
      ALTER TABLE b DROP gone; CREATE TABLE a (y text CONSTRAINT named NOT NULL, id integer PRIMARY KEY); CREATE INDEX j ON a (y);
      ALTER TABLE a ADD x integer DEFAULT 1; CREATE INDEX i ON a (x); ALTER TABLE b ADD PRIMARY KEY (id);
      CREATE VIEW v AS SELECT a.id, a.y FROM a WHERE a.x IN (1, 2); ALTER TABLE b ADD FOREIGN KEY (a) REFERENCES a; COMMENT ON TABLE a IS 'words'`);
    expect(diff(await introspected(first), await introspected(second))).toEqual([]);
  });
});

describe('verify › what is not ours is told, and is no drift', () => {
  const files = {
    '0001_own.sql': `CREATE SCHEMA own; CREATE TABLE own.entries (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);
      CREATE TABLE public.rows (id int PRIMARY KEY, name text); CREATE FUNCTION own.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TYPE own.mood AS ENUM ('a');`,
  };
  async function migrated(prepare: (of: TestDatabase) => Promise<unknown> = async () => {}) {
    const of = await createDatabase();
    await prepare(of);
    const folderOf = folder(files);
    const plain = await createDatabase();
    for (const one of [of, plain]) expect((await migrate(one, folderOf)).json().error).toBeUndefined();
    const path = join(folderOf, 'schema.snapshot.json');
    expect((await cli(['capture', '--json', '--migrations', folderOf, '--out', path], plain.env)).code).toBe(0);
    return { of, run: (...args: string[]) => verify(of, '--migrations', folderOf, ...args) };
  }

  it("trap 50: extensions, schemas, publications, event triggers of a host, another application's and another owner's tables", async () => {
    const { of, run } = await migrated();
    await of.superQuery(`CREATE EXTENSION pg_trgm; CREATE SCHEMA cron; CREATE TABLE cron.job (id int); CREATE PUBLICATION all_tables FOR ALL TABLES;
      CREATE FUNCTION cron.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION cron.watch();
      CREATE TABLE public.spatial_ref_sys (id int PRIMARY KEY); CREATE FUNCTION public.of_others() RETURNS int LANGUAGE sql AS 'SELECT 1'`);
    const result = (await run('--fix-sql')).json();
    expect(result).toMatchObject({ exitCode: 0, differences: [], fixSql: expect.stringContaining('Nothing to do') });
    expect(result.others?.map(({ object }) => object)).toEqual(
      expect.arrayContaining([
        'schema cron',
        'extension pg_trgm',
        'publication all_tables',
        'event trigger watch',
        'table public.spatial_ref_sys',
        'function public.of_others()',
      ]),
    );
    expect((await run('--strict')).json()).toMatchObject({ exitCode: 6 });
  });

  it('a column, an index or a table of our own owner in a schema of ours is drift; --fix-sql drops none, and runs as it is', async () => {
    const { of, run } = await migrated();
    await of.query(
      'ALTER TABLE own.entries ADD more int; CREATE TABLE own.extra AS SELECT 1 AS a; DROP FUNCTION own.f(); CREATE VIEW own.uses AS SELECT name FROM public.rows; ALTER TABLE public.rows ALTER name SET DEFAULT 1',
    );
    const result = (await run('--fix-sql')).json();
    expect(result.differences?.map(({ object }) => object)).toEqual(
      expect.arrayContaining(['column own.entries.more', 'table own.extra', 'view own.uses', 'function own.f()']),
    );
    const sql = result.fixSql as string;
    expect(sql.split('\n').filter((line) => /^(DROP|ALTER TABLE .* DROP COLUMN)/.test(line))).toEqual([]);
    expect(sql).toContain('-- DROP TABLE own.extra;');
    await of.query(sql);
    expect((await run()).json().differences?.map(({ change, object }) => `${change} ${object}`)).toEqual([
      'extra column own.entries.more',
      'extra table own.extra',
      'extra view own.uses',
    ]);
  });

  it('privileges that come by default privileges are told apart from those that somebody gave', async () => {
    const role = `reader_${Math.random().toString(36).slice(2, 10)}`;
    const { of, run } = await migrated(async (one) => {
      await one.superQuery(`CREATE ROLE ${role}`);
      await one.query(`ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO ${role}; ALTER DEFAULT PRIVILEGES GRANT USAGE, SELECT ON SEQUENCES TO ${role};
        ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT INSERT ON TABLES TO ${role}; ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
        ALTER DEFAULT PRIVILEGES GRANT USAGE ON TYPES TO ${role}`);
    });
    const result = (await run()).json();
    expect(result, JSON.stringify(result.differences)).toMatchObject({ exitCode: 0, differences: [] });
    expect(result.warnings?.join()).toContain(`SELECT on every table for ${role}`);
    await of.query(`GRANT UPDATE ON own.entries TO ${role}`);
    expect((await run()).json()).toMatchObject({
      exitCode: 6,
      differences: [{ object: 'table own.entries', property: 'grants' }],
    });
  });
});

describe('verify › what it says', () => {
  let db: TestDatabase;
  beforeAll(async () => {
    db = await createDatabase();
    await migrate(db);
    await db.query(`DROP INDEX kasm_db_users_username_idx; ALTER TABLE users ADD extra integer; ALTER TABLE zones ALTER zone_name TYPE text;
      COMMENT ON TABLE users IS 'other words'; COMMENT ON COLUMN users.username IS NULL`);
  });

  it('by table: missing, extra, changed with what is and what was to be; comments are no drift', async () => {
    const run = await cli(['verify', '--no-color'], db.env);
    expect(run.code).toBe(6);
    expect(run.stdout).toContain(
      'public.users\n  extra    column extra\n  missing  index kasm_db_users_username_idx\npublic.zones\n',
    );
    expect(run.stdout).toMatch(/changed {2}column zone_name: type is text, not character varying/);
    expect(run.stdout).toContain('Drift: 3 differences');
    expect(run.stdout).toContain('kasm-db verify --fix-sql');
  });

  it('as JSON', async () => {
    const { differences } = (await verify(db)).json();
    expect(differences).toContainEqual({
      change: 'missing',
      object: 'index public.users.kasm_db_users_username_idx',
      group: 'public.users',
    });
    expect(differences).toHaveLength(3);
  });

  it('with a role that may only look, in the catalogs and in the history', async () => {
    const password = `s3cr3t-${db.name}`;
    await db.superQuery(`CREATE ROLE look_${db.name} LOGIN PASSWORD '${password}'`);
    await db.superQuery(
      `GRANT USAGE ON SCHEMA kasm_db TO look_${db.name}; GRANT SELECT ON kasm_db.migrations, kasm_db.run TO look_${db.name}`,
    );
    const env = { ...db.env, POSTGRES_USER: `look_${db.name}`, POSTGRES_PASSWORD: password };
    const run = await cli(['verify', '--json'], env);
    expect(run.json().differences).toHaveLength(3);
  });
});

describe('verify › which snapshot', () => {
  it('a folder without one, a stale one, a broken one: exit 2 and how to make it', async () => {
    const db = await createDatabase();
    const dir = folder({ '0001_a.sql': 'CREATE TABLE a (id integer);' });
    await migrate(db, dir);
    const missing = (await verify(db, '--migrations', dir)).json();
    expect(missing).toMatchObject({ exitCode: 2, error: { hint: expect.stringContaining('kasm-db capture') } });
    const two = folder({
      '0001_a.sql': 'CREATE TABLE a (id integer);',
      'schema.snapshot.json': snapshotText('0000_other', (await introspected(db)) as Schema),
    });
    expect((await verify(db, '--migrations', two)).json().error?.message).toContain('0000_other');
    const broken = folder({ '0001_a.sql': 'CREATE TABLE a (id integer);', 'schema.snapshot.json': '{"format":' });
    expect((await verify(db, '--migrations', broken)).json()).toMatchObject({ exitCode: 2 });
  });

  it('a database that is ahead: exit 6, since this build cannot know', async () => {
    const db = await createDatabase();
    await migrate(db, shippedAnd({ '0020_more.sql': 'CREATE TABLE more (id integer);' }));
    const run = (await verify(db)).json();
    expect(run).toMatchObject({ exitCode: 6, error: { message: expect.stringContaining('0020_more') } });
  });

  it('a database that somebody else has begun: exit 6, and the way on', async () => {
    const db = await createDatabase();
    await db.query('CREATE TABLE users (id integer); INSERT INTO users VALUES (1)');
    const run = (await verify(db)).json();
    expect(run).toMatchObject({
      exitCode: 6,
      error: { hint: expect.stringContaining('kasm-db adopt') },
    });
  });
});
