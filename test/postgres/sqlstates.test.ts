import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as library from '../../src/index.js';
import type { Result } from '../../src/output/result.js';
import { newSecrets } from '../fixtures/seed/seeding.js';
import { folder } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { ONE, TWO } from '../support/migrations.js';
import { hasPgbouncer, startPgbouncer } from '../support/pgbouncer.js';
import { busy } from '../support/time.js';

const SRC = join(import.meta.dirname, '../../src');
/** The one place where that is done; our own parser's; rows of a seed, whose values nobody is told; a history that is somebody else's, and a rehearsal without CREATEDB. */
const BY_HAND = [
  'history/read-state.ts',
  'postgres/parser.ts',
  'postgres/server-error.ts',
  'rehearsal/temporary-database.ts',
  'seed/guarded.ts',
];

it('whoever tells an SQLSTATE takes it with what the server says beside it', () => {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  const byHand = files.filter((file) => /\bsqlstate: (error|'|code)/.test(readFileSync(join(SRC, file), 'utf8')));
  expect(byHand.sort()).toEqual(BY_HAND);
});

/** What the server said of it, and what is to be done. */
interface Said {
  sqlstate: string;
  message: RegExp;
  hint: RegExp;
}

interface Case extends Said {
  what: string;
  run(db: TestDatabase): Promise<Result>;
}

const migrate = (db: TestDatabase, files: Record<string, string> = ONE, more: Record<string, string> = {}) =>
  library.migrate({ env: { ...db.env, ...more }, migrations: folder(files) });
const DENIED = /permission denied/;

const CASES: Case[] = [
  {
    what: 'SET ROLE to a role that the login is no member of',
    run: (db) => library.status({ env: db.env, role: 'postgres' }),
    sqlstate: '42501',
    message: /^cannot SET ROLE "postgres": permission denied/,
    hint: /GRANT it to the login WITH SET TRUE/,
  },
  {
    what: 'SET ROLE to a role that is not there',
    run: (db) => library.status({ env: db.env, role: 'nobody_at_all' }),
    sqlstate: '22023',
    message: /^cannot SET ROLE "nobody_at_all": role "nobody_at_all" does not exist/,
    hint: /create the role/,
  },
  {
    what: 'making the history without the right to',
    run: async (db) => {
      await db.superQuery(`ALTER DATABASE ${db.name} OWNER TO postgres`);
      return migrate(db);
    },
    sqlstate: '42501',
    message: /creating the history \(schema kasm_db\): permission denied for database/,
    hint: /GRANT CREATE ON DATABASE/,
  },
  {
    what: 'reading a history that the role may not see',
    run: async (db) => {
      await migrate(db);
      await db.superQuery(`ALTER DATABASE ${db.name} OWNER TO postgres; ALTER SCHEMA kasm_db OWNER TO postgres;
        ALTER TABLE kasm_db.migrations OWNER TO postgres; ALTER TABLE kasm_db.run OWNER TO postgres`);
      return library.check({ env: db.env, migrations: folder(ONE) });
    },
    sqlstate: '42501',
    message: DENIED,
    hint: /GRANT SELECT ON kasm_db.migrations, kasm_db.run/,
  },
  {
    what: 'reading a table of the catalog that a hardened server keeps for itself',
    run: async (db) => {
      await db.superQuery('REVOKE SELECT ON pg_catalog.pg_database FROM PUBLIC');
      return library.check({ env: db.env, migrations: folder(ONE) });
    },
    sqlstate: '42501',
    message: /permission denied for table pg_database/,
    hint: /^grant the privilege/,
  },
  {
    what: 'a migration that makes an extension which an admin alone may make',
    run: (db) => migrate(db, { '0001_x.sql': 'CREATE EXTENSION file_fdw;\n' }),
    sqlstate: '42501',
    message: /failed at .*0001_x\.sql:1.*permission denied to create extension "file_fdw"/,
    hint: /an admin has to run in this database: CREATE EXTENSION IF NOT EXISTS file_fdw;.*PostgreSQL says: Must be superuser/,
  },
  {
    what: 'a migration that makes an extension whose files are not there',
    run: (db) => migrate(db, { '0001_x.sql': 'CREATE EXTENSION no_such_one;\n' }),
    sqlstate: '0A000',
    message: /extension "no_such_one" is not available/,
    hint: /CREATE EXTENSION IF NOT EXISTS no_such_one;.*PostgreSQL says: The extension must first be installed/,
  },
  {
    what: 'a COMMIT that fails by a deferred constraint of somebody else',
    run: async (db) => {
      await migrate(db);
      await db.query(`CREATE FUNCTION public.late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'too late' USING HINT = 'be early'; END $$;
        CREATE CONSTRAINT TRIGGER late AFTER INSERT ON public.one DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.late()`);
      return migrate(db, { ...ONE, '0002_row.sql': 'INSERT INTO one VALUES (1);\n' });
    },
    sqlstate: 'P0001',
    message: /0002_row.*too late/,
    hint: /PostgreSQL says: be early/,
  },
  {
    what: 'a record that somebody keeps from being written',
    run: async (db) => {
      await migrate(db);
      const other = await db.connect();
      await other.query('BEGIN; LOCK TABLE kasm_db.run IN SHARE MODE');
      try {
        return await library.migrate({ env: db.env, migrations: folder(TWO), lockTimeout: `${busy(500)}ms` });
      } finally {
        await other.end();
      }
    },
    sqlstate: '55P03',
    message: /lock timeout.*in the way/,
    hint: /--lock-timeout/,
  },
  {
    what: 'a seed into a table that the role may not write to',
    run: async (db) => {
      await library.migrate({ env: db.env });
      await db.superQuery(
        `ALTER TABLE public.settings OWNER TO postgres; GRANT SELECT ON public.settings TO ${db.user}`,
      );
      return library.seed({ env: db.env, secrets: folder(newSecrets()) });
    },
    sqlstate: '42501',
    message: /permission denied/,
    hint: /as the owner of the tables|grant|GRANT|owner/,
  },
  {
    what: 'a seed whose row a constraint of somebody else refuses',
    run: async (db) => {
      await library.migrate({ env: db.env });
      await db.query("ALTER TABLE public.zones ADD CONSTRAINT mine CHECK (zone_name = 'elsewhere')");
      return library.seed({ env: db.env, secrets: folder(newSecrets()) });
    },
    sqlstate: '23514',
    message: /the database refused a row \(.*constraint mine\)/,
    hint: /additionally demands/,
  },
  {
    what: 'a rollback whose down migration fails',
    run: async (db) => {
      const files = { ...ONE, '0001_one.down.sql': 'DROP TABLE not_there;\n' };
      await migrate(db, files);
      return library.rollback({ env: db.env, migrations: folder(files), steps: 1 });
    },
    sqlstate: '42P01',
    message: /table "not_there" does not exist/,
    hint: /./,
  },
  {
    what: 'bootstrap with an admin who may not make roles',
    run: (db) =>
      library.bootstrap({
        env: {
          ...db.env,
          ...{ POSTGRES_USER: `new_${db.user}`, POSTGRES_PASSWORD: 's3cr3t-new-one' },
          ...{ DATABASE_MASTER_USER: db.user, DATABASE_MASTER_PASSWORD: db.password },
        },
      }),
    sqlstate: '42501',
    message: /making role .*permission denied to create role/,
    hint: /as a superuser or the owner: CREATE ROLE/,
  },
  {
    what: 'a run whose session an admin ends',
    run: (db) => migrate(db, { '0001_x.sql': 'SELECT pg_terminate_backend(pg_backend_pid());\n' }),
    sqlstate: '57P01',
    message: /terminating connection due to administrator command/,
    hint: /run the same command again/,
  },
];

describe('every way to an SQLSTATE › the server’s words, and a next step', () => {
  it.each(CASES.map((one) => [one.what, one] as const))('%s', async (_what, { run, sqlstate, message, hint }) => {
    const result = await run(await createDatabase());
    expect(result.error).toMatchObject({
      sqlstate,
      message: expect.stringMatching(message),
      hint: expect.stringMatching(hint),
    });
  });

  it.runIf(hasPgbouncer())('a pooler that gives every statement to another connection', async () => {
    const db = await createDatabase();
    const pooler = await startPgbouncer(db, 'statement');
    const result = await migrate(db, ONE, pooler.env);
    await pooler.stop();
    expect(result).toMatchObject({
      exitCode: 9,
      error: {
        sqlstate: '08P01',
        message: expect.stringMatching(/statement pooling/),
        hint: expect.stringMatching(/DIRECT_URL/),
      },
    });
  });
});
