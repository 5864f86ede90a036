import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { fingerprint, historyOf } from '../fixtures/kasm/catalog.js';
import {
  advisoryLocks,
  check,
  createLogin,
  ENGINE_VERSIONS,
  midStatement,
  migrate,
  noSession,
  runRow,
  startMigrate,
} from '../fixtures/kasm/observe.js';
import { cli, folder, type RunningCli, startCli } from '../support/cli.js';
import { createDatabase, type TestDatabase, waitFor } from '../support/database.js';
import { once } from '../support/once.js';
import { startProxy, type TestProxy, type Verdict } from '../support/proxy.js';
import { randomSource, rounds } from '../support/rounds.js';

const NUMBERS = ['one', 'two', 'three', 'four', 'five', 'six'];

/** 0001_one.sql, 0002_two.sql, …: each makes a table of its name, but for those that are given. */
function numbered(others: Record<string, string> = {}): Record<string, string> {
  return Object.fromEntries(
    NUMBERS.map((name, i) => [`000${i + 1}_${name}.sql`, others[name] ?? `CREATE TABLE ${name} (x integer);\n`]),
  );
}

const open: { end(): Promise<void> }[] = [];
const proxies: TestProxy[] = [];
afterEach(async () => {
  for (const client of open.splice(0)) await client.end();
  for (const proxy of proxies.splice(0)) proxy.stop();
});

/** A session of the owner that ends with the test. */
async function session(db: TestDatabase, ...statements: string[]): Promise<pg.Client> {
  const client = await db.connect();
  open.push(client);
  for (const sql of statements) await client.query(sql);
  return client;
}

const names = async (db: TestDatabase) => (await historyOf(db)).map(({ name }) => name);

/** Which of the numbered tables are there, in any schema but kasm-db's. */
async function tables(db: TestDatabase): Promise<string[]> {
  const rows = await db.superQuery<{ name: string }>(
    'SELECT relname AS name FROM pg_class WHERE relname::text = ANY ($1) ORDER BY array_position($1::text[], relname::text)',
    [NUMBERS],
  );
  return rows.map(({ name }) => name);
}

/** Waits until a run has written a text to stderr. */
const says = (run: RunningCli, text: string) =>
  waitFor(async () => (run.stderr().includes(text) ? [1] : []), `the run to say "${text}"`);

/** Everything was applied: once, in order, and is in the history. */
async function expectComplete(db: TestDatabase, files: Record<string, string>): Promise<void> {
  expect(await names(db)).toEqual(Object.keys(files).map((file) => file.slice(0, -'.sql'.length)));
  expect(await tables(db)).toEqual(NUMBERS);
  expect(await runRow(db)).toMatchObject({ phase: 'done', current: null, error: null });
  expect((await check(db, folder(files))).code).toBe(0);
  expect(await advisoryLocks(db)).toEqual([]);
}

/** A function of the superuser that is called at the end of each DDL statement; `body` finds the tables it made in `made`. */
async function eventTrigger(db: TestDatabase, body: string, security = ''): Promise<void> {
  await db.superQuery('CREATE SCHEMA IF NOT EXISTS other; GRANT ALL ON SCHEMA other TO PUBLIC');
  await db.superQuery(`CREATE FUNCTION other.notice_ddl() RETURNS event_trigger ${security} LANGUAGE plpgsql AS $f$
DECLARE made text[] := ARRAY(SELECT object_identity FROM pg_event_trigger_ddl_commands() WHERE object_type = 'table');
BEGIN ${body} END $f$;
CREATE EVENT TRIGGER notice_ddl ON ddl_command_end EXECUTE FUNCTION other.notice_ddl()`);
}

/** A role that the migrator may become, and that may make tables. */
async function otherRole(db: TestDatabase): Promise<string> {
  const role = `other_${randomBytes(4).toString('hex')}`;
  await db.superQuery(`CREATE ROLE ${role}; GRANT ${role} TO ${db.user}; GRANT ALL ON SCHEMA public TO ${role}`);
  return role;
}

