import { describe, expect, it } from 'vitest';
import * as library from '../../src/index.js';
import { fingerprint, historyOf } from '../fixtures/kasm/catalog.js';
import {
  advisoryLocks,
  check,
  ENGINE_VERSIONS,
  lockTaken,
  midStatement,
  migrate,
  noSession,
  runRow,
  tableExists,
} from '../fixtures/kasm/observe.js';
import { type CliRun, cli, folder, startCli } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { hasPgbouncer, startPgbouncer } from '../support/pgbouncer.js';
import { MIGRATIONS } from '../support/release.js';

function rollback(
  db: { env: Record<string, string> },
  migrations: string | undefined,
  ...args: string[]
): Promise<CliRun> {
  return cli(['rollback', '--json', ...(migrations ? ['--migrations', migrations] : []), ...args], db.env);
}

/** The same in this process: a start of the program for each of many steps would cost most of the time. */
const inProcess = (db: TestDatabase) => ({
  up: (migrations?: string, to?: string) =>
    library.migrate({ env: db.env, ...(migrations ? { migrations } : {}), ...(to ? { to } : {}) }),
  down: (migrations: string | undefined, goal: library.RollbackCommandOptions) =>
    library.rollback({ env: db.env, ...(migrations ? { migrations } : {}), ...goal }),
});

const undone = (run: CliRun) => run.json().rolledBack?.map(({ name }) => name);

const FILES = {
  '0001_one.sql': 'CREATE TABLE one (x integer);\n',
  '0001_one.down.sql': 'DROP TABLE one;\n',
  '0002_two.sql': 'CREATE TABLE two (x integer);\nALTER TABLE one ADD COLUMN note text;\n',
  '0002_two.down.sql': 'DROP TABLE two;\nALTER TABLE one DROP COLUMN note;\n',
  '0003_three.sql': 'CREATE TABLE three (x integer);\n',
  '0003_three.down.sql': 'DROP TABLE three;\n',
};

