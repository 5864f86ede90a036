import { describe, expect, inject, it } from 'vitest';
import { ENGINE_VERSIONS } from '../fixtures/kasm/observe.js';
import { type CliRun, cli, folder } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { hasPgbouncer, startPgbouncer } from '../support/pgbouncer.js';

/**
 * What a migration leaves in the session (temporary tables, PREPARE, cursors, LISTEN, settings, role) reaches the next one, so a run at once differs
 * from a run in two: two files that depend on it have the same outcome in one run, in two, behind a pooler, in down scripts.
 */
interface Rest {
  /** What the first file leaves in the session. */
  leaves: string;
  /** What the second finds of it, as an expression of text. */
  finds: string;
  /** What it finds where nothing is left. */
  nothing: string | null;
}

const RESTS: Record<string, Rest> = {
  'a temporary table of the same name': {
    leaves: "CREATE TEMP TABLE rates (x text); INSERT INTO rates VALUES ('temporary')",
    finds: "SELECT string_agg(x, ',') FROM rates",
    nothing: 'public',
  },
  PREPARE: {
    leaves: "PREPARE q AS SELECT 'prepared'",
    finds: "SELECT count(*)::text FROM pg_prepared_statements WHERE name = 'q'",
    nothing: '0',
  },
  'a cursor WITH HOLD': {
    leaves: "DECLARE c CURSOR WITH HOLD FOR SELECT 'held'",
    finds: "SELECT count(*)::text FROM pg_cursors WHERE name = 'c'",
    nothing: '0',
  },
  'a function in pg_temp': {
    leaves: "CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql AS $$SELECT 'temporary'$$",
    finds: "SELECT to_regprocedure('pg_temp.f()')::text",
    nothing: null,
  },
  LISTEN: { leaves: 'LISTEN news', finds: "SELECT string_agg(c, ',') FROM pg_listening_channels() c", nothing: null },
  'SET of a setting of its own': {
    leaves: "SET kasm.mode = 'left'",
    finds: "SELECT coalesce(current_setting('kasm.mode', true), '')",
    nothing: '',
  },
  'SET statement_timeout': {
    leaves: 'SET statement_timeout = 1234567',
    finds: "SELECT current_setting('statement_timeout')",
    nothing: '0',
  },
  'SET search_path': {
    leaves: 'SET search_path = pg_catalog, public',
    finds: "SELECT current_setting('search_path')",
    nothing: 'public',
  },
  'SET ROLE': { leaves: 'SET ROLE other_role', finds: 'SELECT (current_user = session_user)::text', nothing: 'true' },
};

const HEAD = { transaction: '', 'no-transaction': '-- kasm-db: no-transaction\n' } as const;
const BASE = {
  '0001_base.sql':
    "CREATE TABLE public.seen (name text, what text); CREATE TABLE public.rates (x text); INSERT INTO public.rates VALUES ('public');",
};
const NOTHING = Object.entries(RESTS).map(([name, { nothing }]) => ({ name, what: nothing }));

/** Two files up, the second of which depends on what the first left; and the same as down scripts, where the second's comes first. */
function filesOf(kind: keyof typeof HEAD, role: string): Record<string, string> {
  const rests = Object.entries(RESTS);
  const leaves = HEAD[kind] + rests.map(([, rest]) => `${rest.leaves.replace('other_role', role)};\n`).join('');
  const finds =
    HEAD[kind] + rests.map(([name, rest]) => `INSERT INTO public.seen VALUES ('${name}', (${rest.finds}));\n`).join('');
  return {
    ...BASE,
    '0002_leaves.sql': leaves,
    '0003_finds.sql': finds,
    '0003_finds.down.sql': leaves,
    '0002_leaves.down.sql': finds,
  };
}

/** What the second file has found, by kind, once. */
async function found(db: TestDatabase): Promise<object[]> {
  const rows = await db.superQuery<{ name: string; what: string | null }>('SELECT name, what FROM public.seen');
  await db.superQuery('TRUNCATE public.seen');
  return rows;
}

