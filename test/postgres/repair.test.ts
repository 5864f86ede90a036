import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as library from '../../src/index.js';
import type { Result } from '../../src/output/result.js';
import { historyOf } from '../fixtures/kasm/catalog.js';
import { advisoryLocks, ENGINE_VERSIONS } from '../fixtures/kasm/observe.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { hasPgbouncer, startPgbouncer } from '../support/pgbouncer.js';

const TABLE = { '0001_t.sql': 'CREATE TABLE t (a int, b int);\nINSERT INTO t VALUES (1, 1), (1, 2);\n' };
const alone = (sql: string) => ({ ...TABLE, '0002_alone.sql': `-- kasm-db: no-transaction\n${sql}\n` });

const migrate = (db: TestDatabase, migrations: string) => library.migrate({ env: db.env, migrations });
const status = (db: TestDatabase, migrations: string) => library.status({ env: db.env, migrations });

/** The calls of `repair` that an error names, as options. */
function namedCalls(result: Result): { words: string; options: library.RepairCommandOptions }[] {
  const calls = [...(result.error?.hint ?? '').matchAll(/kasm-db repair((?: --[a-z-]+(?: [\w]+)?)+)/g)];
  return calls.map(([, words = '']) => {
    const options: Record<string, string | boolean> = {};
    for (const [, flag = '', value] of words.matchAll(/--([a-z-]+)(?: (\w+))?/g))
      options[flag.replace(/-(\w)/g, (_, letter) => letter.toUpperCase())] = value ?? true;
    return { words: words.trim(), options };
  });
}

