import { beforeAll, describe, expect, it } from 'vitest';
import { check, migrate } from '../fixtures/kasm/observe.js';
import { genuineRows, genuineSchema, MORE_INDEXES, MORE_TABLES } from '../fixtures/schema/genuine.js';
import { vendorMade } from '../fixtures/schema/vendor-made.js';
import { ALL_USERS, copyOf, newSecrets, seeded } from '../fixtures/seed/seeding.js';
import { cli } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { EXPORT, HEAD, MIGRATIONS, NEWEST } from '../support/release.js';

const adopt = (db: TestDatabase, ...args: string[]) => cli(['adopt', '--json', ...args], db.env);
const verify = (db: TestDatabase, ...args: string[]) => cli(['verify', '--json', ...args], db.env);

/** Rows as Kasm would have made them; a seed would bring others. */
const ROWS = `INSERT INTO zones (zone_id, zone_name) VALUES (gen_random_uuid(), 'theirs');
INSERT INTO settings (setting_id, category, name, value) VALUES (gen_random_uuid(), 'scale', 'theirs', '1');
INSERT INTO users (user_id, username, realm, created, crypt_password, crypt_salt) VALUES (gen_random_uuid(), 'them@kasm.local', 'local', now(), 'x', 'y')`;

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
    await db.query(ROWS);
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
    expect(await rows(db), 'nothing is seeded').toEqual(before);
    expect((await check(db, undefined, '--seed')).code).toBe(0);
  });
});