/** Schema and owner of the numbered tables. */
function places(db: TestDatabase): Promise<Record<string, unknown>[]> {
  return db.superQuery(
    'SELECT DISTINCT relnamespace::regnamespace::text AS schema, relowner::regrole::text AS owner FROM pg_class WHERE relname::text = ANY ($1)',
    [NUMBERS],
  );
}

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › migrations of nothing but simple DDL', (version) => {
  const database = () => createDatabase(version);

  it.each([
    ['among themselves', {}, false],
    ['with --role', {}, true],
    [
      'around one that sets what it likes',
      { four: 'CREATE TABLE four (x integer);\nSET search_path = pg_catalog;' },
      false,
    ],
    ['around one in no transaction', { four: '-- kasm-db: no-transaction\nCREATE TABLE four (x integer);' }, false],
  ])('travel in one message each from 14 on, the next one before the answer to this one, %s', async (_, others, asRole) => {
    const db = await database();
    const { user, env } = asRole ? await createLogin(db, 'login') : db;
    if (asRole) await db.superQuery(`GRANT ${db.user} TO ${user}`);
    const messages: string[] = [];
    const second = once();
    const proxy = await startProxy(db.port, {
      onMessage: async ({ direction, type, bytes }): Promise<Verdict> => {
        if (direction === 'to server') {
          if (type === 'Q') messages.push(bytes.toString('utf8', 5, bytes.length - 1));
          if (messages.some((sql) => sql.includes('CREATE TABLE two'))) second.happen();
          // From the first migration on the run hears nothing before it has sent the second.
        } else if (version >= 14 && messages.some((sql) => sql.includes('CREATE TABLE one'))) await second.happened;
        return 'pass';
      },
    });
    proxies.push(proxy);
    const files = numbered(others);
    const run = await startCli(
      ['migrate', '--json', '--migrations', folder(files), ...(asRole ? ['--role', db.user] : [])],
      { ...env, POSTGRES_PORT: String(proxy.port) },
    ).ended;
    expect(run.code, run.stderr).toBe(0);
    const whole = NUMBERS.map((name) =>
      messages.filter((sql) => sql.includes(`CREATE TABLE ${name}`)).map((sql) => /; COMMIT\b/.test(sql)),
    );
    const quick = (name: string) => version >= 14 && name !== 'six' && !(name in others);
    expect(whole).toEqual(NUMBERS.map((name) => [quick(name)]));
    await expectComplete(db, files);
  });

  it('are recorded with all that is to be told of them', async () => {
    const db = await database();
    await db.query(
      `CREATE TABLE busy (x int); INSERT INTO busy VALUES (1);
       CREATE FUNCTION slowly(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.4); RETURN $1; END'`,
    );
    const files = numbered({
      three: 'CREATE TABLE three (x integer);\nCREATE INDEX ON busy (slowly(x));\n',
      four: '-- kasm-db: min-compatible 0002\nCREATE TABLE four (x integer);\n',
    });
    const run = await migrate(db, folder(files));
    expect(run.code, run.stderr).toBe(0);
    await expectComplete(db, files);
    const rows = await db.superQuery<Record<string, string & number>>(
      `SELECT *, applied_at - lag(applied_at) OVER (ORDER BY name) < '0' AS backwards, applied_at > now() - interval '1 min' AS recent
         FROM kasm_db.migrations ORDER BY name`,
    );
    for (const row of rows) {
      expect(row).toMatchObject({ applied_by: db.user, app_version: run.json().version, kind: 'sql', recent: true });
      expect(row.checksum).toMatch(/^[0-9a-f]{64}$/);
      expect([row.statements_done, row.statements_total]).toEqual([null, null]);
      expect(row.backwards).not.toBe(true);
      if (row.name === '0003_three') expect(row.duration_ms).toBeGreaterThanOrEqual(400);
      // What the one before it took is none of its time.
      else expect(row.duration_ms).toBeLessThan(400);
    }
    expect(rows.map(({ min_compatible }) => min_compatible)).toEqual([null, null, null, '0002', null, null]);
    expect(await runRow(db)).toMatchObject({ phase: 'done', current: null, done: 6, total: 6 });
  });

  it('the run row names the one that is being applied', async () => {
    const db = await database();
    await db.query('CREATE TABLE busy (x int)');
    const holder = await session(db, 'BEGIN', 'LOCK TABLE busy IN ROW EXCLUSIVE MODE');
    const files = numbered({ four: 'CREATE TABLE four (x integer);\nCREATE INDEX busy_x ON busy (x);\n' });
    const run = startMigrate(db, folder(files));
    await midStatement(db, 'busy_x');
    expect(await runRow(db)).toMatchObject({ phase: 'migrate', current: '0004_four', done: 3, total: 6 });
    expect(await names(db)).toEqual(['0001_one', '0002_two', '0003_three']);
    await holder.query('COMMIT');
    const { code, stderr } = await run.ended;
    expect(code, stderr).toBe(0);
    await expectComplete(db, files);
  });

  it('--role: everything belongs to that role', async () => {
    const db = await database();
    const { user, env } = await createLogin(db, 'login');
    await db.superQuery(`GRANT ${db.user} TO ${user}`);
    const files = numbered();
    const run = await cli(['migrate', '--json', '--migrations', folder(files), '--role', db.user], env);
    expect(run.code, run.stderr).toBe(0);
    await expectComplete(db, files);
    expect(await places(db)).toEqual([{ schema: 'public', owner: db.user }]);
    expect(await db.query('SELECT DISTINCT applied_by FROM kasm_db.migrations')).toEqual([{ applied_by: user }]);
  });

  it('--to ends with one in the middle, and the next run goes on from there', async () => {
    const db = await database();
    const files = numbered();
    expect((await migrate(db, folder(files), '--to', '0003_three')).json().applied).toHaveLength(3);
    expect(await tables(db)).toEqual(['one', 'two', 'three']);
    expect(await runRow(db)).toMatchObject({ phase: 'done', done: 3, total: 3 });
    expect((await migrate(db, folder(files))).json().applied).toHaveLength(3);
    await expectComplete(db, files);
  });

  it('however they end, and with others in between', async () => {
    const db = await database();
    const files = numbered({
      one: 'CREATE TABLE one (x integer) -- the last word is a comment',
      two: '\ufeffCREATE TABLE two (x integer);\r\n\r\n-- so it was in DOS\r\n',
      three: '-- nothing to do\n/* here; */\n',
      four: `CREATE TABLE four (x integer);\n${'-- a long story\n'.repeat(70_000)}CREATE TABLE three (x integer)`,
      five: '-- kasm-db: no-transaction\nCREATE TABLE five (x integer);\nCREATE INDEX CONCURRENTLY ON five (x);\n',
    });
    expect(files['0004_four.sql']?.length).toBeGreaterThan(1_000_000);
    const run = await migrate(db, folder(files));
    expect(run.code, run.stderr).toBe(0);
    await expectComplete(db, files);
  });
});

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › the third of six simple ones fails', (version) => {
  it.each([
    ['a syntax error', 'CREATE TABLE three (x integer);\n\nCREATE TABLE other (x,,);\n', 3, 'CREATE TABLE other (x,,)'],
    ['no such table', 'CREATE TABLE three (x integer);\n\nCREATE INDEX ON\n no (x);\n', 3, 'CREATE INDEX ON\n no (x)'],
    [
      'its table is there',
      '-- three\n\nCREATE TABLE one (x integer);\nDROP TABLE one;\n',
      3,
      'CREATE TABLE one (x integer)',
    ],
    ['at its end', 'CREATE TABLE three (x integer);\nDROP INDEX missing', 2, 'DROP INDEX missing'],
    ['no end', 'CREATE TABLE three (x integer);\nCREATE TABLE other', 2, 'CREATE TABLE other'],
    [
      'an open parenthesis',
      'CREATE TABLE three (x integer);\nCREATE TABLE b (\n  x integer',
      3,
      'CREATE TABLE b (\n  x integer',
    ],
    [
      'an open string',
      "CREATE TABLE three (x text DEFAULT 'it is);\n\n",
      1,
      "CREATE TABLE three (x text DEFAULT 'it is);",
    ],
    [
      'an open name',
      'CREATE TABLE three (x integer);\nCREATE TABLE "b (x integer);',
      2,
      'CREATE TABLE "b (x integer);',
    ],
    ['an open comment', 'CREATE TABLE three (x integer);\n/* it is;\n\n', 2, undefined],
    ['letters before it', "COMMENT ON TABLE one IS 'ü 𝄞';\nCREATE TABLE three (x,,);\n", 2, 'CREATE TABLE three (x,,)'],
  ])('%s › exit 7 naming its line, nothing of it and of those behind it', async (_, three, line, statement) => {
    const db = await createDatabase(version);
    const files = folder(numbered({ three }));
    const run = await migrate(db, files);
    expect(run.code, run.stderr).toBe(7);
    const { error, applied } = run.json();
    expect(error).toMatchObject({ migration: '0003_three', file: `${files}/0003_three.sql`, line });
    expect(error?.statement).toBe(statement);
    expect(error?.message).toContain('nothing of it was kept');
    // Of the message, a user knows nothing but the file.
    expect(error?.message).not.toMatch(/EXECUTE|"0003/);
    expect(applied?.map(({ name }) => name)).toEqual(['0001_one', '0002_two']);
    expect(await names(db)).toEqual(['0001_one', '0002_two']);
    expect(await tables(db)).toEqual(['one', 'two']);
    expect(await runRow(db)).toMatchObject({ phase: 'failed', current: '0003_three', done: 2, total: 6 });
    expect(await advisoryLocks(db)).toEqual([]);
    const mended = await migrate(db, folder(numbered()));
    expect(mended.code, mended.stderr).toBe(0);
    await expectComplete(db, numbered());
  });

  it('at COMMIT › those behind it are not applied, though the next was sent before', async () => {
    const db = await createDatabase(version);
    await eventTrigger(
      db,
      "IF 'public.three' = ANY (made) THEN INSERT INTO other.child VALUES (1); END IF;",
      'SECURITY DEFINER',
    );
    await db.superQuery(
      'CREATE TABLE other.parent (id int PRIMARY KEY); CREATE TABLE other.child (id int REFERENCES other.parent DEFERRABLE INITIALLY DEFERRED)',
    );
    const run = await migrate(db, folder(numbered()));
    expect(run.code, run.stderr).toBe(7);
    expect(run.json().error).toMatchObject({ migration: '0003_three', sqlstate: '23503' });
    expect(run.json().error?.message).toContain('0003_three failed at COMMIT');
    expect(await names(db)).toEqual(['0001_one', '0002_two']);
    expect(await tables(db)).toEqual(['one', 'two']);
    expect(await runRow(db)).toMatchObject({ phase: 'failed', current: '0003_three', done: 2 });
    await db.superQuery('DROP EVENT TRIGGER notice_ddl');
    expect((await migrate(db, folder(numbered()))).code).toBe(0);
    await expectComplete(db, numbered());
  });
});

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › simple ones stay as they are', (version) => {
  it.each([
    ['search_path', async () => "PERFORM set_config('search_path', 'other, public', false);"],
    ['the role', async (db: TestDatabase) => `EXECUTE 'SET ROLE ${await otherRole(db)}';`],
    [
      'the role, to one that may write the history,',
      async (db: TestDatabase) => {
        const role = await otherRole(db);
        for (const kind of ['SCHEMAS', 'TABLES'])
          await db.superQuery(`ALTER DEFAULT PRIVILEGES FOR ROLE ${db.user} GRANT ALL ON ${kind} TO ${role}`);
        return `EXECUTE 'SET ROLE ${role}';`;
      },
    ],
    ['statement_timeout', async () => "PERFORM set_config('statement_timeout', '50ms', false);"],
    ['lock_timeout', async () => "PERFORM set_config('lock_timeout', '1h', false);"],
    ['prepared statements', async () => "EXECUTE 'DEALLOCATE ALL';"],
  ])('where an event trigger changes %s in one of them', async (_, change) => {
    const db = await createDatabase(version);
    await db.query(
      `CREATE TABLE busy (x int); INSERT INTO busy VALUES (1);
       CREATE FUNCTION slowly(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.2); RETURN $1; END'`,
    );
    await db.superQuery(
      'CREATE SCHEMA other; CREATE TABLE other.seen (made text[], lock_timeout text); GRANT ALL ON other.seen TO PUBLIC',
    );
    await eventTrigger(
      db,
      `INSERT INTO other.seen VALUES (made, current_setting('lock_timeout'));
       IF 'public.two' = ANY (made) THEN ${await change(db)} END IF;`,
    );
    const files = numbered({
      three: 'CREATE INDEX ON public.busy (public.slowly(x));\nCREATE TABLE three (x integer);\n',
    });
    const run = await migrate(db, folder(files));
    expect(run.code, run.stderr).toBe(0);
    await expectComplete(db, files);
    expect(await places(db)).toEqual([{ schema: 'public', owner: db.user }]);
    expect(
      await db.superQuery(
        "SELECT DISTINCT lock_timeout FROM other.seen WHERE made && ARRAY['public.three', 'public.four', 'public.five', 'public.six']",
      ),
    ).toEqual([{ lock_timeout: '2s' }]);
  });

  it.each([
    [
      'SET and PREPARE',
      "SET search_path = other; SET statement_timeout = '1h'; SET lock_timeout = '77ms'; DEALLOCATE ALL; PREPARE p AS SELECT 1;",
    ],
    ['SET ROLE', ''],
    ['DEALLOCATE and DISCARD', 'DEALLOCATE ALL; DISCARD PLANS; DISCARD TEMP; DISCARD SEQUENCES;'],
    [
      'session characteristics',
      'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; SET default_transaction_isolation = serializable;',
    ],
    [
      'SET, in no transaction',
      "-- kasm-db: no-transaction\nSET search_path = other; SET lock_timeout = '77ms';\nSELECT 1;",
    ],
  ])('behind one of another kind with %s', async (_, other) => {
    const db = await createDatabase(version);
    const role = await otherRole(db);
    await db.superQuery(
      'CREATE SCHEMA other; CREATE TABLE other.seen (made text[], lock_timeout text); GRANT ALL ON other.seen TO PUBLIC',
    );
    await eventTrigger(db, "INSERT INTO other.seen VALUES (made, current_setting('lock_timeout'));");
    const files = {
      ...numbered(),
      '0003_other.sql': other || `SET ROLE ${role}; SELECT 1;`,
      '0004_three.sql': 'CREATE TABLE three (x integer);\n',
      '0005_four.sql': 'CREATE TABLE four (x integer);\n',
      '0006_again.sql': other || `SET ROLE ${role}; SELECT 1;`,
      '0007_five.sql': 'CREATE TABLE five (x integer);\n',
      '0008_six.sql': 'CREATE TABLE six (x integer);\n',
    } as Record<string, string>;
    for (const file of ['0003_three.sql', '0004_four.sql', '0005_five.sql', '0006_six.sql']) delete files[file];
    const run = await migrate(db, folder(files));
    expect(run.code, run.stderr).toBe(0);
    expect(await names(db)).toEqual(
      Object.keys(files)
        .map((file) => file.slice(0, -4))
        .sort(),
    );
    expect(await tables(db)).toEqual(NUMBERS);
    expect(await places(db)).toEqual([{ schema: 'public', owner: db.user }]);
    expect(
      await db.superQuery("SELECT DISTINCT lock_timeout FROM other.seen WHERE made::text LIKE '%public.%'"),
    ).toEqual([{ lock_timeout: '2s' }]);
  });

  it('where a history row or the run row is deleted under them', async () => {
    const db = await createDatabase(version);
    await db.query('CREATE TABLE busy (x int)');
    const files = numbered({ three: 'CREATE INDEX busy_x ON busy (x);\nCREATE TABLE three (x integer);\n' });
    const holder = await session(db, 'BEGIN', 'LOCK TABLE busy IN ROW EXCLUSIVE MODE');
    const run = startMigrate(db, folder(files));
    await midStatement(db, 'busy_x');
    await db.query("DELETE FROM kasm_db.migrations WHERE name = '0002_two'");
    await db.query('DELETE FROM kasm_db.run');
    await holder.query('COMMIT');
    const { code, stderr } = await run.ended;
    expect(code, stderr).toBe(0);
    expect(await names(db)).toEqual(['0001_one', '0003_three', '0004_four', '0005_five', '0006_six']);
    expect(await tables(db)).toEqual(NUMBERS);
  });
});

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › a simple one that has to wait for a table', (version) => {
  const busy = async () => {
    const db = await createDatabase(version);
    await db.query('CREATE TABLE busy (x int); CREATE TABLE gone (x int)');
    return db;
  };

  it.each([
    ['CREATE INDEX', 'CREATE TABLE three (x integer);\nCREATE INDEX waiting ON busy (x);\n'],
    ['DROP TABLE', 'CREATE TABLE three (x integer);\nDROP TABLE gone /* waiting */;\n'],
  ])('%s › gives way, and goes through when the table is free, as do those behind it', async (_, three) => {
    const db = await busy();
    const files = numbered({ three: `-- kasm-db: lock-timeout 100ms\n${three}` });
    const holder = await session(db, 'BEGIN', 'LOCK TABLE busy, gone IN ROW EXCLUSIVE MODE');
    const run = startMigrate(db, folder(files));
    await says(run, '0003_three gives way');
    expect(await names(db)).toEqual(['0001_one', '0002_two']);
    expect(await tables(db)).toEqual(['one', 'two']);
    await holder.query('COMMIT');
    const result = await run.ended;
    expect(result.code, result.stderr).toBe(0);
    expect(result.json().applied).toHaveLength(6);
    expect(result.json().lock?.waitedMs).toBeGreaterThan(100);
    await expectComplete(db, files);
  });

  it('gives up with exit 5 after --lock-timeout, naming who is in the way; nothing of it and of those behind it', async () => {
    const db = await busy();
    const three =
      '-- kasm-db: lock-timeout 300ms\nCREATE TABLE three (x integer);\nCREATE INDEX waiting ON busy (x);\n';
    const holder = await session(db, 'BEGIN', 'LOCK TABLE busy IN ROW EXCLUSIVE MODE');
    const { rows } = await holder.query('SELECT pg_backend_pid() AS pid');
    const run = await migrate(db, folder(numbered({ three })), '--lock-timeout', '1s');
    expect(run.code, run.stderr).toBe(5);
    expect(run.json().error).toMatchObject({ sqlstate: '55P03', migration: '0003_three', line: 3 });
    expect(run.json().error?.message).toContain(`PID ${rows[0].pid}`);
    expect(await names(db)).toEqual(['0001_one', '0002_two']);
    expect(await tables(db)).toEqual(['one', 'two']);
    expect(await advisoryLocks(db)).toEqual([]);
  });

  it('its own lock-timeout holds for no other', async () => {
    const db = await busy();
    await db.superQuery(
      'CREATE SCHEMA other; CREATE TABLE other.seen (made text[], lock_timeout text); GRANT ALL ON other.seen TO PUBLIC',
    );
    await eventTrigger(db, "INSERT INTO other.seen VALUES (made, current_setting('lock_timeout'));");
    const run = await migrate(
      db,
      folder(
        numbered({
          one: '-- kasm-db: lock-timeout 100ms\nCREATE TABLE one (x integer);\n',
          three: '-- kasm-db: lock-timeout 300ms\nCREATE TABLE three (x integer);\n',
          four: '-- kasm-db: lock-timeout 400ms\nCREATE TABLE four (x integer);\n',
        }),
      ),
    );
    expect(run.code, run.stderr).toBe(0);
    const seen = await db.superQuery(
      "SELECT made[1] AS made, lock_timeout FROM other.seen WHERE made::text LIKE '%public.%'",
    );
    expect(Object.fromEntries(seen.map(({ made, lock_timeout }) => [made, lock_timeout]))).toEqual({
      'public.one': '100ms',
      'public.two': '2s',
      'public.three': '300ms',
      'public.four': '400ms',
      'public.five': '2s',
      'public.six': '2s',
    });
  });

  const WAITING = '-- kasm-db: lock-timeout 1m\nCREATE TABLE three (x integer);\nCREATE INDEX waiting ON busy (x);\n';
  const waiting = async () => {
    const db = await busy();
    const files = numbered({ three: WAITING });
    const holder = await session(db, 'BEGIN', 'LOCK TABLE busy IN ROW EXCLUSIVE MODE');
    const run = startMigrate(db, folder(files));
    const pid = await midStatement(db, 'CREATE INDEX waiting');
    const release = async () => {
      await holder.query('COMMIT');
      expect(await names(db)).toEqual(['0001_one', '0002_two']);
      expect(await tables(db)).toEqual(['one', 'two']);
      expect(await advisoryLocks(db)).toEqual([]);
      const next = await migrate(db, folder(files));
      expect(next.code, next.stderr).toBe(0);
      await expectComplete(db, files);
    };
    return { db, run, pid, release };
  };

  it('trap 5: ended by SIGTERM › exit 143 within 2 s, nothing of it and of those behind it, no session left', async () => {
    const { db, run, release } = await waiting();
    const sent = performance.now();
    run.child.kill('SIGTERM');
    const { code, stderr } = await run.ended;
    expect(performance.now() - sent).toBeLessThan(2000);
    expect(code, stderr).toBe(143);
    await noSession(db, 2000);
    expect(await runRow(db)).toMatchObject({ phase: 'failed', current: '0003_three', done: 2 });
    await release();
  });

  it('trap 5: SIGTERM before the first one is sent › none is', async () => {
    const db = await createDatabase(version);
    const ready = once();
    const goOn = once();
    const proxy = await startProxy(db.port, {
      onMessage: async ({ direction, text }): Promise<Verdict> => {
        if (direction === 'to client') return 'pass';
        // The last message before it, which begins its transaction.
        if (/BEGIN ISOLATION LEVEL/.test(text()) && (await runRow(db).catch(() => undefined)) !== undefined) {
          ready.happen();
          await goOn.happened;
        }
        return 'pass';
      },
    });
    proxies.push(proxy);
    const { child, ended } = startCli(['migrate', '--json', '--migrations', folder(numbered())], {
      ...db.env,
      POSTGRES_PORT: String(proxy.port),
    });
    await ready.happened;
    child.kill('SIGTERM');
    // Nobody can see from outside that the signal has arrived.
    await new Promise((resolve) => setTimeout(resolve, 500));
    goOn.happen();
    const { code, stderr } = await ended;
    expect(code, stderr).toBe(143);
    await noSession(db, 2000);
    expect(await tables(db)).toEqual([]);
    expect((await migrate(db, folder(numbered()))).code).toBe(0);
  });

  it.runIf(version >= 14)('trap 4: killed › its session goes within 5 s, and nothing is committed later', async () => {
    const { db, run, release } = await waiting();
    run.child.kill('SIGKILL');
    await run.ended;
    await noSession(db, 5000);
    await release();
  });

  it('trap 3: its session terminated › exit 4, nothing committed, the next run completes', async () => {
    const { db, run, pid, release } = await waiting();
    await db.superQuery(`SELECT pg_terminate_backend(${pid})`);
    const result = await run.ended;
    expect(result.code, result.stderr).toBe(4);
    expect(result.json().error).toMatchObject({ code: 'unreachable', migration: '0003_three' });
    expect(result.stderr).not.toMatch(/\n\s+at /);
    await release();
  });
});

