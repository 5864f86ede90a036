import { beforeAll, describe, expect, it } from 'vitest';
import { check, migrate } from '../fixtures/kasm/observe.js';
import { vendorMade } from '../fixtures/schema/vendor-made.js';
import { copyOf } from '../fixtures/seed/seeding.js';
import { cli } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { EXPORT, MIGRATIONS, NEWEST } from '../support/release.js';

const adopt = (db: TestDatabase, ...args: string[]) => cli(['adopt', '--json', ...args], db.env);
const verify = (db: TestDatabase, ...args: string[]) => cli(['verify', '--json', ...args], db.env);

/** Rows as Kasm would have made them; a seed would bring others. */
const ROWS = `INSERT INTO zones (zone_id, zone_name) VALUES (gen_random_uuid(), 'theirs')`;

async function rows(db: TestDatabase): Promise<unknown> {
  return db.query(
    `SELECT relname, (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM %I', relname), false, true, '')))[1]::text AS n
     FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1`,
  );
}

describe.each([
  13, 16, 18,
] as const)('PostgreSQL %i › adopt › a database that somebody made from the export', (version) => {
  it('is taken over; verify, check, migrate and seed then behave', async () => {
    const db = await createDatabase(version);
    await db.query(vendorMade());
    const filled = await db.query(ROWS).then(
      () => true,
      () => false,
    );
    expect((await migrate(db)).json()).toMatchObject({
      exitCode: 6,
      error: { hint: expect.stringContaining('kasm-db adopt') },
    });
    const before = await rows(db);
    expect((await verify(db, '--against', EXPORT)).json()).toMatchObject({ exitCode: 0, differences: [] });

    const dry = await adopt(db, '--dry-run');
    expect(dry.json().error).toBeUndefined();
    expect(dry.json().pending).toHaveLength(MIGRATIONS.length);
    expect((await check(db)).code, 'a dry run records nothing').not.toBe(0);

    const run = await adopt(db);
    expect(run.json()).toMatchObject({ exitCode: 0, current: NEWEST });
    expect(run.json().applied).toHaveLength(MIGRATIONS.length);
    const kinds = await db.query('SELECT DISTINCT kind FROM kasm_db.migrations');
    expect(kinds).toEqual([{ kind: 'adopted' }]);

    expect((await verify(db)).json()).toMatchObject({ exitCode: 0, differences: [] });
    expect((await check(db)).code).toBe(0);
    expect((await migrate(db)).json()).toMatchObject({ exitCode: 0, applied: [] });
    expect((await adopt(db)).json()).toMatchObject({ exitCode: 0, applied: [] });

    const seeded = await cli(['seed', '--json'], db.env);
    expect(seeded.json()).toMatchObject({ exitCode: 0, seed: { inserted: 0, updated: 0 } });
    expect(await rows(db), `nothing is seeded (rows: ${filled})`).toEqual(before);
    expect((await check(db, undefined, '--seed')).code).toBe(0);
  }, 180_000);
});