describe.each([13, 18] as const)('PostgreSQL %i › adopt › a genuine database', (version) => {
  let genuine: TestDatabase;
  beforeAll(async () => {
    genuine = await createDatabase(version);
    await genuine.query(genuineSchema());
    await genuine.query(genuineRows());
  });

  it('is taken over without a refusal; every difference is told by table, and recorded; verify then passes', async () => {
    const db = await copyOf(genuine);
    const dry = await cli(['adopt', '--dry-run'], db.env);
    expect(dry.code, dry.stderr).toBe(0);
    const run = await adopt(db);
    expect(run.json()).toMatchObject({ exitCode: 0, current: NEWEST });
    const { accepted = [] } = run.json();
    expect(
      accepted
        .filter(({ change, object }) => change === 'extra' && object.startsWith('table '))
        .map(({ group }) => group)
        .sort(),
    ).toEqual(
      MORE_TABLES.filter((table) => table !== 'installation')
        .map((table) => `public.${table}`)
        .sort(),
    );
    expect(
      accepted.filter(({ change, object }) => change === 'extra' && object.startsWith('index ')).length,
    ).toBeGreaterThanOrEqual(MORE_INDEXES);
    for (const { object, group } of accepted) {
      expect(dry.stdout).toContain(group);
      expect(dry.stdout).toContain(object.replace(`${group}.`, '').split(' ').slice(1).join(' '));
    }
    expect(await db.query('SELECT count(*)::int AS n FROM kasm_db.differences')).toEqual([{ n: accepted.length }]);

    const verified = await cli(['verify'], db.env);
    expect(verified.code, verified.stdout).toBe(0);
    expect(verified.stdout).toContain('ix_0_');
    expect((await check(db)).code).toBe(0);
    expect((await migrate(db)).json()).toMatchObject({ exitCode: 0, applied: [] });
    expect((await cli(['seed', '--json'], db.env)).json()).toMatchObject({
      exitCode: 0,
      seed: { inserted: 0, updated: 0 },
    });
    expect(await db.query('SELECT count(*)::int AS n FROM installation')).toEqual([{ n: 1 }]);
    expect((await cli(['seed', '--json'], db.env)).json(), 'a column that only this database requires').toMatchObject({
      exitCode: 0,
      seed: { inserted: 0, updated: 0 },
    });
    expect((await verify(db)).json().exitCode).toBe(0);
  });

  it('with a column missing: 6, and its name', async () => {
    const db = await copyOf(genuine);
    await db.query('ALTER TABLE users DROP locked');
    const run = (await adopt(db)).json();
    expect(run).toMatchObject({
      exitCode: 6,
      error: { message: expect.stringContaining('missing: column public.users.locked') },
    });
    expect(run.differences).toHaveLength(1);
  });

  it('of another build of the same release: only with --accept-head, which check and verify know from then on', async () => {
    const db = await copyOf(genuine);
    await db.query("UPDATE alembic_version SET version_num = 'aaaabbbbcccc'");
    expect((await adopt(db)).json()).toMatchObject({
      exitCode: 6,
      error: { hint: expect.stringContaining('kasm-db adopt --accept-head aaaabbbbcccc') },
    });
    expect((await adopt(db, '--accept-head', HEAD)).json()).toMatchObject({ exitCode: 6 });
    expect((await adopt(db, '--accept-head', 'not a head')).json()).toMatchObject({ exitCode: 2 });
    const run = await adopt(db, '--accept-head', 'aaaabbbbcccc');
    expect(run.json()).toMatchObject({ exitCode: 0 });
    expect(run.json().accepted?.[0]).toMatchObject({
      object: 'alembic_version',
      expected: HEAD,
      actual: 'aaaabbbbcccc',
    });
    const checked = (await check(db)).json();
    expect(checked).toMatchObject({ exitCode: 0 });
    expect(checked.warnings).toBeUndefined();
    expect((await migrate(db)).json()).toMatchObject({ exitCode: 0, applied: [] });
    const head = { property: 'version_num', actual: 'aaaabbbbcccc' };
    expect((await verify(db)).json()).toMatchObject({
      exitCode: 0,
      accepted: expect.arrayContaining([expect.objectContaining(head)]),
    });
    expect((await verify(db, '--against', EXPORT)).json().accepted).toMatchObject([head]);
    await db.query("UPDATE alembic_version SET version_num = 'ddddeeeeffff'");
    const upgraded = (await check(db)).json();
    expect(upgraded.warnings, "Kasm's own upgrade is still found out").toMatchObject([
      expect.stringContaining('ddddeeeeffff'),
    ]);
    expect((await verify(db)).code).toBe(6);
  });

  it('without rows: seed then seeds', async () => {
    const db = await createDatabase(version);
    await db.query(genuineSchema());
    await db.query('ALTER TABLE users DROP revision');
    expect((await adopt(db)).code).toBe(0);
    expect((await cli(['seed', '--json'], db.env)).json(), 'the credentials are needed').toMatchObject({ exitCode: 8 });
    const { counts } = await seeded(db, { secrets: newSecrets() });
    expect(counts).toMatchObject({ kept: 0, updated: 0 });
    expect(await db.query('SELECT username FROM users ORDER BY 1')).toHaveLength(2);
    expect((await check(db, undefined, '--seed')).code).toBe(0);
  });

  it.skipIf(version !== 18).each([
    ['a zone', "INSERT INTO zones (zone_name) VALUES ('default')", 'settings and users'],
    [
      'a group, and some of the settings',
      `INSERT INTO groups (group_id, name) VALUES ('${ALL_USERS}', 'All Users');
       INSERT INTO settings (category, name, value) VALUES ('scale', 'guardian_interval', '20'), ('theirs', 'theirs', '1')`,
      'users',
    ],
    [
      'a user',
      "INSERT INTO users (username, realm, created, crypt_password, crypt_salt) VALUES ('user@kasm.local', 'local', now(), 'x', 'y')",
      'settings',
    ],
  ])('of which only %s is there: seed adds what is missing, once, and says so', async (_, sql, lacking) => {
    const db = await createDatabase(version);
    await db.query(genuineSchema());
    await db.query('ALTER TABLE users DROP revision');
    await db.query(sql);
    expect((await adopt(db)).code).toBe(0);
    const secrets = newSecrets();
    const { run } = await seeded(db, { secrets });
    expect(run.json().warnings?.[0]).toContain(`${lacking} had no row`);
    expect(await db.query('SELECT username FROM users ORDER BY 1')).toEqual([
      { username: 'admin@kasm.local' },
      { username: 'user@kasm.local' },
    ]);
    expect(await db.query('SELECT zone_name FROM zones')).toEqual([{ zone_name: 'default' }]);
    expect(await db.query('SELECT FROM settings GROUP BY category, name HAVING count(*) > 1')).toEqual([]);
    const before = await rows(db);
    const again = await seeded(db, { secrets });
    expect(again.counts).toMatchObject({ inserted: 0, updated: 0 });
    expect(again.run.json().warnings).toBeUndefined();
    expect(await rows(db)).toEqual(before);
  });
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
      'column public.api_configs.name may now be NULL',
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
      'CREATE TABLE mine (id integer); ALTER TABLE groups ADD needed text NOT NULL; ALTER TABLE users ADD note text, ADD CHECK (note <> $$x$$); CREATE SCHEMA other',
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

  it('tables that a superuser has restored: adopted, with a warning, as doctor has it', async () => {
    const db = await createDatabase();
    await db.superQuery(
      `SET search_path = public; ${vendorMade()}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${db.user}`,
    );
    const told = expect.stringMatching(/^\d+ tables of the migrations belong to roles that .* is not a member of/);
    const dry = await adopt(db, '--dry-run');
    expect(dry.json()).toMatchObject({ exitCode: 0, warnings: [told] });
    const run = await adopt(db);
    expect(run.json()).toMatchObject({ exitCode: 0, warnings: [told] });
    expect(run.stderr).toMatch(/set KASM_DB_ROLE to their owner/);
    expect((await cli(['doctor', '--json', '--no-seed'], db.env)).json().checks).toContainEqual(
      expect.objectContaining({ state: 'failed', text: told }),
    );
  });

  it('a database that kasm-db has made: nothing to do', async () => {
    const db = await createDatabase();
    await migrate(db);
    const run = await cli(['adopt'], db.env);
    expect(run).toMatchObject({ code: 0, stdout: expect.stringContaining('Nothing to do') });
  });
});