/** Eight migrations of random kinds; `broken` are some of the same files before they were mended. */
function randomFiles(next: () => number): { files: Record<string, string>; broken: Record<string, string> } {
  const files: Record<string, string> = { '0001_effects.sql': 'CREATE TABLE effects (name text);\n' };
  const broken: Record<string, string> = {};
  for (let i = 2; i <= 9; i++) {
    const file = `000${i}_m.sql`;
    const kind = next();
    const table = `CREATE TABLE t${i} (x integer);\n`;
    if (kind < 0.6) files[file] = `${table}CREATE INDEX ON t${i} (x);\nCOMMENT ON TABLE t${i} IS 'it is ${i}'`;
    else if (kind < 0.7) files[file] = `-- kasm-db: lock-timeout 300ms\n${table}DROP TABLE IF EXISTS missing;\n`;
    else if (kind < 0.85) files[file] = `${table}INSERT INTO effects VALUES ('${i}');\nSET search_path = pg_catalog;\n`;
    else files[file] = `-- kasm-db: no-transaction\n${table}CREATE INDEX CONCURRENTLY i${i} ON t${i} (x);\n`;
    if (next() < 0.25 && kind < 0.85)
      broken[file] = `${files[file]};\n${next() < 0.5 ? 'CREATE TABLE t (x integer,,)' : 'DROP TABLE nowhere'};\n`;
  }
  return { files, broken };
}

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › any mix of migrations', (version) => {
  const { seed, next } = randomSource();
  const count = rounds(3, 40);

  it(
    `killed at random moments and mended where they fail › the same catalog and history as of an undisturbed run; ${count} rounds`,
    { timeout: 60_000 * count },
    async () => {
      console.log(`PostgreSQL ${version}: KASM_DB_SEED=${seed}`);
      for (let round = 0; round < count; round++) {
        const { files, broken } = randomFiles(next);
        const context = `KASM_DB_SEED=${seed}, round ${round}`;
        const whole = await createDatabase(version);
        const undisturbed = await migrate(whole, folder(files));
        expect(undisturbed.code, `${context}\n${undisturbed.stderr}`).toBe(0);

        const db = await createDatabase(version);
        const failing = { ...files };
        for (let tries = 0; ; tries++) {
          const first = Object.keys(files).find((file) => broken[file] !== undefined && failing[file] !== broken[file]);
          if (first) failing[first] = broken[first] as string;
          const run = startMigrate(db, folder(failing));
          const after = next() * undisturbed.ms * 1.2;
          const kill = tries < 6 ? setTimeout(() => run.child.kill('SIGKILL'), after) : undefined;
          const { code, stderr, json } = await run.ended;
          clearTimeout(kill);
          if (code === 0) break;
          if (code === null) continue;
          expect(code, `${context}\n${stderr}`).toBe(7);
          const { migration } = json().error as { migration: string };
          const file = `${migration}.sql`;
          expect(Object.keys(broken), `${context}\n${stderr}`).toContain(file);
          // Nothing behind a failing one is ever applied.
          expect(
            (await names(db)).every((name) => (name as string) < migration),
            context,
          ).toBe(true);
          delete broken[file];
          failing[file] = files[file] as string;
        }
        expect(await fingerprint(db), context).toBe(await fingerprint(whole));
        expect(await historyOf(db), context).toEqual(await historyOf(whole));
        const effects = 'SELECT name FROM effects ORDER BY name';
        expect(await db.query(effects), context).toEqual(await whole.query(effects));
        expect(await advisoryLocks(db), context).toEqual([]);
      }
    },
  );
});