async function migrated(files: Record<string, string> = FILES, version?: (typeof ENGINE_VERSIONS)[number]) {
  const db = await createDatabase(version);
  const path = folder(files);
  const run = await migrate(db, path);
  expect(run.code, run.stderr).toBe(0);
  return { db, path };
}

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › rollback', (version) => {
  it('every migration of Kasm: up, down, up leaves the same catalog, one by one and all at once', async () => {
    const db = await createDatabase(version);
    const { up, down } = inProcess(db);
    const prints: string[] = [];
    for (const name of MIGRATIONS) {
      expect(await up(undefined, name)).toMatchObject({ outcome: 'ok', applied: [{ name }] });
      prints.push(await fingerprint(db));
    }
    const history = (await historyOf(db)).map(({ name, checksum }) => [name, checksum]);
    for (let i = MIGRATIONS.length - 1; i >= 0; i--) {
      expect(await down(undefined, { steps: 1 })).toMatchObject({
        outcome: 'ok',
        rolledBack: [{ name: MIGRATIONS[i] }],
      });
      // 0001 leaves the extension, as its down script says.
      if (i > 0) expect(await fingerprint(db), `after undoing ${MIGRATIONS[i]}`).toBe(prints[i - 1]);
    }
    expect(await historyOf(db)).toEqual([]);
    expect(await up()).toMatchObject({ outcome: 'ok' });
    expect(await fingerprint(db)).toBe(prints.at(-1));
    const all = await rollback(db, undefined, '--to', 'none');
    expect(all.code, all.stderr).toBe(0);
    expect(undone(all)).toEqual([...MIGRATIONS].reverse());
    expect(await up()).toMatchObject({ outcome: 'ok' });
    expect(await fingerprint(db)).toBe(prints.at(-1));
    expect((await historyOf(db)).map(({ name, checksum }) => [name, checksum])).toEqual(history);
    expect(await advisoryLocks(db)).toEqual([]);
  });

  it('--to leaves NAME applied; --steps counts; twice is a no-op; the run row says done', async () => {
    const { db, path } = await migrated(FILES, version);
    const first = await rollback(db, path, '--to', '0001_one');
    expect(first.code, first.stderr).toBe(0);
    expect(first.json()).toMatchObject({ current: '0001_one', target: '0001_one' });
    expect(undone(first)).toEqual(['0003_three', '0002_two']);
    expect(await runRow(db)).toMatchObject({ phase: 'done', done: 2, total: 2, error: null });
    const again = await rollback(db, path, '--to', '0001_one');
    expect(again.json()).toMatchObject({ outcome: 'ok', rolledBack: [] });
    expect((await check(db, path)).code).toBe(3);
    expect((await migrate(db, path)).json().applied).toHaveLength(2);
    expect(undone(await rollback(db, path, '--steps', '2'))).toEqual(['0003_three', '0002_two']);
    expect(undone(await rollback(db, path, '--steps', '9'))).toEqual(['0001_one']);
    expect(await tableExists(db, 'one')).toBe(false);
  });

  it('refuses to drop tables and columns that hold something, before anything is run; --allow-data-loss does it', async () => {
    const { db, path } = await migrated(FILES, version);
    const before = await fingerprint(db);
    await db.query("INSERT INTO one VALUES (1, NULL), (2, NULL), (3, 'kept')");
    await db.query('INSERT INTO two SELECT generate_series(1, 1500)');
    const run = await rollback(db, path, '--to', 'none');
    expect(run.code).toBe(6);
    expect(run.json().error?.message).toContain('table two (more than 1000 rows)');
    expect(run.json().error?.message).toContain('column one.note (1 value)');
    expect(run.json().error?.message).toContain('table one (3 rows)');
    expect(run.json().error?.hint).toContain('--allow-data-loss');
    expect(run.json().rolledBack).toBeUndefined();
    // three holds nothing; it is still there as the whole call was refused.
    expect(await fingerprint(db)).toBe(before);
    expect((await rollback(db, path, '--to', 'none', '--dry-run')).code).toBe(6);
    expect(undone(await rollback(db, path, '--steps', '1'))).toEqual(['0003_three']);
    const all = await rollback(db, path, '--to', 'none', '--allow-data-loss');
    expect(all.code, all.stderr).toBe(0);
    expect(await tableExists(db, 'one')).toBe(false);
  });

  it('also what a script does not say: CASCADE, DO blocks, partitions, a table under another name', async () => {
    for (const sql of [
      'DROP SCHEMA apart CASCADE;',
      "DO $$ BEGIN EXECUTE 'DROP TABLE apart.data'; END $$;",
      'ALTER TABLE apart.data RENAME TO other; DROP TABLE apart.other;',
      'SET search_path = apart; DROP TABLE data;',
      "ALTER TABLE apart.data ALTER COLUMN k SET DEFAULT 'a'; DROP TABLE apart.data CASCADE;",
      'TRUNCATE apart.data;',
      'ALTER TABLE apart.data DROP COLUMN k;',
      'DROP TYPE apart.kind CASCADE;',
    ]) {
      const db = await createDatabase(version);
      const path = folder({
        '0001_one.sql':
          "CREATE SCHEMA apart; CREATE TYPE apart.kind AS ENUM ('a'); CREATE TABLE apart.data (x int, k apart.kind) PARTITION BY RANGE (x); CREATE TABLE apart.part PARTITION OF apart.data DEFAULT;\n",
        '0001_one.down.sql': `${sql}\n`,
      });
      const { up, down } = inProcess(db);
      expect(await up(path)).toMatchObject({ outcome: 'ok' });
      await db.query("INSERT INTO apart.data VALUES (1, 'a')");
      const before = await fingerprint(db);
      const refused = await down(path, { steps: 1 });
      expect(refused, sql).toMatchObject({ outcome: 'integrity' });
      expect(refused.error?.message, sql).toContain('would lose data: ');
      expect(await fingerprint(db), sql).toBe(before);
      await db.query('TRUNCATE apart.data');
      expect(await down(path, { steps: 1 }), sql).toMatchObject({ outcome: 'ok', rolledBack: [{ name: '0001_one' }] });
    }
  });

  it('a row that is written while we look is not lost: the table is locked before it is looked at', async () => {
    const { db, path } = await migrated(FILES, version);
    const client = await db.connect();
    await client.query('BEGIN');
    await client.query('INSERT INTO three VALUES (1)');
    const run = startCli(['rollback', '--json', '--migrations', path, '--steps', '1'], db.env);
    await midStatement(db, 'LOCK TABLE');
    await client.query('COMMIT');
    await client.end();
    const { code, stdout } = await run.ended;
    expect(code, stdout).toBe(6);
    expect(await db.query('SELECT x FROM three')).toEqual([{ x: 1 }]);
  });

  it('a down script that fails keeps its migration, and says what was rolled back before it', async () => {
    const { db, path } = await migrated(
      { ...FILES, '0002_two.down.sql': 'DROP TABLE two;\nDROP TABLE never_there;\n' },
      version,
    );
    const run = await rollback(db, path, '--steps', '3');
    expect(run.code).toBe(7);
    expect(run.json().error).toMatchObject({ migration: '0002_two', file: `${path}/0002_two.down.sql`, line: 2 });
    expect(run.json().error?.hint).toContain('kasm-db rollback --to none');
    expect(undone(run)).toEqual(['0003_three']);
    expect(await tableExists(db, 'two')).toBe(true);
    expect((await historyOf(db)).map(({ name }) => name)).toEqual(['0001_one', '0002_two']);
    expect(await runRow(db)).toMatchObject({ phase: 'failed', current: '0002_two', done: 1, total: 3 });
    expect(await advisoryLocks(db)).toEqual([]);
  });

  it('SIGTERM and kill -9 in the middle: rolled back, and the rerun goes on', async () => {
    const slow = {
      ...FILES,
      '0002_two.down.sql': 'DROP TABLE two;\nSELECT pg_sleep(30);\nALTER TABLE one DROP COLUMN note;\n',
    };
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const { db, path } = await migrated(slow, version);
      const { child, ended } = startCli(['rollback', '--json', '--migrations', path, '--to', 'none'], db.env);
      const pid = await midStatement(db, 'pg_sleep(30)');
      child.kill(signal);
      const run = await ended;
      if (signal === 'SIGTERM') {
        expect(run.code).toBe(143);
        expect(undone(run)).toEqual(['0003_three']);
      } else await db.superQuery(`SELECT pg_terminate_backend(${pid})`);
      await noSession(db);
      expect((await historyOf(db)).map(({ name }) => name)).toEqual(['0001_one', '0002_two']);
      expect(await tableExists(db, 'two')).toBe(true);
      const rerun = await rollback(db, folder(FILES), '--to', 'none');
      expect(rerun.code, rerun.stderr).toBe(0);
      expect(undone(rerun)).toEqual(['0002_two', '0001_one']);
    }
  });

  it('no-transaction: what one DROP names is dropped though a part of it is gone, and the script can be run again', async () => {
    const db = await createDatabase(version);
    const files = folder({
      '0001_alone.sql': `-- kasm-db: no-transaction
CREATE TABLE a ();
CREATE TABLE b ();
CREATE SCHEMA s;
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TABLE needed ();
`,
      '0001_alone.down.sql': `-- kasm-db: no-transaction
DROP TABLE a, b;
DROP FUNCTION f();
DROP SCHEMA s;
DROP TABLE needed;
DROP ROLE somebody_who_is_not_there;
`,
    });
    expect((await migrate(db, files)).code).toBe(0);
    await db.query('DROP TABLE a');
    for (let i = 0; i < 2; i++) {
      const run = await rollback(db, files, '--steps', '1');
      expect(run.json().error, run.stderr).toMatchObject({ line: 6, sqlstate: expect.stringMatching(/42704|42501/) });
    }
    const left = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'";
    expect(await db.query(left)).toEqual([]);
  });

  it('no-transaction: killed half-way it counts as not applied, and the rerun goes on', async () => {
    const files = {
      '0001_t.sql': 'CREATE TABLE t (a int, b int);\n',
      '0001_t.down.sql': 'DROP TABLE t;\n',
      '0002_alone.sql':
        '-- kasm-db: no-transaction\nCREATE INDEX CONCURRENTLY t_a ON t (a);\nCREATE INDEX CONCURRENTLY t_b ON t (b);\n',
      '0002_alone.down.sql': '-- kasm-db: no-transaction\nDROP INDEX CONCURRENTLY t_b;\nDROP INDEX CONCURRENTLY t_a;\n',
    };
    const { db, path } = await migrated(files, version);
    const before = await fingerprint(db);
    const client = await db.connect();
    const { child, ended } = startCli(
      [
        'rollback',
        '--json',
        '--steps',
        '1',
        '--migrations',
        folder({ ...files, '0002_alone.down.sql': `${files['0002_alone.down.sql']}SELECT pg_sleep(30);\n` }),
      ],
      db.env,
    );
    const pid = await midStatement(db, 'pg_sleep(30)');
    child.kill('SIGKILL');
    await ended;
    await db.superQuery(`SELECT pg_terminate_backend(${pid})`);
    await noSession(db);
    await client.end();
    expect((await check(db, path)).code).toBe(3);
    const rerun = await rollback(db, path, '--to', '0001_t');
    expect(rerun.code, rerun.stderr).toBe(0);
    expect(undone(rerun)).toEqual(['0002_alone']);
    expect((await migrate(db, path)).code).toBe(0);
    expect(await fingerprint(db)).toBe(before);
    // Or forward again from the middle.
    await db.query("UPDATE kasm_db.migrations SET statements_done = 0, duration_ms = NULL WHERE name = '0002_alone'");
    await db.query('DROP INDEX t_b');
    expect((await migrate(db, path)).code).toBe(0);
    expect(await fingerprint(db)).toBe(before);
  });
});