describe('adopt › refuses', () => {
  let made: TestDatabase;
  beforeAll(async () => {
    made = await createDatabase();
    await made.query(vendorMade());
  });

  it.each([
    ['a table is gone', 'DROP TABLE used_refresh_tokens', 'missing: table public.used_refresh_tokens'],
    ['a column is gone', 'ALTER TABLE users DROP locked', 'missing: column public.users.locked'],
    [
      'a column is of another type',
      'ALTER TABLE users ALTER locked TYPE text',
      'column public.users.locked: type is text, not boolean',
    ],
    [
      'a required column is not',
      'ALTER TABLE api_configs ALTER name DROP NOT NULL',
      'column public.api_configs.name: notNull is false, not true',
    ],
    [
      'there is a column that every writer has to know',
      'ALTER TABLE groups ADD needed text NOT NULL',
      'extra: column public.groups.needed',
    ],
    [
      'a key is gone',
      "ALTER TABLE user_groups DROP CONSTRAINT IF EXISTS fk_0; DO $$ DECLARE k text; BEGIN SELECT conname INTO k FROM pg_constraint WHERE conrelid = 'user_groups'::regclass AND contype = 'f' LIMIT 1; EXECUTE format('ALTER TABLE user_groups DROP CONSTRAINT %I', k); END $$",
      'missing: constraint public.user_groups.',
    ],
  ])('%s: names it, records nothing, until it is allowed', async (_, sql, told) => {
    const db = await copyOf(made);
    await db.query(sql);
    const run = (await adopt(db)).json();
    expect(run).toMatchObject({ exitCode: 6, error: { message: expect.stringContaining(told) } });
    expect(run.differences).toHaveLength(1);
    expect(await db.query("SELECT to_regclass('kasm_db.migrations') AS t")).toEqual([{ t: null }]);
    const allowed = (await adopt(db, '--allow-differences')).json();
    expect(allowed).toMatchObject({ exitCode: 0 });
    expect((await verify(db)).json(), 'what was accepted is no drift').toMatchObject({ exitCode: 0 });
    await db.query('ALTER TABLE groups ADD later integer');
    expect((await verify(db)).json().differences).toEqual([
      { change: 'extra', object: 'column public.groups.later', group: 'public.groups' },
    ]);
  });

  it('what only the database has is told and recorded, and no reason to refuse', async () => {
    const db = await copyOf(made);
    await db.query(
      'CREATE TABLE mine (id integer); ALTER TABLE users ADD note text, ADD CHECK (note <> $$x$$); CREATE SCHEMA other',
    );
    expect((await adopt(db)).json()).toMatchObject({ exitCode: 0 });
    expect((await verify(db)).json()).toMatchObject({ exitCode: 0, accepted: expect.any(Array) });
  });

  it('another release of Kasm, naming it; one without alembic_version; an empty database', async () => {
    const db = await copyOf(made);
    await db.query("UPDATE alembic_version SET version_num = 'e3900d8a4fee'");
    const other = (await adopt(db, '--allow-differences')).json();
    expect(other).toMatchObject({ exitCode: 6, error: { message: expect.stringContaining('e3900d8a4fee') } });
    await db.query('DROP TABLE alembic_version');
    expect((await adopt(db, '--allow-differences')).json()).toMatchObject({ exitCode: 6 });
    const empty = (await adopt(await createDatabase())).json();
    expect(empty).toMatchObject({ exitCode: 6, error: { hint: expect.stringContaining('kasm-db migrate') } });
  });

  it('what the application did to an accepted difference afterwards is drift', async () => {
    const db = await copyOf(made);
    await db.query('ALTER TABLE users ADD extra integer; ALTER TABLE users ALTER locked TYPE text');
    expect((await adopt(db, '--allow-differences')).code).toBe(0);
    await db.query('ALTER TABLE users ALTER locked TYPE varchar(9)');
    expect((await verify(db)).json().differences).toMatchObject([
      { object: 'column public.users.locked', property: 'type' },
    ]);
  });
});

describe('adopt › more', () => {
  it('--add-missing makes the indexes, and nothing else', async () => {
    const db = await createDatabase();
    await db.query(vendorMade());
    const before = await rows(db);
    const run = (await adopt(db, '--add-missing')).json();
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.added?.length).toBeGreaterThan(100);
    const indexes = await db.query(
      "SELECT FROM pg_indexes WHERE schemaname = 'public' AND indexname LIKE 'kasm\\_db\\_%'",
    );
    expect(indexes).toHaveLength(run.added?.length as number);
    expect(await rows(db)).toEqual(before);
    await db.query('DROP INDEX kasm_db_users_username_idx');
    expect((await verify(db)).json().differences, 'it is known from now on').toHaveLength(1);
  });

  it('two at once: one records, the other finds it done', async () => {
    const db = await createDatabase();
    await db.query(vendorMade());
    const runs = await Promise.all([adopt(db), adopt(db)]);
    expect(runs.map(({ code }) => code)).toEqual([0, 0]);
    expect(runs.map((run) => run.json().applied?.length).sort()).toEqual([0, MIGRATIONS.length]);
  });

  it('a database that kasm-db has made: nothing to do', async () => {
    const db = await createDatabase();
    await migrate(db);
    const run = await cli(['adopt'], db.env);
    expect(run).toMatchObject({ code: 0, stdout: expect.stringContaining('Nothing to do') });
  });
});