async function ok(run: Promise<CliRun>): Promise<void> {
  const { code, stderr } = await run;
  expect(code, stderr).toBe(0);
}

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › what a migration leaves in the session', (version) => {
  const ways = (['transaction', 'no-transaction'] as const).flatMap((kind) =>
    (kind === 'transaction' ? (['direct', 'pooled'] as const) : (['direct'] as const)).map(
      (way) => [kind, way] as const,
    ),
  );

  it.each(ways)('trap 48: the same in one run as in two, up and down (%s, %s)', async (kind, way) => {
    if (way === 'pooled' && !hasPgbouncer()) return;
    const db = await createDatabase(version);
    await db.superQuery(`CREATE ROLE other_${db.name}; GRANT other_${db.name} TO ${db.user}`);
    const path = folder(filesOf(kind, `other_${db.name}`));
    // One server connection, so that whoever comes next gets it.
    const pooler = way === 'pooled' ? await startPgbouncer(db, 'transaction', ['default_pool_size = 1']) : undefined;
    const call = (...args: string[]) => cli([...args, '--json', '--migrations', path], pooler?.env ?? db.env);
    try {
      await ok(call('migrate'));
      expect(await found(db), 'up, in one run').toEqual(NOTHING);
      await ok(call('rollback', '--steps', '2', '--allow-data-loss'));
      expect(await found(db), 'down, in one run').toEqual(NOTHING);
      await ok(call('migrate', '--to', '0002_leaves'));
      await ok(call('migrate'));
      expect(await found(db), 'up, in two runs').toEqual(NOTHING);
    } finally {
      await pooler?.stop();
    }
  });

  it('a temporary table stands before the table of that name, within its file', async () => {
    const db = await createDatabase(version);
    const files = {
      '0001_rates.sql': 'CREATE TABLE rates (x integer); INSERT INTO rates VALUES (1), (2);',
      '0002_copy.sql': 'CREATE TEMP TABLE rates AS SELECT * FROM public.rates; DELETE FROM rates;',
      '0003_copy.sql':
        '-- kasm-db: no-transaction\nCREATE TEMP TABLE rates AS SELECT * FROM public.rates; DELETE FROM rates;',
    };
    await ok(cli(['migrate', '--json', '--migrations', folder(files)], db.env));
    expect(await db.query('SELECT x FROM public.rates')).toHaveLength(2);
  });

  it.each([
    'transaction',
    'no-transaction',
  ] as const)('%s: pg_advisory_unlock_all() is exit 7 naming the file', async (kind) => {
    const db = await createDatabase(version);
    const path = folder({
      '0001_one.sql': 'CREATE TABLE one ();',
      '0002_unlock.sql': `${HEAD[kind]}SELECT pg_advisory_unlock_all();`,
      '0003_two.sql': 'CREATE TABLE two ();',
    });
    const run = await cli(['migrate', '--json', '--migrations', path], db.env);
    expect(run.code, run.stderr).toBe(7);
    expect(run.json().error).toMatchObject({
      migration: '0002_unlock',
      message: expect.stringContaining('0002_unlock.sql'),
    });
    expect(run.json().applied?.map(({ name }) => name)).toEqual(['0001_one']);
  });

  it.each([
    [
      'transaction',
      'CREATE RULE r AS ON INSERT TO kasm_db.migrations DO INSTEAD NOTHING',
      'a rule r on kasm_db.migrations',
    ],
    [
      'transaction',
      'CREATE TRIGGER t BEFORE UPDATE ON kasm_db.run FOR EACH ROW EXECUTE FUNCTION f()',
      'a trigger t on kasm_db.run',
    ],
    [
      'no-transaction',
      'CREATE TRIGGER t AFTER INSERT ON kasm_db.migrations FOR EACH ROW EXECUTE FUNCTION f()',
      'a trigger t on kasm_db.migrations',
    ],
  ] as const)('%s: what would keep the history from being written is exit 7 naming it: %s', async (kind, sql, made) => {
    const db = await createDatabase(version);
    const path = folder({
      '0001_one.sql': "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
      '0002_two.sql': `${HEAD[kind]}${sql};`,
      '0003_three.sql': 'CREATE TABLE three ();',
    });
    const run = await cli(['migrate', '--json', '--migrations', path], db.env);
    expect(run.code, run.stderr).toBe(7);
    expect(run.json().error?.message).toMatch(new RegExp(`0002_two.sql has made ${made}, so it cannot be recorded$`));
    expect(run.json().applied?.map(({ name }) => name)).toEqual(['0001_one']);
    expect(await db.query("SELECT to_regclass('three') AS three")).toEqual([{ three: null }]);
  });

  it.each([
    ['transaction', 'TRUNCATE kasm_db.migrations'],
    ['transaction', "DELETE FROM kasm_db.migrations WHERE name = '0001_one'"],
    ['no-transaction', 'DELETE FROM kasm_db.migrations'],
    ['no-transaction', 'DO $$BEGIN DELETE FROM kasm_db.migrations; COMMIT; END$$'],
  ] as const)('%s: a file that empties the history is exit 7 naming it: %s', async (kind, sql) => {
    const db = await createDatabase(version);
    const path = folder({
      '0001_one.sql': 'CREATE TABLE one ();',
      '0002_two.sql': 'CREATE TABLE two ();',
      '0003_three.sql': `${HEAD[kind]}${sql};`,
      '0004_four.sql': 'CREATE TABLE four ();',
    });
    const run = await cli(['migrate', '--json', '--migrations', path], db.env);
    expect(run.code, run.stderr).toBe(7);
    expect(run.json().error?.message).toMatch(/0003_three\.sql has taken rows out of kasm_db\.migrations/);
    expect(run.json().applied?.map(({ name }) => name)).toEqual(['0001_one', '0002_two']);
    expect(await db.query("SELECT to_regclass('four') AS four")).toEqual([{ four: null }]);
    if (kind === 'transaction') expect(await db.query('SELECT FROM kasm_db.migrations')).toHaveLength(2);
  });

  it('SET SESSION AUTHORIZATION and SET ROLE hold for the rest of a no-transaction file, and the history is written as the login', async () => {
    const db = await createDatabase(version);
    const env = { ...db.env, POSTGRES_USER: 'postgres', POSTGRES_PASSWORD: inject('servers')[version]?.password ?? '' };
    await db.superQuery(
      `CREATE ROLE other_${db.name}; GRANT other_${db.name} TO ${db.user}; GRANT ALL ON SCHEMA public TO PUBLIC`,
    );
    const path = folder({
      '0001_one.sql': `-- kasm-db: no-transaction\nSET SESSION AUTHORIZATION ${db.user};\nCREATE TABLE a ();\nSET ROLE other_${db.name};\nCREATE TABLE b (x int);\nCREATE INDEX CONCURRENTLY i ON b (x);\nCREATE TABLE c ();`,
    });
    await ok(cli(['migrate', '--json', '--migrations', path], env));
    const owners =
      "SELECT relname AS name, relowner::regrole::text AS owner FROM pg_class WHERE relname IN ('a', 'b', 'c') ORDER BY 1";
    expect((await db.superQuery(owners)).map(({ owner }) => owner)).toEqual([
      db.user,
      `other_${db.name}`,
      `other_${db.name}`,
    ]);
    expect(await db.superQuery('SELECT applied_by FROM kasm_db.migrations')).toEqual([{ applied_by: 'postgres' }]);
  });

  it('a file that sets its transaction to READ ONLY is exit 7 naming that, not the server', async () => {
    const db = await createDatabase(version);
    const path = folder({ '0001_one.sql': 'CREATE TABLE one (); SET TRANSACTION READ ONLY;' });
    const run = await cli(['migrate', '--json', '--migrations', path], db.env);
    expect(run.code, run.stderr).toBe(7);
    expect(run.json().error?.message).toMatch(/0001_one\.sql has set its transaction to READ ONLY/);
  });

  it('RESET ALL, SET SESSION AUTHORIZATION, DISCARD TEMP and a role that may write nothing: the record is written as the login', async () => {
    const db = await createDatabase(version);
    const files = {
      '0001_one.sql': 'RESET ALL; RESET SESSION AUTHORIZATION; CREATE TABLE public.one ();',
      '0002_two.sql': `SET ROLE other_${db.name};`,
      '0003_two.sql': `-- kasm-db: no-transaction\nSET ROLE other_${db.name};\nSELECT 1;\n`,
      '0004_three.sql': `-- kasm-db: no-transaction\nSET SESSION AUTHORIZATION ${db.user};\nSET ROLE other_${db.name};\nSELECT 1;\n`,
    };
    await db.superQuery(`CREATE ROLE other_${db.name}; GRANT other_${db.name} TO ${db.user}`);
    await ok(cli(['migrate', '--json', '--migrations', folder(files)], db.env));
    expect(await db.superQuery('SELECT DISTINCT applied_by FROM kasm_db.migrations')).toEqual([
      { applied_by: db.user },
    ]);
  });
});