describe('rollback › refusals, each with nothing run', () => {
  it('neither or both of --to and --steps, wrong values, unknown names: exit 2', async () => {
    const { db, path } = await migrated();
    for (const [args, said] of [
      [[], 'exactly one'],
      [['--to', '0001_one', '--steps', '1'], 'exactly one'],
      [['--steps', '0'], 'whole number'],
      [['--steps', '1.5'], 'whole number'],
      [['--steps', 'two'], 'whole number'],
      [['--to', '0001_oen'], 'no migration "0001_oen"'],
    ] as const) {
      const run = await rollback(db, path, ...args);
      expect([run.code, run.json().error?.message], args.join(' ')).toEqual([2, expect.stringContaining(said)]);
    }
    expect((await rollback(db, path, '--to', '0001_oen')).json().error?.hint).toContain('0001_one');
    await rollback(db, path, '--steps', '1');
    const later = await rollback(db, path, '--to', '0003_three');
    expect([later.code, later.json().error?.message]).toEqual([2, expect.stringContaining('not applied')]);
  });

  it('missing down scripts are all named: exit 6', async () => {
    const { '0001_one.down.sql': _one, '0002_two.down.sql': _two, ...files } = FILES;
    const { db, path } = await migrated(files);
    const run = await rollback(db, path, '--to', 'none');
    expect(run.code).toBe(6);
    expect(run.json().error?.message).toContain('0002_two.down.sql, 0001_one.down.sql');
    expect(await tableExists(db, 'three')).toBe(true);
    expect(undone(await rollback(db, path, '--steps', '1'))).toEqual(['0003_three']);
  });

  it('a database ahead of this build, a changed file, an upgrade by Kasm, transaction control: nothing is run', async () => {
    const { db } = await migrated();
    const { '0003_three.sql': _up, '0003_three.down.sql': _down, ...older } = FILES;
    const ahead = await rollback(db, folder(older), '--steps', '1');
    expect([ahead.code, ahead.json().error?.message]).toEqual([6, expect.stringContaining('ahead of this build')]);
    const changed = await rollback(
      db,
      folder({ ...FILES, '0003_three.sql': 'CREATE TABLE three (y text);' }),
      '--steps',
      '1',
    );
    expect([changed.code, changed.json().error?.hint]).toEqual([6, expect.stringContaining('repair --checksums')]);
    const control = await rollback(
      db,
      folder({ ...FILES, '0002_two.down.sql': 'DROP TABLE two;\nCOMMIT;\n' }),
      '--steps',
      '2',
    );
    expect([control.code, control.json().error?.line]).toEqual([2, 2]);
    expect(await tableExists(db, 'three')).toBe(true);

    const kasm = await createDatabase();
    expect((await migrate(kasm)).code).toBe(0);
    await kasm.query("UPDATE alembic_version SET version_num = 'ffffffffffff'");
    const upgraded = await rollback(kasm, undefined, '--steps', '1');
    expect([upgraded.code, upgraded.json().error?.message]).toEqual([6, expect.stringContaining('ffffffffffff')]);
  });

  it('--dry-run lists, and changes nothing', async () => {
    const { db, path } = await migrated();
    const before = [await fingerprint(db), await historyOf(db), await runRow(db)];
    const run = await rollback(db, path, '--to', '0001_one', '--dry-run');
    expect(run.json()).toMatchObject({ toRollBack: ['0003_three', '0002_two'], rolledBack: [], current: '0003_three' });
    expect([await fingerprint(db), await historyOf(db), await runRow(db)]).toEqual(before);
  });

  it('--dry-run --allow-data-loss lists what would be lost', async () => {
    const { db, path } = await migrated();
    await db.query('INSERT INTO three VALUES (1), (2)');
    const run = await rollback(db, path, '--steps', '1', '--dry-run', '--allow-data-loss');
    expect(run.json()).toMatchObject({ exitCode: 0, rolledBack: [], losses: [{ table: 'public.three', rows: 2 }] });
    const text = await cli(
      ['rollback', '--steps', '1', '--dry-run', '--allow-data-loss', '--migrations', path],
      db.env,
    );
    expect(text.stdout).toContain('Would lose:\n  table three (2 rows)');
    expect(await tableExists(db, 'three')).toBe(true);
  });

  it('a table whose policy hides its rows is not empty', async () => {
    const { db, path } = await migrated();
    await db.query(
      'INSERT INTO three VALUES (1); ALTER TABLE three ENABLE ROW LEVEL SECURITY; ALTER TABLE three FORCE ROW LEVEL SECURITY',
    );
    expect(await db.query('SELECT * FROM three')).toEqual([]);
    const run = await rollback(db, path, '--steps', '1');
    expect([6, 9]).toContain(run.code);
    expect(await tableExists(db, 'three')).toBe(true);
  });

  it('while another migrator has the lock it waits, then exit 5', async () => {
    const { db, path } = await migrated();
    const client = await db.connect();
    await client.query("SELECT pg_advisory_lock(x'6b61736d2d6462'::bigint)");
    await lockTaken(db);
    const run = await rollback(db, path, '--steps', '1', '--lock-timeout', '300ms');
    await client.end();
    expect(run.code, run.stdout).toBe(5);
    expect(await tableExists(db, 'three')).toBe(true);
  });
});

