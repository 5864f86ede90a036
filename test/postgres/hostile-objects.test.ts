import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { ENGINE_VERSIONS, migrate } from '../fixtures/kasm/observe.js';
import { newSecrets } from '../fixtures/seed/seeding.js';
import { countCalls } from '../fixtures/strangers/shadows.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase, type TestDatabase, type Version } from '../support/database.js';
import { rounds } from '../support/rounds.js';

/**
 * Another role's view, rule, policy or trigger runs with the migrator's rights: each kind of object at every table that is read or written; exit 6
 * naming it, nothing of it was called.
 */
const WHOLE = rounds(0, 1) === 1;
/** Before 15 the catalog has a generated column otherwise. */
const VERSIONS: Version[] = WHOLE ? ENGINE_VERSIONS : [13, 18];

const secrets = folder(newSecrets());

/** Who touches which table. */
const TABLES: [table: string, command: string[]][] = [
  ['kasm_db.migrations', ['check']],
  ['kasm_db.run', ['check']],
  ['kasm_db.seeds', ['seed', '--secrets', secrets]],
  ['kasm_db.differences', ['verify']],
  ['kasm_db.locks', ['status']],
  ['kasm_db.once', ['once', 'first', '--json', '--', 'true']],
  ['public.alembic_version', ['check']],
  ['public.users', ['seed', '--secrets', secrets, '--rotate', 'admin-password']],
  ['public.settings', ['seed', '--secrets', secrets, '--dry-run']],
];

interface Place {
  table: string;
  /** The table's name without its schema. */
  name: string;
  /** A column of text, and its type. */
  column: string;
  type: string;
  /** Its primary key's first column. */
  key: string;
  /** All of its primary key's columns, as SQL. */
  keys: string;
  stranger: string;
  owner: string;
}

