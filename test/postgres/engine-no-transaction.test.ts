import type pg from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { fingerprint, historyOf } from '../fixtures/kasm/catalog.js';
import {
  advisoryLocks,
  check,
  ENGINE_VERSIONS,
  midStatement,
  migrate,
  noSession,
  startMigrate,
  status,
  tableExists,
} from '../fixtures/kasm/observe.js';
import { folder, startCli } from '../support/cli.js';
import { createDatabase, type TestDatabase, waitFor } from '../support/database.js';
import { closeDoor, UNTIL_OPEN } from '../support/door.js';
import { once } from '../support/once.js';
import { startProxy } from '../support/proxy.js';
import { rounds } from '../support/rounds.js';
import { busy } from '../support/time.js';

const TABLE = { '0001_table.sql': 'CREATE TABLE t (a int, b int);\nINSERT INTO t VALUES (1, 1), (1, 2), (2, 3);\n' };
const noTransaction = (sql: string) => ({ ...TABLE, '0002_alone.sql': `-- kasm-db: no-transaction\n${sql}\n` });
const TWO_INDEXES = noTransaction(
  "SET lock_timeout = '5s';\nCREATE INDEX CONCURRENTLY t_a ON t (a);\nCREATE INDEX CONCURRENTLY t_b ON t (b) WHERE b > 0;",
);

function indexes(db: TestDatabase): Promise<{ name: string; valid: boolean }[]> {
  return db.superQuery(
    "SELECT c.relname AS name, i.indisvalid AS valid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1",
  );
}

async function statementsDone(db: TestDatabase) {
  const row = (await historyOf(db)).find(({ name }) => name === '0002_alone');
  return row && [row.statements_done, row.statements_total];
}

const open: pg.Client[] = [];
afterEach(async () => {
  for (const client of open.splice(0)) await client.end();
});

/** A transaction that has written to `t`: CREATE INDEX CONCURRENTLY waits for its end. */
async function writer(db: TestDatabase): Promise<pg.Client> {
  const client = await db.connect();
  open.push(client);
  await client.query('BEGIN');
  await client.query('INSERT INTO t VALUES (9, 9)');
  return client;
}