describe('rollback › seeded rows', () => {
  it('are refused to be dropped; dropped all the same, they are seeded again after the way back up', async () => {
    const db = await createDatabase();
    const secrets = folder({
      'admin-password': 's3cr3t-admin-1',
      'user-password': 's3cr3t-user-1',
      'manager-token': 's3cr3t-manager-token-1',
      'service-token': 's3cr3t-service-token-1',
    });
    const seeded = () => cli(['migrate', '--seed', '--json', '--secrets', secrets], db.env);
    const count = async () =>
      (await db.query('SELECT (SELECT count(*)::int FROM settings) AS s, (SELECT count(*)::int FROM users) AS u'))[0];
    const first = await seeded();
    expect(first.code, first.stderr).toBe(0);
    const before = await count();
    expect((await check(db, undefined, '--seed')).code).toBe(0);
    const refused = await rollback(db, undefined, '--to', '0014_storage');
    expect([refused.code, refused.json().error?.message]).toEqual([6, expect.stringContaining('table settings (')]);
    expect(await count()).toEqual(before);
    const run = await rollback(db, undefined, '--to', '0014_storage', '--allow-data-loss');
    expect(run.code, run.stderr).toBe(0);
    expect(await db.query("SELECT 1 FROM kasm_db.seeds WHERE table_name = 'settings'")).toEqual([]);
    expect((await migrate(db)).code).toBe(0);
    expect((await check(db, undefined, '--seed')).code).toBe(3);
    const again = await seeded();
    expect(again.code, again.stderr).toBe(0);
    expect(await count()).toEqual(before);
    expect((await check(db, undefined, '--seed')).code).toBe(0);
  });
});

describe.skipIf(!hasPgbouncer())('rollback › through a transaction pooler', () => {
  it('each migration in a transaction that takes the lock; rows refuse it; no lock is left', async () => {
    const { db, path } = await migrated();
    const pooler = await startPgbouncer(db, 'transaction');
    try {
      await db.query('INSERT INTO two VALUES (1)');
      const refused = await rollback(pooler, path, '--to', 'none');
      expect(refused.code, refused.stdout).toBe(6);
      await db.query('TRUNCATE two');
      const runs = await Promise.all([rollback(pooler, path, '--to', 'none'), rollback(pooler, path, '--to', 'none')]);
      for (const run of runs) expect([run.code, run.json().database?.connection], run.stderr).toEqual([0, 'pooled']);
      expect(runs.flatMap((run) => undone(run) ?? []).sort()).toEqual(['0001_one', '0002_two', '0003_three']);
      expect((await migrate({ ...db, env: pooler.env } as TestDatabase, path)).code).toBe(0);
      expect(await advisoryLocks(db)).toEqual([]);
    } finally {
      await pooler.stop();
    }
  });
});
