import { describe, expect, it } from 'vitest';
import { ENGINE_VERSIONS } from '../fixtures/kasm/observe.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { hasPgbouncer, startPgbouncer } from '../support/pgbouncer.js';

const NO_TRANSACTION = '-- kasm-db: no-transaction\n';

/** Two tables: one that a temporary table takes the name of, one for what the next file finds. */
const TABLES = `CREATE TABLE rates (x integer);
INSERT INTO rates VALUES (1), (2);
CREATE TABLE found (what text, n bigint);
`;

/** Leaves something of each kind in the session, and works on a temporary table that has the name of another. */
const LEAVES = `CREATE TEMP TABLE rates AS SELECT * FROM public.rates;
DELETE FROM rates;
PREPARE left_statement AS SELECT 1;
DECLARE left_cursor CURSOR WITH HOLD FOR SELECT 1;
LISTEN left_channel;
CREATE FUNCTION pg_temp.left_function() RETURNS integer LANGUAGE sql AS 'SELECT 1';
SET leftover.setting = 'set';
SET DateStyle = 'German';
SET lock_timeout = '77s';
SET search_path = pg_temp, public;
`;

/** What the next file would see of it. */
const FINDS = `INSERT INTO rates VALUES (3);
INSERT INTO found VALUES
  ('rows of rates', (SELECT count(*) FROM public.rates)),
  ('statements', (SELECT count(*) FROM pg_prepared_statements WHERE name = 'left_statement')),
  ('cursors', (SELECT count(*) FROM pg_cursors WHERE name = 'left_cursor')),
  ('channels', (SELECT count(*) FROM pg_listening_channels())),
  ('functions', (SELECT count(*) FROM pg_proc WHERE proname = 'left_function' AND pronamespace = pg_my_temp_schema())),
  ('settings', (SELECT count(*) FROM pg_settings WHERE (name, setting) IN (('DateStyle', 'German, DMY'), ('lock_timeout', '77000')))),
  ('own settings', (SELECT count(*) WHERE current_setting('leftover.setting', true) <> ''));
`;

const FOUND = [
  { what: 'channels', n: 0 },
  { what: 'cursors', n: 0 },
  { what: 'functions', n: 0 },
  { what: 'own settings', n: 0 },
  { what: 'rows of rates', n: 3 },
  { what: 'settings', n: 0 },
  { what: 'statements', n: 0 },
];

const found = (db: TestDatabase) => db.query('SELECT what, n::int FROM found ORDER BY what');

async function succeeds(args: string[], env: Record<string, string>): Promise<void> {
  const run = await cli(args, env);
  expect(run.code, run.stderr).toBe(0);
}

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › what a migration leaves in the session', (version) => {
  it.each([
    ['in a transaction', ''],
    ['in no transaction', NO_TRANSACTION],
  ])('trap 48: does not reach the next one, in one run as in two, %s', async (_, directive) => {
    const files = folder({ '0001_tables.sql': TABLES, '0002_leaves.sql': directive + LEAVES, '0003_finds.sql': FINDS });
    const [once, twice] = [await createDatabase(version), await createDatabase(version)];
    await succeeds(['migrate', '--migrations', files], once.env);
    for (const to of ['0002_leaves', '0003_finds'])
      await succeeds(['migrate', '--to', to, '--migrations', files], twice.env);
    expect(await found(once)).toEqual(FOUND);
    expect(await found(twice)).toEqual(FOUND);
  });

  it.each([
    ['in a transaction', ''],
    ['in no transaction', NO_TRANSACTION],
  ])('trap 48: nor does what a down script leaves, %s', async (_, directive) => {
    const files = folder({
      '0001_tables.sql': TABLES,
      '0002_finds.sql': 'SELECT 1;',
      '0002_finds.down.sql': FINDS,
      '0003_leaves.sql': `${directive}SELECT 1;`,
      '0003_leaves.down.sql': directive + LEAVES,
    });
    for (const calls of [['2'], ['1', '1']]) {
      const db = await createDatabase(version);
      await succeeds(['migrate', '--migrations', files], db.env);
      for (const steps of calls)
        await succeeds(['rollback', '--steps', steps, '--allow-data-loss', '--migrations', files], db.env);
      expect(await found(db), `${calls.length} calls`).toEqual(FOUND);
    }
  });

  it.runIf(hasPgbouncer())('trap 48: nor behind a pooler, where the next client gets the session', async () => {
    const db = await createDatabase(version);
    const pooler = await startPgbouncer(db, 'transaction', ['default_pool_size = 1']);
    try {
      const files = folder({ '0001_tables.sql': TABLES, '0002_leaves.sql': LEAVES, '0003_finds.sql': FINDS });
      await succeeds(['migrate', '--migrations', files], pooler.env);
      expect(await found(db)).toEqual(FOUND);
    } finally {
      await pooler.stop();
    }
  });
});