/** Does what the error says, by its number among the calls that it names. */
async function follow(db: TestDatabase, migrations: string, result: Result, which = 0): Promise<Result> {
  const call = namedCalls(result)[which];
  expect(call, result.error?.hint).toBeDefined();
  return library.repair({ env: db.env, migrations, yes: true, ...call?.options });
}

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › repair › what an error names heals', (version) => {
  it('a changed file: --checksums', async () => {
    const db = await createDatabase(version);
    await migrate(db, folder(TABLE));
    const edited = folder({ '0001_t.sql': `-- a comment more\n${TABLE['0001_t.sql']}` });
    const refused = await migrate(db, edited);
    expect(refused.outcome).toBe('integrity');
    const repaired = await follow(db, edited, refused);
    expect(repaired).toMatchObject({ outcome: 'ok', repairs: [{ what: 'checksum', name: '0001_t' }] });
    expect(await migrate(db, edited)).toMatchObject({ outcome: 'ok', applied: [] });
    expect(await historyOf(db)).toMatchObject([{ kind: 'repaired' }]);
    expect(await advisoryLocks(db)).toEqual([]);
  });

  it('a half-done no-transaction file that had to be edited: --checksums, and migrate goes on after what is done', async () => {
    const db = await createDatabase(version);
    const failed = await migrate(
      db,
      folder(alone('CREATE TABLE first (x int);\nCREATE INDEX CONCURRENTLY i ON nowhere (x);')),
    );
    expect(failed.outcome).toBe('failed');
    const edited = folder(
      alone('CREATE TABLE first (x int);\nCREATE INDEX CONCURRENTLY i ON first (x);\nCREATE TABLE last (x int);'),
    );
    const refused = await migrate(db, edited);
    expect(refused.outcome).toBe('integrity');
    expect((await follow(db, edited, refused)).repairs?.[0]?.text).toContain('its first 1 statements stay done');
    expect(await migrate(db, edited)).toMatchObject({ outcome: 'ok', applied: [{ name: '0002_alone' }] });
    expect(await historyOf(db)).toMatchObject([{}, { statements_done: 3, statements_total: 3 }]);
  });

  it('a file that is missing: --pending', async () => {
    const db = await createDatabase(version);
    await migrate(
      db,
      folder({ ...TABLE, '0002_gone.sql': 'CREATE TABLE gone ();', '0003_c.sql': 'CREATE TABLE c ();' }),
    );
    const files = folder({ ...TABLE, '0003_c.sql': 'CREATE TABLE c ();' });
    const refused = await migrate(db, files);
    expect(refused).toMatchObject({ outcome: 'integrity', error: { migration: '0002_gone' } });
    expect(await follow(db, files, refused)).toMatchObject({ repairs: [{ what: 'pending', name: '0002_gone' }] });
    expect(await migrate(db, files)).toMatchObject({ outcome: 'ok', applied: [] });
  });

  it('the wrong folder, or one that lacks files: --checksums says what has no file here, and changes nothing', async () => {
    const db = await createDatabase(version);
    await migrate(
      db,
      folder({ ...TABLE, '0002_gone.sql': 'CREATE TABLE gone ();', '0003_c.sql': 'CREATE TABLE c ();' }),
    );
    const before = await historyOf(db);
    const checksums = async (files: Record<string, string>, ...more: string[]) =>
      cli(['repair', '--checksums', '--yes', '--migrations', folder(files), ...more], db.env);
    const elsewhere = await checksums({ '0001_other.sql': 'CREATE TABLE other ();' }, '--json');
    expect(elsewhere.code).toBe(6);
    expect(elsewhere.json().error).toMatchObject({
      message: expect.stringContaining('wrong folder? The database has 3 migrations (0001_t to 0003_c)'),
      hint: expect.stringContaining('--migrations'),
    });
    const lacking = await checksums({ ...TABLE, '0003_c.sql': 'CREATE TABLE c ();' });
    expect(lacking.code, lacking.stderr).toBe(0);
    expect(lacking.stdout).toMatch(/0002_gone is in the history, but its file is missing; restore the file/);
    const older = await checksums(TABLE);
    expect(older.stdout).toBe(
      'Nothing to repair. The history has 2 migrations of a newer build, without a file here: 0002_gone, 0003_c.\n',
    );
    expect(await historyOf(db)).toEqual(before);
  });

  it('a rollback without its down script: undone by hand, then --pending', async () => {
    const db = await createDatabase(version);
    const files = folder({ ...TABLE, '0002_more.sql': 'CREATE TABLE more ();' });
    await migrate(db, files);
    const refused = await library.rollback({ env: db.env, migrations: files, steps: 1 });
    expect(refused.error?.hint).toContain('kasm-db repair --pending NAME');
    await db.query('DROP TABLE more');
    await library.repair({ env: db.env, migrations: files, pending: '0002_more', yes: true });
    expect(await migrate(db, files)).toMatchObject({ outcome: 'ok', applied: [{ name: '0002_more' }] });
  });

  const DOUBT = alone(
    'CREATE TABLE first (x int);\nDO $$ BEGIN INSERT INTO t VALUES (7, 7); COMMIT; END $$;\nCREATE TABLE last (x int);',
  );

  /** As a run leaves it that died in statement 2 (test/postgres/engine-no-transaction.test.ts kills one). */
  async function inDoubt(completed: boolean): Promise<{ db: TestDatabase; files: string; refused: Result }> {
    const db = await createDatabase(version);
    const files = folder(DOUBT);
    await migrate(db, folder(TABLE));
    await db.query(`CREATE TABLE first (x int)`);
    const [{ checksum } = { checksum: '' }] = (await dryChecksum(files)) as { checksum: string }[];
    await db.query(
      `INSERT INTO kasm_db.migrations (name, checksum, app_version, kind, statements_done, statements_total) VALUES ('0002_alone', $1, '0.1.0', 'sql', 1, 3)`,
      [checksum],
    );
    if (completed) await db.query('INSERT INTO t VALUES (7, 7)');
    const refused = await migrate(db, files);
    expect(refused, refused.error?.message).toMatchObject({ outcome: 'integrity', error: { migration: '0002_alone' } });
    return { db, files, refused };
  }

  it('a statement in doubt that was completed, or not, or a file done by hand', async () => {
    const sevens = (db: TestDatabase) => db.query('SELECT count(*)::int AS n FROM t WHERE a = 7');
    const yes = await inDoubt(true);
    expect(namedCalls(yes.refused).map(({ words }) => words)).toEqual([
      '--pending 0002_alone --statements-done 2',
      '--pending 0002_alone --statements-done 1',
      '--applied 0002_alone',
    ]);
    expect(await follow(yes.db, yes.files, yes.refused, 0)).toMatchObject({ outcome: 'ok' });
    expect(await migrate(yes.db, yes.files)).toMatchObject({ outcome: 'ok', applied: [{ name: '0002_alone' }] });
    expect(await sevens(yes.db)).toEqual([{ n: 1 }]);

    const no = await inDoubt(false);
    expect(await follow(no.db, no.files, no.refused, 1)).toMatchObject({ outcome: 'ok' });
    expect(await migrate(no.db, no.files)).toMatchObject({ outcome: 'ok', applied: [{ name: '0002_alone' }] });
    expect(await sevens(no.db)).toEqual([{ n: 1 }]);

    const hand = await inDoubt(true);
    await hand.db.query('CREATE TABLE last (x int)');
    expect(await follow(hand.db, hand.files, hand.refused, 2)).toMatchObject({ outcome: 'ok' });
    expect(await migrate(hand.db, hand.files)).toMatchObject({ outcome: 'ok', applied: [] });
    expect((await status(hand.db, hand.files)).pending).toEqual([]);
  });

  it('a file that is named by its number: its statements are counted as by its name', async () => {
    const { db, files } = await inDoubt(true);
    const repair = (options: object) => library.repair({ env: db.env, migrations: files, yes: true, ...options });
    const counts = () =>
      db.query(
        "SELECT statements_done AS done, statements_total AS total FROM kasm_db.migrations WHERE name = '0002_alone'",
      );
    expect(await repair({ pending: '2', statementsDone: 2 })).toMatchObject({ outcome: 'ok' });
    expect(await counts()).toEqual([{ done: 2, total: 3 }]);
    expect(await repair({ applied: '0002' })).toMatchObject({ outcome: 'ok' });
    expect(await counts()).toEqual([{ done: 3, total: 3 }]);
  });

  it('an invalid index left behind is dropped, and only that', async () => {
    const db = await createDatabase(version);
    const files = folder(alone('CREATE UNIQUE INDEX CONCURRENTLY t_a ON t (a);'));
    expect((await migrate(db, files)).outcome).toBe('failed');
    const without = folder(TABLE);
    await library.repair({ env: db.env, migrations: without, pending: '0002_alone', yes: true });
    const indexes = () => db.query("SELECT 1 FROM pg_class WHERE relkind = 'i' AND relname = 't_a'");
    expect(await indexes()).toEqual([]);
    expect((await library.repair({ env: db.env, migrations: without, yes: true })).repairs).toEqual([]);
    // One that somebody is building is none.
    const [writer, builder] = [await db.connect(), await db.connect()];
    await writer.query('BEGIN; INSERT INTO t VALUES (9, 9)');
    const building = builder.query('CREATE INDEX CONCURRENTLY t_b ON t (b)');
    for (;;) if ((await db.query("SELECT 1 FROM pg_class WHERE relname = 't_b'")).length > 0) break;
    expect((await library.repair({ env: db.env, migrations: without, yes: true })).repairs).toEqual([]);
    await writer.query('COMMIT');
    await building;
    await Promise.all([writer.end(), builder.end()]);
  });
});