/** What is put there, what the message says of it, and how it goes away. */
const KINDS: Record<string, (place: Place) => { put: string; says: RegExp; away: string }> = {
  view: ({ table, name, stranger }) => ({
    put: `ALTER TABLE ${table} RENAME TO saved; CREATE VIEW ${table} AS SELECT *, public.evil_check() FROM ${table.replace(name, 'saved')}; ALTER VIEW ${table} OWNER TO ${stranger}`,
    says: /not an ordinary table/,
    away: `DROP VIEW ${table}; ALTER TABLE ${table.replace(name, 'saved')} RENAME TO ${name}`,
  }),
  'partitioned table': ({ table, name, key, owner }) => ({
    put: `ALTER TABLE ${table} RENAME TO saved; CREATE TABLE ${table} (LIKE ${table.replace(name, 'saved')} INCLUDING DEFAULTS) PARTITION BY LIST (${key});
      CREATE TABLE ${table}_rest PARTITION OF ${table} DEFAULT; ALTER TABLE ${table} OWNER TO ${owner}`,
    says: /not an ordinary table/,
    away: `DROP TABLE ${table}; ALTER TABLE ${table.replace(name, 'saved')} RENAME TO ${name}`,
  }),
  owner: ({ table, stranger, owner }) => ({
    put: `ALTER TABLE ${table} OWNER TO ${stranger}; GRANT ALL ON ${table} TO ${owner}`,
    says: /belongs to "stranger_/,
    away: `ALTER TABLE ${table} OWNER TO ${owner}`,
  }),
  rule: ({ table }) => ({
    put: `CREATE RULE evil AS ON UPDATE TO ${table} DO ALSO SELECT public.evil_check()`,
    says: /a rule evil/,
    away: `DROP RULE evil ON ${table}`,
  }),
  trigger: ({ table }) => ({
    put: `CREATE TRIGGER evil BEFORE INSERT OR UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION public.evil_trigger()`,
    says: /a trigger evil, which belongs to "stranger_/,
    away: `DROP TRIGGER evil ON ${table}`,
  }),
  policy: ({ table }) => ({
    put: `CREATE POLICY evil ON ${table} USING (public.evil_check()); ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY`,
    says: /row security hides rows|it has a policy evil/,
    away: `DROP POLICY evil ON ${table}; ALTER TABLE ${table} DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY`,
  }),
  'column default': ({ table, column }) => ({
    put: `ALTER TABLE ${table} ALTER ${column} SET DEFAULT public.evil_text('x')`,
    says: /calls public\.evil_text\(text\), which belongs to "stranger_/,
    away: `ALTER TABLE ${table} ALTER ${column} DROP DEFAULT`,
  }),
  'generated column': ({ table }) => ({
    put: `ALTER TABLE ${table} ADD evil text GENERATED ALWAYS AS (public.evil_text('x')) STORED`,
    says: /calls public\.evil_text\(text\), which belongs to "stranger_/,
    away: `ALTER TABLE ${table} DROP evil`,
  }),
  'exclusion constraint over no column': ({ table }) => ({
    put: `ALTER TABLE ${table} ADD CONSTRAINT evil EXCLUDE USING btree (public.evil_text('x') WITH =) WHERE (false)`,
    says: /calls public\.evil_text\(text\), which belongs to "stranger_/,
    away: `ALTER TABLE ${table} DROP CONSTRAINT evil`,
  }),
  check: ({ table }) => ({
    put: `ALTER TABLE ${table} ADD CONSTRAINT evil CHECK (public.evil_check()) NOT VALID`,
    says: /calls public\.evil_check\(\), which belongs to "stranger_/,
    away: `ALTER TABLE ${table} DROP CONSTRAINT evil`,
  }),
  'expression index': ({ table, column }) => ({
    put: `CREATE INDEX evil ON ${table} (public.evil_text(${column}::text))`,
    says: /calls public\.evil_text\(text\), which belongs to "stranger_/,
    away: `DROP INDEX ${table.split('.')[0]}.evil`,
  }),
  'statistics object (14 and later)': ({ table, column }) => ({
    put: `CREATE STATISTICS ${table.split('.')[0]}.evil ON (public.evil_text(${column}::text)) FROM ${table}`,
    says: /calls public\.evil_text\(text\), which belongs to "stranger_/,
    away: `DROP STATISTICS ${table.split('.')[0]}.evil`,
  }),
  'foreign key that follows its changes': ({ table, keys, stranger }) => ({
    put: `CREATE TABLE public.evil_follower AS SELECT * FROM ${table} WITH NO DATA;
      ALTER TABLE public.evil_follower ADD CONSTRAINT evil FOREIGN KEY (${keys}) REFERENCES ${table} (${keys}) ON UPDATE CASCADE;
      CREATE TRIGGER evil AFTER UPDATE ON public.evil_follower FOR EACH ROW EXECUTE FUNCTION public.evil_trigger();
      ALTER TABLE public.evil_follower OWNER TO ${stranger}`,
    says: /a foreign key evil of public\.evil_follower, which follows its changes, which belongs to "stranger_/,
    away: 'DROP TABLE public.evil_follower',
  }),
  'domain with a check': ({ table, column, type, stranger }) => ({
    put: `SET ROLE ${stranger}; CREATE DOMAIN public.evil AS ${type} CHECK (public.evil_check()); RESET ROLE; ALTER TABLE ${table} ALTER ${column} TYPE public.evil`,
    says: /public\.evil/,
    away: `ALTER TABLE ${table} ALTER ${column} TYPE ${type}; DROP DOMAIN public.evil`,
  }),
  'range over a domain': ({ table, stranger, owner }) => ({
    put: `SET ROLE ${stranger}; CREATE DOMAIN public.evil AS integer CHECK (public.evil_check()); GRANT USAGE ON TYPE public.evil TO PUBLIC; RESET ROLE;
      CREATE TYPE public.evil_range AS RANGE (SUBTYPE = public.evil); ALTER TYPE public.evil_range OWNER TO ${owner};
      ALTER TABLE ${table} ADD evil public.evil_range`,
    says: /a column of type public\.evil, which belongs to "stranger_/,
    away: `ALTER TABLE ${table} DROP evil; DROP TYPE public.evil_range; DROP DOMAIN public.evil`,
  }),
  'inherited table': ({ table }) => ({
    put: `CREATE TABLE public.evil_child () INHERITS (${table})`,
    says: /inherits/,
    away: 'DROP TABLE public.evil_child',
  }),
};