/** Waits until the migrator's CREATE INDEX CONCURRENTLY waits for somebody's transaction. */
async function buildWaits(db: TestDatabase): Promise<void> {
  await waitFor(
    () =>
      db.superQuery(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%CREATE INDEX CONCURRENTLY%' AND wait_event_type = 'Lock' AND application_name LIKE 'kasm-db/%'",
      ),
    'CREATE INDEX CONCURRENTLY to wait',
  );
}

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › no-transaction', (version) => {
  const database = () => createDatabase(version);

  it('trap 24: SET and two CREATE INDEX CONCURRENTLY work, and the SET does not leak', async () => {
    const db = await database();
    const files = folder({
      ...TWO_INDEXES,
      '0003_after.sql': "CREATE TABLE after AS SELECT current_setting('lock_timeout') AS t;",
    });
    const run = await migrate(db, files);
    expect(run.code, run.stderr).toBe(0);
    expect(await indexes(db)).toEqual([
      { name: 't_a', valid: true },
      { name: 't_b', valid: true },
    ]);
    expect(await statementsDone(db)).toEqual([3, 3]);
    expect(await db.query('SELECT t FROM after')).toEqual([{ t: '100ms' }]);
    expect((await migrate(db, files)).json()).toMatchObject({ outcome: 'ok', applied: [] });
    expect(await advisoryLocks(db)).toEqual([]);
  });

  it('statements that PostgreSQL refuses in a transaction: VACUUM, REINDEX, ALTER TYPE … ADD VALUE and its use', async () => {
    const db = await database();
    const run = await migrate(
      db,
      folder(
        noTransaction(
          "CREATE TYPE colour AS ENUM ('red');\nALTER TYPE colour ADD VALUE 'green';\nCREATE TABLE painted AS SELECT 'green'::colour AS c;\nVACUUM (ANALYZE) t;\nCREATE INDEX t_c ON t (a);\nREINDEX TABLE CONCURRENTLY t;\nDROP INDEX CONCURRENTLY t_c;\nDO $$ BEGIN COMMIT; INSERT INTO t VALUES (5, 5); END $$;",
        ),
      ),
    );
    expect(run.code, run.stderr).toBe(0);
    expect(await statementsDone(db)).toEqual([8, 8]);
    expect(await db.query('SELECT count(*)::int AS n FROM t')).toEqual([{ n: 4 }]);
  });

  it('goes on at the statement that failed', async () => {
    const db = await database();
    const files = folder(
      noTransaction(
        '-- ü\nCREATE TABLE first (x int);\nINSERT INTO first VALUES (1);\nCREATE INDEX CONCURRENTLY later_x ON later (x);\nCREATE TABLE last (x int);',
      ),
    );
    const run = await migrate(db, files);
    expect(run.code).toBe(7);
    expect(run.json().error).toMatchObject({ sqlstate: '42P01', migration: '0002_alone', line: 5 });
    expect(run.json().error?.statement).toContain('CREATE INDEX CONCURRENTLY later_x');
    expect(await statementsDone(db)).toEqual([2, 4]);
    const state = (await status(db, files)).json();
    expect(state.pending).toEqual(['0002_alone']);
    expect((await check(db, files)).code).toBe(3);
    await db.query('CREATE TABLE later (x int)');
    const again = await migrate(db, files);
    expect(again.code, again.stderr).toBe(0);
    expect(await statementsDone(db)).toEqual([4, 4]);
    expect(await db.query('SELECT count(*)::int AS n FROM first')).toEqual([{ n: 1 }]);
    expect(await tableExists(db, 'last')).toBe(true);
  });

  it('a SET above the statement that failed is run again', async () => {
    const db = await database();
    await db.query('CREATE SCHEMA s');
    const files = folder(
      noTransaction('SET search_path = s;\nCREATE INDEX CONCURRENTLY x ON here (x);\nCREATE TABLE lands_in_s ();'),
    );
    expect((await migrate(db, files)).code).toBe(7);
    await db.query('CREATE TABLE s.here (x int)');
    const run = await migrate(db, files);
    expect(run.code, run.stderr).toBe(0);
    expect(await tableExists(db, 's.lands_in_s')).toBe(true);
  });

  it('so is a SELECT set_config(), as dumps write it', async () => {
    const db = await database();
    await db.query('CREATE SCHEMA s');
    const files = folder(
      noTransaction(
        "SELECT pg_catalog.set_config('search_path', 's', false);\nCREATE INDEX CONCURRENTLY x ON here (x);\nCREATE TABLE lands_in_s ();",
      ),
    );
    expect((await migrate(db, files)).code).toBe(7);
    await db.query('CREATE TABLE s.here (x int)');
    const run = await migrate(db, files);
    expect(run.code, run.stderr).toBe(0);
    expect(await tableExists(db, 's.lands_in_s')).toBe(true);
  });

  it.each([
    'TABLE CONCURRENTLY t',
    'INDEX CONCURRENTLY t_a',
    '(CONCURRENTLY) SCHEMA public',
  ])('an interrupted REINDEX %s leaves no invalid copy of the index behind', async (what) => {
    const db = await database();
    await db.query('CREATE TABLE other (x int); CREATE INDEX t_a_ccnew9 ON other (x)');
    await db.superQuery("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_a_ccnew9'::regclass");
    const files = folder({
      '0001_table.sql': `${TABLE['0001_table.sql']}CREATE INDEX t_a ON t (a);\n`,
      '0002_alone.sql': `-- kasm-db: no-transaction\n-- kasm-db: lock-timeout 100ms\nREINDEX ${what};\n`,
    });
    expect((await migrate(db, files, '--to', '1')).code).toBe(0);
    const client = await writer(db);
    expect((await migrate(db, files)).code).toBe(5);
    expect((await indexes(db)).map(({ name }) => name)).toContain('t_a_ccnew');
    await client.query('ROLLBACK');
    const run = await migrate(db, files);
    expect(run.code, run.stderr).toBe(0);
    const others = what.includes('SCHEMA') ? [] : [{ name: 't_a_ccnew9', valid: false }];
    expect(await indexes(db)).toEqual([{ name: 't_a', valid: true }, ...others]);
  });

  it('trap 8: a unique index over duplicates fails and stays invalid; without them the rerun makes it valid', async () => {
    const db = await database();
    const files = folder(noTransaction('CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS t_unique ON t (a);'));
    const run = await migrate(db, files);
    expect(run.code).toBe(7);
    expect(run.json().error).toMatchObject({ sqlstate: '23505' });
    expect(await indexes(db)).toEqual([{ name: 't_unique', valid: false }]);
    const still = await migrate(db, files);
    expect(still.code).toBe(7);
    expect((await check(db, files)).code).toBe(3);
    await db.query('DELETE FROM t WHERE b = 2');
    const again = await migrate(db, files);
    expect(again.code, again.stderr).toBe(0);
    expect(await indexes(db)).toEqual([{ name: 't_unique', valid: true }]);
    await expect(db.query('INSERT INTO t VALUES (2, 2)')).rejects.toMatchObject({ code: '23505' });
  });

  it('an invalid index of that name on another table is not dropped: PostgreSQL refuses the name', async () => {
    const db = await database();
    await db.query('CREATE TABLE other (a int); CREATE INDEX t_a ON other (a)');
    await db.superQuery("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_a'::regclass");
    const run = await migrate(db, folder(noTransaction('CREATE INDEX CONCURRENTLY t_a ON t (a);')));
    expect(run.code).toBe(7);
    expect(run.json().error).toMatchObject({ sqlstate: '42P07' });
    expect(await indexes(db)).toEqual([{ name: 't_a', valid: false }]);
  });

  it('killed in the middle of CREATE INDEX CONCURRENTLY › the next run makes a valid index', async () => {
    const db = await database();
    const files = folder(TWO_INDEXES);
    await migrate(db, files, '--to', '0001_table');
    const client = await writer(db);
    const { child, ended } = startMigrate(
      db,
      folder({ ...TABLE, '0002_alone.sql': TWO_INDEXES['0002_alone.sql'].replace("'5s'", "'60s'") }),
    );
    await buildWaits(db);
    child.kill('SIGKILL');
    await ended;
    // 14 and later notice by themselves; 13 when the statement ends.
    if (version >= 14) await noSession(db, busy(5000));
    await client.query('COMMIT');
    await noSession(db);
    if (version >= 14) expect(await indexes(db)).toEqual([{ name: 't_a', valid: false }]);
    const run = await migrate(
      db,
      folder({ ...TABLE, '0002_alone.sql': TWO_INDEXES['0002_alone.sql'].replace("'5s'", "'60s'") }),
    );
    expect(run.code, run.stderr).toBe(0);
    expect(await indexes(db)).toEqual([
      { name: 't_a', valid: true },
      { name: 't_b', valid: true },
    ]);
    expect(await statementsDone(db)).toEqual([3, 3]);
  });

  it('interrupted in the middle of CREATE INDEX CONCURRENTLY › exit 143 within 2 s, and the next run makes a valid index', async () => {
    const db = await database();
    const files = folder(noTransaction('CREATE INDEX CONCURRENTLY t_a ON t (a);'));
    await migrate(db, files, '--to', '0001_table');
    const client = await writer(db);
    const { child, ended } = startMigrate(db, files);
    await buildWaits(db);
    const sent = performance.now();
    child.kill('SIGTERM');
    expect((await ended).code).toBe(143);
    expect(performance.now() - sent).toBeLessThan(busy(2000));
    await noSession(db, busy(2000));
    expect(await advisoryLocks(db)).toEqual([]);
    await client.query('COMMIT');
    const run = await migrate(db, files);
    expect(run.code, run.stderr).toBe(0);
    expect(await indexes(db)).toEqual([{ name: 't_a', valid: true }]);
  });

  it('trap 7: killed after the index was made and before its record › the next run recognises it', async () => {
    const db = await database();
    const files = folder(TWO_INDEXES);
    const before = await crashBeforeRecord(db, files, (found) => found.some(({ name }) => name === 't_b'));
    expect(await statementsDone(db)).toEqual([2, 3]);
    expect(await indexes(db)).toEqual(before);
    const [{ oid } = { oid: 0 }] = await db.query<{ oid: number }>("SELECT 't_b'::regclass::oid AS oid");
    const run = await migrate(db, files);
    expect(run.code, run.stderr).toBe(0);
    expect(await statementsDone(db)).toEqual([3, 3]);
    expect(await db.query("SELECT 't_b'::regclass::oid AS oid")).toEqual([{ oid }]);
  });

  it.each([
    'CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON words (lower(word), own(word)) WHERE word <> $$x$$',
    'CREATE UNIQUE INDEX /* concurrently, too */ CONCURRENTLY "concurrently" ON ONLY "public" . "words" USING btree (word DESC) INCLUDE (n) WITH (fillfactor = 80)',
    'CREATE INDEX CONCURRENTLY "i.i" ON public.words (n, (word COLLATE "C") varchar_pattern_ops NULLS FIRST) WHERE n IN (1, 2)',
  ])('trap 7: the same where PostgreSQL keeps it in other words: %s', async (sql) => {
    const db = await database();
    await db.query(
      "CREATE TABLE words (word varchar(20), gone int, n bigint); ALTER TABLE words DROP gone; CREATE FUNCTION own(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1'",
    );
    const files = folder(noTransaction(`${sql};`));
    await crashBeforeRecord(db, files, (found) => found.length > 0);
    expect(await statementsDone(db)).toEqual([0, 1]);
    const run = await migrate(db, files);
    expect(run.code, run.stderr).toBe(0);
    expect(await statementsDone(db)).toEqual([1, 1]);
    expect(await db.query("SELECT FROM pg_class WHERE relname = 'words'")).toHaveLength(1);
  });

  it('trap 7: another index has taken the name meanwhile › exit 6 naming repair', async () => {
    const db = await database();
    const files = folder(TWO_INDEXES);
    await crashBeforeRecord(db, files, (found) => found.some(({ name }) => name === 't_b'));
    await db.query('DROP INDEX t_b; CREATE INDEX t_b ON t (a, b)');
    const run = await migrate(db, files);
    expect(run.code, run.stderr).toBe(6);
    expect(run.json().error?.hint).toContain('kasm-db repair');
  });

  it('trap 7: killed after DROP INDEX CONCURRENTLY and before its record › the next run goes on', async () => {
    const db = await database();
    const files = folder({
      '0001_table.sql': 'CREATE TABLE t (a int, b int); CREATE INDEX t_old ON t (a);\n',
      '0002_alone.sql': '-- kasm-db: no-transaction\nDROP INDEX CONCURRENTLY t_old;\nCREATE TABLE last (x int);\n',
    });
    let made = false;
    await crashBeforeRecord(db, files, (found) => {
      made ||= found.length > 0;
      return made && found.length === 0;
    });
    expect(await indexes(db)).toEqual([]);
    const run = await migrate(db, files);
    expect(run.code, run.stderr).toBe(0);
    expect(await tableExists(db, 'last')).toBe(true);
  });

  it('its connection is lost in mid-statement › exit 4 that says what is kept', async () => {
    const db = await database();
    const proxy = await startProxy(db.port);
    const files = folder(noTransaction('CREATE TABLE first (x int);\nDO $$ BEGIN PERFORM pg_sleep(30); END $$;'));
    const { ended } = startCli(['migrate', '--json', '--migrations', files], {
      ...db.env,
      POSTGRES_PORT: String(proxy.port),
    });
    await midStatement(db, 'pg_sleep(30)');
    proxy.reset();
    const run = await ended;
    proxy.stop();
    expect(run.code, run.stderr).toBe(4);
    expect(run.json().error).toMatchObject({
      message: expect.stringContaining('0002_alone, statement 2 of 2: the connection was lost'),
      hint: expect.stringContaining('it goes on after what is recorded (1 of 2 statements)'),
    });
  });

  it('trap 7: a DO block was killed and nobody knows its outcome › exit 6 naming repair', async () => {
    const db = await database();
    const files = folder(
      noTransaction('DO $$ BEGIN INSERT INTO t VALUES (7, 7); COMMIT; PERFORM pg_sleep(30); END $$;'),
    );
    const { child, ended } = startMigrate(db, files);
    const pid = await midStatement(db, 'pg_sleep(30)');
    child.kill('SIGKILL');
    await ended;
    await db.superQuery(`SELECT pg_terminate_backend(${pid})`);
    await noSession(db);
    const before = await fingerprint(db);
    for (let i = 0; i < 2; i++) {
      const run = await migrate(db, files);
      expect(run.code, run.stderr).toBe(6);
      expect(run.json().error).toMatchObject({ migration: '0002_alone' });
      expect(run.json().error?.hint).toContain('kasm-db repair --applied 0002_alone');
      expect(run.json().error?.hint).toContain('kasm-db repair --pending 0002_alone');
    }
    expect(await db.query('SELECT count(*)::int AS n FROM t WHERE a = 7')).toEqual([{ n: 1 }]);
    expect(await fingerprint(db)).toBe(before);
  });

  /** Somebody has the history for longer than --lock-timeout while statement 2 of 3 ends, so that its record does not get in. */
  async function unrecorded(statement: string) {
    const db = await database();
    await migrate(db, folder(TABLE));
    const openDoor = await closeDoor(await db.connect());
    await db.query(
      `CREATE FUNCTION slow(x int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN ${UNTIL_OPEN} RETURN x; END $$`,
    );
    const files = folder(noTransaction(`CREATE TABLE lines (x int);\n${statement};\nCREATE TABLE last (x int);`));
    const { ended } = startMigrate(db, files, '--lock-timeout', `${busy(1000)}ms`);
    await midStatement(db, 'slow(');
    const holder = await db.connect();
    open.push(holder);
    await holder.query('BEGIN; LOCK TABLE kasm_db.migrations IN SHARE MODE');
    await openDoor();
    const run = await ended;
    await holder.query('COMMIT');
    expect(run.json().error?.message).toMatch(
      /^the record of the end of statement 2 of 3 of 0002_alone failed at COMMIT.*SQLSTATE 55P03.*in the way: .*; the statement itself was completed$/,
    );
    return { db, files, run };
  }

  it('a statement that is done and cannot be recorded › 5, and the next run finds out that it is done', async () => {
    const { db, files, run } = await unrecorded('CREATE INDEX CONCURRENTLY t_slow ON t (slow(a))');
    expect(run.code, run.stderr).toBe(5);
    const again = await migrate(db, files);
    expect(again.code, again.stderr).toBe(0);
    expect(await statementsDone(db)).toEqual([3, 3]);
    expect(await indexes(db)).toEqual([{ name: 't_slow', valid: true }]);
  });

  it('one that nobody can see is done › 6 with the call that says so, and the next run goes on', async () => {
    const { db, files, run } = await unrecorded('DO $$ BEGIN INSERT INTO t VALUES (slow(7), slow(7)); COMMIT; END $$');
    expect(run.code, run.stderr).toBe(6);
    expect(run.json().error?.hint).toMatch(
      /: kasm-db repair --pending 0002_alone --statements-done 2 .*; then run the same/,
    );
    expect((await migrate(db, files)).code).toBe(6);
    const call = ['repair', '--pending', '0002_alone', '--statements-done', '2', '--yes', '--migrations', files];
    expect((await startCli(call, db.env).ended).code).toBe(0);
    const again = await migrate(db, files);
    expect(again.code, again.stderr).toBe(0);
    expect(await db.query('SELECT count(*)::int AS n FROM t WHERE a = 7')).toEqual([{ n: 1 }]);
  });

  it('trap 7: that doubt outlives runs that fail for another reason', async () => {
    const db = await database();
    await db.query('CREATE TABLE effects (x int); CREATE TEXT SEARCH CONFIGURATION own (COPY = simple)');
    const files = {
      ...TABLE,
      '0003_alone.sql':
        "-- kasm-db: no-transaction\nSET default_text_search_config = 'public.own';\nDO $$ BEGIN INSERT INTO effects VALUES (1); COMMIT; PERFORM pg_sleep(30); END $$;\n",
    };
    const { child, ended } = startMigrate(db, folder(files));
    const pid = await midStatement(db, 'pg_sleep(30)');
    child.kill('SIGKILL');
    await ended;
    await db.superQuery(`SELECT pg_terminate_backend(${pid})`);
    await noSession(db);
    // Another migration fails before it.
    const late = '-- kasm-db: out-of-order\nINSERT INTO effects VALUES (2);\n';
    const bad = await migrate(db, folder({ ...files, '0002_late.sql': `${late}SELECT 1 / 0;\n` }));
    expect(bad.code, bad.stderr).toBe(7);
    // A run ends before it.
    const before = await migrate(db, folder({ ...files, '0002_late.sql': late }), '--to', '0002_late');
    expect(before.code, before.stderr).toBe(0);
    // A SET above it fails.
    await db.query('DROP TEXT SEARCH CONFIGURATION own');
    const set = await migrate(db, folder({ ...files, '0002_late.sql': late }));
    expect([6, 7]).toContain(set.code);
    await db.query('CREATE TEXT SEARCH CONFIGURATION own (COPY = simple)');
    const still = await migrate(db, folder({ ...files, '0002_late.sql': late }));
    expect(still.code, still.stderr).toBe(6);
    expect(still.json().error).toMatchObject({ migration: '0003_alone' });
    expect(await db.query('SELECT x FROM effects ORDER BY 1')).toEqual([{ x: 1 }, { x: 2 }]);
  });

  it('SET ROLE in the file takes nothing from the history: it is still written by the role that migrates', async () => {
    const db = await database();
    const role = `helper_${db.name}`;
    await db.superQuery(`CREATE ROLE ${role}`);
    await db.superQuery(`GRANT ${role} TO ${db.user}`);
    await db.superQuery(`GRANT CREATE ON SCHEMA public TO ${role}`);
    const run = await migrate(
      db,
      folder(
        noTransaction(
          `SET ROLE ${role};\nCREATE TABLE helped (x int);\nCREATE INDEX CONCURRENTLY helped_x ON helped (x);\nRESET ROLE;`,
        ),
      ),
    );
    expect(run.code, run.stderr).toBe(0);
    expect(await db.query("SELECT relowner::regrole::text AS owner FROM pg_class WHERE relname = 'helped'")).toEqual([
      { owner: role },
    ]);
  });

  it('what a statement has deferred to COMMIT sees the tables and the role of the file', async () => {
    const db = await createDatabase();
    const files = folder(
      noTransaction(`CREATE FUNCTION check_t() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN IF (SELECT count(*) FROM t) > 5 THEN RAISE EXCEPTION 'too many'; END IF; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER few AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_t();
INSERT INTO t VALUES (4, 4);
DO $$ BEGIN INSERT INTO t VALUES (5, 5); END $$;
INSERT INTO t VALUES (6, 6)`),
    );
    expect((await migrate(db, files)).json()).toMatchObject({
      exitCode: 7,
      error: {
        message: expect.stringContaining('statement 5 of 5'),
        statement: 'INSERT INTO t VALUES (6, 6)',
        sqlstate: 'P0001',
      },
    });
    expect(await statementsDone(db)).toEqual([4, 5]);
  });

  it('a DO block that failed by itself was not killed: it runs again', async () => {
    const db = await database();
    const files = folder(noTransaction('DO $$ BEGIN PERFORM 1 / (SELECT count(*) - 3 FROM t); END $$;'));
    expect((await migrate(db, files)).code).toBe(7);
    await db.query('DELETE FROM t WHERE b = 3');
    const run = await migrate(db, files);
    expect(run.code, run.stderr).toBe(0);
  });

  it('a syntax error anywhere in the file is found before its first statement runs', async () => {
    const db = await database();
    const run = await migrate(db, folder(noTransaction('CREATE TABLE first (x int);\n\nCREATE TABEL second (x int);')));
    expect(run.code).toBe(7);
    expect(run.json().error).toMatchObject({ sqlstate: '42601', line: 4 });
    expect(await tableExists(db, 'first')).toBe(false);
  });

  const count = rounds(1, 20);
  it(
    `trap 1: CREATE INDEX CONCURRENTLY after 3 s with a second migrator waiting › both exit 0, valid, once; ${count} rounds`,
    { timeout: 180_000 * count },
    async () => {
      const files = folder(noTransaction('SELECT pg_sleep(3);\nCREATE INDEX CONCURRENTLY t_a ON t (a);'));
      for (let round = 0; round < count; round++) {
        const db = await database();
        const first = startMigrate(db, files);
        await midStatement(db, 'pg_sleep(3)');
        const runs = await Promise.all([first.ended, migrate(db, files)]);
        for (const run of runs) expect(run.code, `round ${round}: ${run.stderr}`).toBe(0);
        expect(runs.flatMap((run) => run.json().applied ?? []).map(({ name }) => name)).toEqual([
          '0001_table',
          '0002_alone',
        ]);
        expect(await indexes(db)).toEqual([{ name: 't_a', valid: true }]);
      }
    },
  );
});

/** Kills a migrator when it wants to record a statement of 0002 (the one that made `index`, or the first); gives the indexes as they then are. */
async function crashBeforeRecord(
  db: TestDatabase,
  files: string,
  when: (found: Awaited<ReturnType<typeof indexes>>) => boolean,
) {
  const recording = once();
  const proxy = await startProxy(db.port, {
    onMessage: async ({ direction, text }) => {
      if (direction !== 'to server' || !/INSERT INTO kasm_db\.migrations.*0002_alone/s.test(text())) return 'pass';
      if (!when(await indexes(db))) return 'pass';
      recording.happen();
      return 'drop';
    },
  });
  const { child, ended } = startCli(['migrate', '--json', '--migrations', files], {
    ...db.env,
    POSTGRES_PORT: String(proxy.port),
  });
  await recording.happened;
  child.kill('SIGKILL');
  await ended;
  proxy.stop();
  await noSession(db);
  return indexes(db);
}