/** Checksums of a folder, as a database of its own would record them. */
async function dryChecksum(files: string): Promise<unknown[]> {
  const { readMigrations } = await import('../../src/migrations/files.js');
  return readMigrations(files).filter(({ name }) => name === '0002_alone');
}

describe('repair › asks before it does', () => {
  async function changed() {
    const db = await createDatabase();
    await migrate(db, folder(TABLE));
    return { db, files: folder({ '0001_t.sql': 'CREATE TABLE t (a int, b int, c int);' }) };
  }

  it('without a terminal and without --yes: exit 2 that says what it would do, nothing changed', async () => {
    const { db, files } = await changed();
    const before = await historyOf(db);
    const run = await cli(['repair', '--checksums', '--migrations', files, '--json'], db.env);
    expect(run.code).toBe(2);
    expect(run.json().error?.message).toContain('accept 0001_t as it is now');
    expect(run.json().error?.hint).toContain('--yes');
    expect(await historyOf(db)).toEqual(before);
    const yes = await cli(['repair', '--checksums', '--migrations', files, '--yes'], db.env);
    expect(yes.code, yes.stderr).toBe(0);
    expect(yes.stdout).toContain('accept 0001_t as it is now');
  });

  const hasScript = spawnSync('script', ['--version']).status === 0;
  if (!hasScript) console.warn('SKIPPED: script (util-linux) is not installed, so nobody was asked on a terminal');
  it.skipIf(!hasScript)('on a terminal: n changes nothing, y does it', async () => {
    const { db, files } = await changed();
    const program = join(import.meta.dirname, '../../dist/kasm-db.mjs');
    const ask = (answer: string) =>
      execFileSync(
        'script',
        ['-qec', `${process.execPath} ${program} repair --checksums --migrations ${files}`, '/dev/null'],
        { input: answer, env: { PATH: process.env.PATH ?? '', ...db.env }, encoding: 'utf8' },
      );
    const before = await historyOf(db);
    const no = ask('n\n');
    expect(no).toContain('accept 0001_t as it is now');
    expect(no).toContain('Nothing was changed.');
    expect(await historyOf(db)).toEqual(before);
    expect(ask('y\n')).toContain('Repaired:');
    expect(await migrate(db, files)).toMatchObject({ outcome: 'ok' });
  });

  it('what has changed between the question and the answer is not done', async () => {
    const { db, files } = await changed();
    const { runCommand } = await import('../../src/commands/run-command.js');
    const { repairCommand } = await import('../../src/commands/repair.js');
    const { result } = await runCommand(
      {
        command: 'repair',
        options: { migrations: files },
        env: db.env,
        signal: new AbortController().signal,
        events: {},
        writes: true,
        confirm: async () => {
          await db.query("UPDATE kasm_db.migrations SET checksum = repeat('0', 64)");
          await db.query(
            "INSERT INTO kasm_db.migrations SELECT '0002_x', checksum, now(), 1, 'x', '1', 'sql' FROM kasm_db.migrations",
          );
          await db.query('DROP TABLE t; CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1)');
          await db.query('CREATE UNIQUE INDEX CONCURRENTLY bad ON t (a)').catch(() => {});
          return true;
        },
      },
      (ctx) => repairCommand(ctx, { checksums: true }),
    );
    expect(result).toMatchObject({
      outcome: 'integrity',
      error: { message: expect.stringContaining('has changed since') },
    });
    expect(await db.query("SELECT 1 FROM pg_class WHERE relname = 'bad'")).toHaveLength(1);
  });

  it('wrong calls: exit 2; what would make things worse: exit 6', async () => {
    const { db } = await changed();
    const files = folder({ ...TABLE, '0002_b.sql': 'CREATE TABLE b ();', '0003_c.sql': 'CREATE TABLE c ();' });
    const repair = (options: library.RepairCommandOptions) =>
      library.repair({ env: db.env, migrations: files, yes: true, ...options });
    expect((await repair({ applied: '0002_b', checksums: true })).outcome).toBe('usage');
    expect((await repair({ applied: '0002_c' })).error?.hint).toContain('0002_b');
    expect((await repair({ pending: '0009_x' })).outcome).toBe('usage');
    expect((await repair({ pending: '0001_t', statementsDone: 'one' })).outcome).toBe('usage');
    expect((await repair({ pending: '0001_t', statementsDone: 1 })).outcome).toBe('usage');
    const skipping = await repair({ applied: '0003_c' });
    expect([skipping.outcome, skipping.error?.migration]).toEqual(['integrity', '0002_b']);
    expect((await repair({ applied: '0002_b' })).repairs).toHaveLength(1);
    expect(await migrate(db, files)).toMatchObject({ outcome: 'ok', applied: [{ name: '0003_c' }] });
    expect(await db.query("SELECT to_regclass('b') AS b")).toEqual([{ b: null }]);
    expect(await repair({})).toMatchObject({ outcome: 'ok', repairs: [] });
  });
});

describe.skipIf(!hasPgbouncer())('repair › through a transaction pooler', () => {
  it('one transaction, no lock left', async () => {
    const db = await createDatabase();
    const pooler = await startPgbouncer(db, 'transaction');
    try {
      const files = folder(TABLE);
      const env = pooler.env;
      expect(await library.migrate({ env, migrations: files })).toMatchObject({ outcome: 'ok' });
      expect(await library.repair({ env, migrations: files, pending: '0001_t', yes: true })).toMatchObject({
        outcome: 'ok',
        database: { connection: 'pooled' },
      });
      expect(await library.repair({ env, migrations: files, applied: '0001_t', yes: true })).toMatchObject({
        outcome: 'ok',
      });
      expect(await historyOf(db)).toMatchObject([{ name: '0001_t', kind: 'repaired' }]);
      expect(await advisoryLocks(db)).toEqual([]);
    } finally {
      await pooler.stop();
    }
  });
});