/** Functions of a stranger, each counted when it is called. */
async function strangerIn(db: TestDatabase): Promise<string> {
  const stranger = `stranger_${randomBytes(4).toString('hex')}`;
  await db.superQuery(`CREATE ROLE ${stranger}; GRANT CREATE, USAGE ON SCHEMA public TO ${stranger};
    ALTER DATABASE ${db.name} SET track_functions = 'pl'; SET ROLE ${stranger};
    CREATE FUNCTION public.canary() RETURNS integer LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
    CREATE FUNCTION public.evil_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE FUNCTION public.evil_check() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
    CREATE FUNCTION public.evil_text(x text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN x; END'`);
  return stranger;
}

describe.each(VERSIONS)('PostgreSQL %i › an object of a stranger', (version) => {
  let db: TestDatabase;
  let stranger: string;
  beforeAll(async () => {
    db = await createDatabase(version);
    expect((await migrate(db, undefined, '--seed', '--secrets', secrets)).code).toBe(0);
    expect((await cli(['once', 'first', '--', 'true'], db.env)).code).toBe(0);
    // As the first adoption makes it.
    await db.query(`CREATE TABLE kasm_db.differences (object text, change text, property text, actual text, accepted_at timestamptz, accepted_by text,
      PRIMARY KEY (object, property))`);
    stranger = await strangerIn(db);
  });

  describe.each(TABLES)('at %s', (table, command) => {
    const kinds = Object.entries(KINDS).filter(([what]) =>
      WHOLE || version === 18 ? version >= 14 || !what.includes('14 and later') : what === 'generated column',
    );
    it.each(kinds)('%s: exit 6 names it, and nothing of it was called', async (_, kind) => {
      const [column] = await db.superQuery<{ column: string; type: string; key: string; keys: string }>(
        `SELECT a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type, k.attname AS key,
           (SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute WHERE attrelid = a.attrelid AND attnum = ANY (i.indkey)) AS keys
         FROM pg_attribute a, pg_attribute k JOIN pg_index i ON i.indrelid = k.attrelid AND i.indisprimary AND i.indkey[0] = k.attnum
         WHERE a.attrelid = '${table}'::regclass AND k.attrelid = a.attrelid AND a.atttypid IN ('text'::regtype, 'varchar'::regtype) AND NOT a.atthasdef
         ORDER BY a.attnum = ANY (i.indkey), a.attnum LIMIT 1`,
      );
      const name = table.split('.')[1] as string;
      const place = { table, name, stranger, owner: db.user, ...(column as NonNullable<typeof column>) };
      const { put, says, away } = kind(place);
      await db.superQuery(put);
      const called = await countCalls(db);
      try {
        const run = await cli([...command, '--json'], db.env);
        const message = run.json().error?.message ?? '';
        expect(run.code, message).toBe(6);
        expect(message).toContain(table);
        expect(message).toMatch(says);
        expect(await called()).toEqual([]);
      } finally {
        await db.superQuery(away);
      }
    });

    it('without them it is used', async () => {
      const run = await cli([...command, '--json'], db.env);
      expect(run.code, run.stderr).toBe(0);
      expect(run.json().error).toBeUndefined();
    });
  });
});

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › what was there before kasm-db', (version) => {
  it.each([
    [
      'public.alembic_version as a view',
      'public.alembic_version',
      "CREATE VIEW public.alembic_version AS SELECT public.evil_text('x')::varchar AS version_num; GRANT SELECT ON public.alembic_version TO PUBLIC",
    ],
    [
      'public.alembic_version with row security',
      'public.alembic_version',
      `CREATE TABLE public.alembic_version (version_num varchar); CREATE POLICY evil ON public.alembic_version USING (public.evil_check());
       ALTER TABLE public.alembic_version ENABLE ROW LEVEL SECURITY; GRANT ALL ON public.alembic_version TO PUBLIC`,
    ],
    [
      'kasm_db.migrations as a view',
      'kasm_db.migrations',
      "CREATE SCHEMA kasm_db; CREATE VIEW kasm_db.migrations AS SELECT public.evil_text('x') AS name; GRANT ALL ON SCHEMA kasm_db TO PUBLIC; GRANT ALL ON kasm_db.migrations TO PUBLIC",
    ],
  ])('%s: every command refuses it, and nothing of it was called', async (_, table, made) => {
    const db = await createDatabase(version);
    const stranger = await strangerIn(db);
    await db.superQuery(`GRANT CREATE ON DATABASE ${db.name} TO ${stranger}; SET ROLE ${stranger}; ${made}`);
    const called = await countCalls(db);
    for (const command of ['check', 'plan', 'status', 'doctor', 'migrate', 'adopt', 'verify']) {
      const run = await cli([command, '--json'], db.env);
      expect(run.code, `${command}: ${run.stderr}`).toBe(6);
      expect(run.stdout).toContain(table);
    }
    expect(await called()).toEqual([]);
  });

  it('an event trigger, which only a superuser can make, is allowed; so is what the owner of the database has added', async () => {
    const db = await createDatabase(version);
    await db.superQuery(`CREATE TABLE public.ddl (tag text); GRANT ALL ON public.ddl TO PUBLIC;
      CREATE FUNCTION public.note() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.ddl VALUES (tg_tag); END';
      CREATE EVENT TRIGGER note_${db.name} ON ddl_command_end EXECUTE FUNCTION public.note()`);
    expect((await migrate(db)).code).toBe(0);
    await db.query(`CREATE FUNCTION public.mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
      CREATE TRIGGER mine BEFORE INSERT OR UPDATE ON public.users FOR EACH ROW EXECUTE FUNCTION public.mine();
      CREATE DOMAIN public.short AS text CHECK (length(VALUE) < 1000); ALTER TABLE public.users ADD mine public.short DEFAULT 'x'`);
    const run = await cli(['seed', '--secrets', secrets, '--json'], db.env);
    expect(run.code, run.stderr).toBe(0);
  });
});

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › who else may create in schema public', (version) => {
  const told = async (db: TestDatabase) =>
    (await cli(['doctor', '--json'], db.env))
      .json()
      .checks?.filter(({ text }) => text.startsWith('others may create'))
      .map(({ state, text, fix }) => `${state}: ${text}; ${fix?.replace(/^.*: /, '')}`);

  it('doctor warns of them, with the statement that takes it away, and then no more', async () => {
    const db = await createDatabase(version);
    const role = `stranger_${randomBytes(4).toString('hex')}`;
    await db.superQuery(`CREATE ROLE ${role}; GRANT CREATE ON SCHEMA public TO ${role}, ${db.user}`);
    const creators = version < 15 ? ['PUBLIC', role] : [role];
    const names = version < 15 ? `PUBLIC, "${role}"` : `"${role}"`;
    const revoke = `REVOKE CREATE ON SCHEMA public FROM ${names}`;
    expect(await told(db)).toEqual([
      `warning: others may create functions and operators in schema public: ${creators.join(', ')}; ${revoke}`,
    ]);
    await db.superQuery(revoke);
    expect(await told(db)).toEqual([]);
  });

  it('doctor and bootstrap warn of a stranger who owns the schema, and of nobody else', async () => {
    const db = await createDatabase(version);
    const role = `stranger_${randomBytes(4).toString('hex')}`;
    await db.superQuery(`CREATE ROLE ${role}; ALTER SCHEMA public OWNER TO ${role}; GRANT ALL ON SCHEMA public TO ${db.user};
      CREATE EXTENSION "uuid-ossp" WITH SCHEMA public`);
    const owned = async () => {
      const checks = (await cli(['doctor', '--json'], db.env)).json().checks ?? [];
      return checks.filter(({ text }) => text.startsWith('schema ')).map(({ state, text }) => `${state}: ${text}`);
    };
    const admin = {
      DATABASE_MASTER_USER: 'postgres',
      DATABASE_MASTER_PASSWORD: inject('servers')[version]?.password ?? '',
    };
    const text = `schema public belongs to ${role}, who is neither this login`;
    expect(await owned()).toEqual([expect.stringContaining(`warning: ${text}`)]);
    const made = await cli(['bootstrap', '--json'], { ...db.env, ...admin });
    expect(made.json().warnings).toContainEqual(expect.stringContaining(text));
    // What bootstrap has made is the history's schema.
    await db.superQuery(`ALTER SCHEMA kasm_db OWNER TO ${role}; GRANT ALL ON SCHEMA kasm_db TO ${db.user};
      ALTER SCHEMA public OWNER TO ${db.user}`);
    expect(await owned()).toEqual([expect.stringContaining(`warning: schema kasm_db belongs to ${role}`)]);
    await db.superQuery('DROP TABLE kasm_db.migrations, kasm_db.run; ALTER SCHEMA public OWNER TO postgres');
    expect(await owned()).toEqual([expect.stringContaining(`failed: schema kasm_db belongs to ${role}`)]);
  });
});
