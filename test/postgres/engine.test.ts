import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { fingerprint, historyOf } from '../fixtures/kasm/catalog.js';
import {
  advisoryLocks,
  check,
  createLogin,
  ENGINE_VERSIONS,
  migrate,
  status,
  tableExists,
} from '../fixtures/kasm/observe.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { ONE, TWO } from '../support/migrations.js';
import { busy } from '../support/time.js';

const THREE = { ...TWO, '0003_three.sql': 'CREATE TABLE three (x integer);\n' };

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › migrate', (version) => {
  const database = () => createDatabase(version);

  it('applies what is pending, records it, and leaves no lock and no session', async () => {
    const db = await database();
    const run = await migrate(db, folder(TWO));
    expect(run.code, run.stderr).toBe(0);
    expect(run.json()).toMatchObject({ outcome: 'ok', current: '0002_two', target: '0002_two' });
    expect(run.json().database).toMatchObject({ connection: 'direct', name: db.name });
    expect((await historyOf(db)).map(({ name, kind }) => [name, kind])).toEqual([
      ['0001_one', 'sql'],
      ['0002_two', 'sql'],
    ]);
    const next = await migrate(db, folder(THREE));
    expect(next.json().applied?.map(({ name }) => name)).toEqual(['0003_three']);
    expect(await advisoryLocks(db)).toEqual([]);
  });

  it('--to stops at a migration, and goes on from there', async () => {
    const db = await database();
    const files = folder(THREE);
    expect((await migrate(db, files, '--to', '0002_two')).json().applied).toHaveLength(2);
    expect((await check(db, files)).code).toBe(3);
    expect((await migrate(db, files, '--to', '0001_one')).json()).toMatchObject({ outcome: 'ok', applied: [] });
    expect((await migrate(db, files)).json().applied).toHaveLength(1);
    const unknown = await migrate(db, files, '--to', '0009_none');
    expect(unknown.code).toBe(2);
    expect(unknown.json().error?.message).toContain('0009_none');
  });

  it('--dry-run and plan write nothing', async () => {
    const db = await database();
    const files = folder(TWO);
    const before = await fingerprint(db);
    expect((await migrate(db, files, '--dry-run')).json()).toMatchObject({
      outcome: 'ok',
      pending: ['0001_one', '0002_two'],
    });
    const plan = await cli(['plan', '--json', '--migrations', files], db.env);
    expect(plan.json()).toMatchObject({ outcome: 'ok', pending: ['0001_one', '0002_two'], target: '0002_two' });
    const sql = await cli(['plan', '--sql', '--migrations', files], db.env);
    expect(sql.stdout).toContain('CREATE TABLE two (x integer)');
    expect(await fingerprint(db)).toBe(before);
    await migrate(db, files);
    expect((await cli(['plan', '--json', '--migrations', files], db.env)).json().pending).toEqual([]);
  });

  it('--dry-run stops at what migrate would not even begin, and at a syntax error with its file and line', async () => {
    const db = await database();
    const dry = async (sql: string) => {
      const run = await migrate(db, folder({ ...ONE, '0002_bad.sql': sql }), '--dry-run');
      return [run.code, run.json().error];
    };
    const bad = { migration: '0002_bad', line: 2, file: expect.stringMatching(/0002_bad\.sql$/) };
    for (const directive of ['', '-- kasm-db: no-transaction'])
      expect(await dry(`${directive}\nCREATE TABEL two (x int);`)).toMatchObject([7, { ...bad, sqlstate: '42601' }]);
    expect(await dry('SELECT 1;\nCOMMIT;')).toMatchObject([2, bad]);
    expect(await tableExists(db, 'one')).toBe(false);
  });

  it('a failing migration says where, and keeps nothing of itself but all before it', async () => {
    const db = await database();
    const files = folder({
      ...ONE,
      '0002_bad.sql': `CREATE TABLE kept_not (x text);\n\nINSERT INTO kept_not VALUES ('ü; not the end');\nSELECT 1 / (SELECT count(*) - 1 FROM kept_not);\nCREATE TABLE never (x int);\n`,
      '0003_three.sql': 'CREATE TABLE three (x integer);\n',
    });
    const run = await migrate(db, files);
    expect(run.code).toBe(7);
    expect(run.json().error).toMatchObject({ code: 'failed', sqlstate: '22012', migration: '0002_bad', line: 4 });
    expect(run.json().error?.statement).toContain('SELECT 1 /');
    expect(run.json().error?.message).toContain('nothing of it was kept');
    expect([await tableExists(db, 'one'), await tableExists(db, 'kept_not'), await tableExists(db, 'three')]).toEqual([
      true,
      false,
      false,
    ]);
    expect(await advisoryLocks(db)).toEqual([]);
    const after = (await status(db, files)).json();
    expect(after.run).toMatchObject({ phase: 'failed', current: '0002_bad', done: 1, total: 3 });
    expect(after.run?.error).toContain('0002_bad');
    expect(after.pending).toEqual(['0002_bad', '0003_three']);
  });

  it('reports a syntax error by file, line and statement', async () => {
    const db = await database();
    const files = folder({
      '0001_bad.sql': '-- a comment with ü and 𝄞\nCREATE TABLE fine (x int);\nCREATE TABEL bad (x int);\n',
    });
    const run = await migrate(db, files);
    expect(run.code).toBe(7);
    expect(run.json().error).toMatchObject({ sqlstate: '42601', line: 3, file: `${files}/0001_bad.sql` });
    expect(run.stderr).toContain('CREATE TABEL');
  });

  it('trap 9: COMMIT in a migration is refused before anything runs; the word elsewhere is not', async () => {
    const db = await database();
    const bad = await migrate(
      db,
      folder({ ...ONE, '0002_bad.sql': 'CREATE TABLE t (x int);\nCOMMIT;\nCREATE TABLE u (x int);\n' }),
    );
    expect(bad.code).toBe(2);
    expect(bad.json().error).toMatchObject({ migration: '0002_bad', line: 2 });
    expect(await tableExists(db, 'one')).toBe(false);
    const good = await migrate(
      db,
      folder({
        '0001_fine.sql': `-- COMMIT;\n/* ROLLBACK; /* nested */ COMMIT; */\nCREATE TABLE commit_log ("commit" text DEFAULT 'x; COMMIT; ');
CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; END; $$;
CREATE PROCEDURE p() LANGUAGE plpgsql AS $body$ BEGIN COMMIT; END; $body$;
INSERT INTO commit_log VALUES (E'it\\'s; COMMIT;'), (U&'\\0041; ROLLBACK');\n`,
      }),
    );
    expect(good.code, good.stderr).toBe(0);
  });

  it("trap 9: a DO block's COMMIT is a plain failure", async () => {
    const db = await database();
    const run = await migrate(db, folder({ '0001_do.sql': 'CREATE TABLE t (x int);\nDO $$ BEGIN COMMIT; END $$;\n' }));
    expect(run.code).toBe(7);
    expect(run.json().error).toMatchObject({ sqlstate: '2D000', migration: '0001_do' });
    expect(await tableExists(db, 't')).toBe(false);
  });

  it('trap 10: settings of a migration do not leak into the next', async () => {
    const db = await database();
    const role = `other_${randomBytes(4).toString('hex')}`;
    await db.superQuery(`CREATE ROLE ${role}`);
    await db.superQuery(`GRANT ${role} TO ${db.user}`);
    await db.superQuery('CREATE SCHEMA elsewhere');
    await db.superQuery(`GRANT ALL ON SCHEMA elsewhere TO ${role}, ${db.user}`);
    const seen = `SELECT current_setting('search_path') AS search_path, current_user::text AS role, session_user::text AS login,
      current_setting('statement_timeout') AS statement_timeout, current_setting('lock_timeout') AS lock_timeout,
      current_setting('client_encoding') AS encoding, current_setting('standard_conforming_strings') AS strings,
      current_setting('transaction_isolation') AS isolation, current_setting('transaction_read_only') AS read_only,
      current_setting('row_security') AS row_security, current_setting('check_function_bodies') AS bodies, 'ü' AS text`;
    const run = await migrate(
      db,
      folder({
        '0001_plain.sql': `CREATE TABLE public.before AS ${seen};`,
        '0002_set.sql': `CREATE TEMP TABLE two (y int);
SET search_path = elsewhere; SET statement_timeout = '20s'; SET lock_timeout = '77ms'; DO $$ BEGIN PERFORM set_config('client_encoding', 'LATIN1', false),
set_config('standard_conforming_strings', 'off', false); END $$; SET row_security = off; SET check_function_bodies = off;
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY;
SET default_transaction_read_only = on;
SELECT set_config('search_path', 'pg_catalog', false);
SET ROLE ${role};`,
        '0003_after.sql': `CREATE TABLE after AS ${seen}; CREATE TABLE two (x int);`,
      }),
    );
    expect(run.code, run.stderr).toBe(0);
    const [before] = await db.query('SELECT * FROM public.before');
    expect(before).toMatchObject({
      search_path: 'public',
      role: db.user,
      statement_timeout: '0',
      lock_timeout: '100ms',
      isolation: 'read committed',
      read_only: 'off',
      text: 'ü',
    });
    expect(await db.query('SELECT * FROM public.after')).toEqual([before]);
    expect(await tableExists(db, 'public.two')).toBe(true);
  });

  it('trap 38: tables land in public whatever the role has set, trap 18: and its timeouts cut nothing', async () => {
    const db = await database();
    await db.superQuery(`CREATE SCHEMA "${db.user}" AUTHORIZATION ${db.user}`);
    const settings: Record<string, string> = {
      statement_timeout: '500ms',
      lock_timeout: '300ms',
      idle_in_transaction_session_timeout: '300ms',
      default_transaction_read_only: 'on',
      default_transaction_isolation: 'serializable',
      default_transaction_deferrable: 'on',
      search_path: `"${db.user}", pg_catalog`,
      ...(version >= 14 ? { idle_session_timeout: '1s' } : {}),
      ...(version >= 17 ? { transaction_timeout: '1s' } : {}),
    };
    for (const [name, value] of Object.entries(settings)) {
      await db.superQuery(`ALTER ROLE ${db.user} SET ${name} = ${name === 'search_path' ? value : `'${value}'`}`);
    }
    const files = folder({
      '0001_slow.sql': 'CREATE TABLE slow (x int);\nSELECT pg_sleep(1.5);\nCREATE TABLE slower (x int);\n',
    });
    const run = await migrate(db, files);
    expect(run.code, run.stderr).toBe(0);
    expect([await tableExists(db, 'public.slow'), await tableExists(db, 'public.slower')]).toEqual([true, true]);
    expect((await check(db, files)).code).toBe(0);
    expect((await migrate(db, files)).json()).toMatchObject({ outcome: 'ok', applied: [] });
    expect((await status(db, files)).json().run?.phase).toBe('done');
  });

  it('trap 38: a role without CREATE on the database works when the schema was made beforehand', async () => {
    const db = await database();
    const { user, env } = await createLogin(db, 'nocreate');
    await db.superQuery(`GRANT CREATE, USAGE ON SCHEMA public TO ${user}`);
    const files = folder(ONE);
    const refused = await cli(['migrate', '--json', '--migrations', files], env);
    expect(refused.code).toBe(9);
    expect(refused.json().error?.hint).toContain('GRANT CREATE ON DATABASE');
    await db.superQuery(`CREATE SCHEMA kasm_db AUTHORIZATION ${user}`);
    const run = await cli(['migrate', '--json', '--migrations', files], env);
    expect(run.code, run.stderr).toBe(0);
  });

  it('--role: everything belongs to that role, and a role that is not granted is named', async () => {
    const db = await database();
    const { user, env } = await createLogin(db, 'login');
    const files = folder(TWO);
    const refused = await cli(['migrate', '--json', '--migrations', files, '--role', db.user], env);
    expect(refused.code).toBe(9);
    expect(refused.json().error?.message).toContain(db.user);
    await db.superQuery(`GRANT ${db.user} TO ${user}`);
    const run = await cli(['migrate', '--json', '--migrations', files, '--role', db.user], env);
    expect(run.code, run.stderr).toBe(0);
    const owners = await db.query(
      "SELECT DISTINCT relowner::regrole::text AS owner FROM pg_class WHERE relnamespace IN ('public'::regnamespace, 'kasm_db'::regnamespace)",
    );
    expect(owners).toEqual([{ owner: db.user }]);
    expect(await db.query('SELECT DISTINCT applied_by FROM kasm_db.migrations')).toEqual([{ applied_by: user }]);
  });

  it('trap 14: a database ahead passes, unless a newer migration says min-compatible', async () => {
    const ahead = await database();
    await migrate(ahead, folder(THREE));
    const old = folder(TWO);
    expect((await check(ahead, old)).json()).toMatchObject({ outcome: 'ok', unknown: ['0003_three'] });
    expect((await migrate(ahead, old)).json()).toMatchObject({ outcome: 'ok', applied: [], unknown: ['0003_three'] });

    const breaking = await database();
    await migrate(
      breaking,
      folder({ ...TWO, '0003_three.sql': '-- kasm-db: min-compatible 0003\nCREATE TABLE three (x int);\n' }),
    );
    for (const run of [await check(breaking, old), await migrate(breaking, old)]) {
      expect(run.code, run.stderr).toBe(6);
      expect(run.json().error).toMatchObject({ code: 'integrity', migration: '0003_three' });
    }
  });

  it('trap 15: an older migration merged late is refused, unless it says out-of-order', async () => {
    const db = await database();
    const { '0002_two.sql': _, ...gap } = THREE;
    await migrate(db, folder(gap));
    for (const run of [await migrate(db, folder(THREE)), await check(db, folder(THREE))]) {
      expect(run.code).toBe(6);
      expect(run.json().error).toMatchObject({ migration: '0002_two' });
    }
    expect(await tableExists(db, 'two')).toBe(false);
    const late = folder({ ...THREE, '0002_two.sql': `-- kasm-db: out-of-order\n${THREE['0002_two.sql']}` });
    expect((await check(db, late)).code).toBe(3);
    expect((await migrate(db, late)).json().applied?.map(({ name }) => name)).toEqual(['0002_two']);
    expect((await check(db, late)).code).toBe(0);
  });

  it('trap 16: line ends, BOM and blank space at the end change no checksum; one token does', async () => {
    const db = await database();
    await migrate(db, folder(ONE));
    const same = folder({ '0001_one.sql': '\ufeffCREATE TABLE one (x integer);\r\n\r\n \t\n' });
    expect((await migrate(db, same)).json()).toMatchObject({ outcome: 'ok', applied: [] });
    const changed = folder({ '0001_one.sql': 'CREATE TABLE one (x bigint);\n' });
    for (const run of [await migrate(db, changed), await check(db, changed)]) {
      expect(run.code).toBe(6);
      expect(run.json().error?.message).toContain('0001_one');
    }
    expect((await status(db, changed)).json().changed).toEqual(['0001_one']);
  });

  it('a file that is missing from the folder is named', async () => {
    const db = await database();
    await migrate(db, folder(THREE));
    const { '0002_two.sql': _, ...gap } = THREE;
    for (const run of [await migrate(db, folder(gap)), await check(db, folder(gap))]) {
      expect(run.code).toBe(6);
      expect(run.json().error).toMatchObject({ migration: '0002_two' });
    }
  });

  it("Kasm's own upgrade: migrate stops, check passes with a warning", async () => {
    const db = await database();
    expect((await migrate(db)).code).toBe(0);
    await db.query("UPDATE alembic_version SET version_num = '0123456789ab'");
    const before = await fingerprint(db);
    const run = await migrate(db);
    expect(run.code).toBe(6);
    expect(run.json().error?.message).toContain('0123456789ab');
    const passed = await check(db);
    expect(passed.code, passed.stderr).toBe(0);
    expect(passed.json().warnings?.join()).toContain('0123456789ab');
    expect(await fingerprint(db)).toBe(before);
  });

  it("tables of Kasm without a history are refused and point to adopt; other people's are a warning", async () => {
    const kasm = await database();
    await kasm.query('CREATE TABLE users (user_id uuid); INSERT INTO users VALUES (NULL)');
    for (const run of [await migrate(kasm), await check(kasm)]) {
      expect(run.code).toBe(6);
      expect(run.json().error).toMatchObject({ code: 'integrity' });
      expect(run.json().error?.hint).toContain('kasm-db adopt');
    }
    expect(await tableExists(kasm, 'kasm_db.migrations')).toBe(false);

    const other = await database();
    await other.query('CREATE TABLE somebody_elses (x int)');
    const run = await migrate(other);
    expect(run.code, run.stderr).toBe(0);
    expect(run.json().warnings?.join()).toContain('somebody_elses');
  });

  it('a migration of more than 1 MB goes in pieces, 5 MB of it, and errors name the right line', async () => {
    const db = await database();
    const line = (i: number) => `INSERT INTO big VALUES (${i}, '${'; $$ -- ü '.repeat(90)}');`;
    const lines = Array.from({ length: 5000 }, (_, i) => line(i));
    const sql = `CREATE TABLE big (id int, t text);\n${lines.join('\n')}\n`;
    expect(Buffer.byteLength(sql)).toBeGreaterThan(5_000_000);
    const bad = await migrate(db, folder({ '0001_big.sql': `${sql}SELECT 1 / 0;\n` }));
    expect(bad.code).toBe(7);
    expect(bad.json().error).toMatchObject({ line: 5002, statement: 'SELECT 1 / 0' });
    expect(await tableExists(db, 'big')).toBe(false);
    const run = await migrate(db, folder({ '0001_big.sql': sql }));
    expect(run.code, run.stderr.slice(0, 500)).toBe(0);
    expect(await db.query('SELECT count(*)::int AS n, count(DISTINCT id)::int AS ids FROM big')).toEqual([
      { n: 5000, ids: 5000 },
    ]);
  });

  it('one statement of 3 MB goes as it is', async () => {
    const db = await database();
    const run = await migrate(
      db,
      folder({ '0001_wide.sql': `CREATE TABLE wide AS SELECT '${'x;\n'.repeat(1_000_000)}'::text AS t;\n` }),
    );
    expect(run.code, run.stderr.slice(0, 500)).toBe(0);
    expect(await db.query('SELECT length(t) AS n FROM wide')).toEqual([{ n: 3_000_000 }]);
  });

  it('2,000 statements and a function body with semicolons in one file', async () => {
    const db = await database();
    const many = Array.from(
      { length: 2000 },
      (_, i) => `CREATE FUNCTION f${i}() RETURNS int LANGUAGE sql AS $f$ SELECT ${i}; $f$;`,
    );
    const run = await migrate(db, folder({ '0001_many.sql': many.join('\n') }));
    expect(run.code, run.stderr.slice(0, 500)).toBe(0);
    expect(await db.query('SELECT f1999() AS n')).toEqual([{ n: 1999 }]);
  });

  it('trap 27: 100,000 notices leave stdout one JSON object and stderr readable', async () => {
    const db = await database();
    const files = folder({
      '0001_loud.sql': 'DO $$ BEGIN FOR i IN 1..100000 LOOP RAISE NOTICE \'n % {"json": true}\', i; END LOOP; END $$;',
    });
    const run = await migrate(db, files, '--verbose');
    expect(run.code, run.stderr.slice(0, 500)).toBe(0);
    expect(run.json().applied).toHaveLength(1);
    expect(run.stderr.split('\n').length).toBeLessThan(300);
  });

  it('trap 30: nothing depends on encoding, language, time zone or display settings', async () => {
    const db = await database();
    const name = `${db.name}_ascii`;
    await db.superQuery(
      `CREATE DATABASE ${name} OWNER ${db.user} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`,
    );
    const settings = {
      timezone: 'Pacific/Kiritimati',
      datestyle: 'German, DMY',
      intervalstyle: 'sql_standard',
      bytea_output: 'escape',
      extra_float_digits: '-5',
      xmlbinary: 'hex',
      xmloption: 'document',
      standard_conforming_strings: 'off',
      client_encoding: 'LATIN1',
      default_table_access_method: 'heap',
    };
    // 18 has no off any more.
    for (const [key, value] of Object.entries(settings))
      await db.superQuery(`ALTER ROLE ${db.user} SET ${key} = '${value}'`);
    const ascii = { ...db, env: { ...db.env, POSTGRES_DB: name } } as TestDatabase;
    const files = folder({
      '0001_u.sql': "CREATE TABLE u AS SELECT 'grün \\\\' AS t;",
      '0002_two.sql': TWO['0002_two.sql'],
    });
    for (const target of [db, ascii]) {
      const run = await migrate(target, files);
      expect(run.code, run.stderr).toBe(0);
      expect((await check(target, files)).code).toBe(0);
      expect((await migrate(target, files)).json()).toMatchObject({ outcome: 'ok', applied: [] });
      const { run: last } = (await status(target, files)).json();
      expect(Math.abs(Date.parse(last?.startedAt ?? '') - Date.now())).toBeLessThan(60_000);
    }
    expect(await db.query('SELECT length(t) AS n FROM u')).toEqual([{ n: 7 }]);
  });

  it('a database in SQL_ASCII counts bytes, others count characters: the line of an error is the same', async () => {
    const db = await database();
    const name = `${db.name}_bytes`;
    await db.superQuery(
      `CREATE DATABASE ${name} OWNER ${db.user} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`,
    );
    const text = `-- ${'grün 日本語 '.repeat(20)}\nSELECT 'grün';\nSELECT 1,\n  nothing FROM pg_class;\n\n\n\n\n\n\n\n\n`;
    const files = ['', '-- kasm-db: no-transaction\n'].map((head) => folder({ '0001_a.sql': head + text }));
    for (const env of [db.env, { ...db.env, POSTGRES_DB: name }]) {
      const lines = [];
      for (const dir of files) lines.push((await migrate({ ...db, env } as TestDatabase, dir)).json().error?.line);
      expect(lines, env.POSTGRES_DB).toEqual([4, 5]);
    }
    await db.superQuery(`DROP DATABASE ${name}`);
  });

  it('trap 33: no connection left is unreachable, a full disk is named with a hint', async () => {
    const db = await database();
    await db.superQuery(`ALTER ROLE ${db.user} CONNECTION LIMIT 0`);
    const refused = await migrate(db, folder(ONE), '--connect-timeout', `${busy(1000)}ms`);
    expect(refused.code).toBe(4);
    expect(refused.json().error).toMatchObject({ code: 'unreachable', sqlstate: '53300' });
    await db.superQuery(`ALTER ROLE ${db.user} CONNECTION LIMIT -1`);
    const full = await migrate(
      db,
      folder({
        '0001_full.sql': "DO $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$;",
      }),
    );
    expect(full.code).toBe(7);
    expect(full.json().error).toMatchObject({ sqlstate: '53100' });
    expect(full.json().error?.hint).toContain('disk');
  });
});

describe.each(ENGINE_VERSIONS)('PostgreSQL %i › trap 31: a history that somebody changed', (version) => {
  /** A database at 0003 whose history is then changed, and what migrate with one more migration says. */
  async function tampered(
    sql: string,
    files: Record<string, string> = { ...THREE, '0004_four.sql': 'CREATE TABLE four (x int);' },
  ) {
    const db = await createDatabase(version);
    await migrate(db, folder(THREE));
    await db.superQuery(sql);
    const path = folder(files);
    const runs = { migrate: await migrate(db, path), check: await check(db, path), status: await status(db, path) };
    for (const run of Object.values(runs)) {
      expect(run.code, run.stderr).not.toBe(1);
      expect(run.stderr).not.toMatch(/^\s+at .*:\d+:\d+/m);
      run.json();
    }
    expect(await advisoryLocks(db)).toEqual([]);
    return { db, ...runs };
  }

  it('trap 31: a row deleted', async () => {
    const { migrate: run, db } = await tampered("DELETE FROM kasm_db.migrations WHERE name = '0002_two'");
    expect(run.code).toBe(6);
    expect(run.json().error).toMatchObject({ migration: '0002_two' });
    expect(await tableExists(db, 'four')).toBe(false);
  });

  it('all rows deleted: the tables are there without a history', async () => {
    const { migrate: run } = await tampered('DELETE FROM kasm_db.migrations');
    expect(run.code).toBe(6);
    expect(run.json().error?.hint).toContain('adopt');
  });

  it('trap 31: a checksum changed', async () => {
    const { migrate: run, check: checked } = await tampered(
      "UPDATE kasm_db.migrations SET checksum = 'x' WHERE name = '0002_two'",
    );
    expect([run.code, checked.code]).toEqual([6, 6]);
    expect(run.json().error).toMatchObject({ migration: '0002_two' });
  });

  it('trap 31: a foreign column', async () => {
    const { migrate: run } = await tampered('ALTER TABLE kasm_db.migrations ADD COLUMN extra text');
    expect(run.code).toBe(6);
    expect(run.json().error?.message).toContain('extra');
  });

  it('a column missing', async () => {
    const { migrate: run, check: checked } = await tampered('ALTER TABLE kasm_db.migrations DROP COLUMN checksum');
    expect([run.code, checked.code]).toEqual([6, 6]);
  });

  it('a column of another type', async () => {
    for (const change of [
      'ALTER TABLE kasm_db.run ALTER COLUMN done TYPE text, ALTER COLUMN total TYPE text, ALTER COLUMN pid TYPE text',
      'ALTER TABLE kasm_db.migrations ALTER COLUMN duration_ms TYPE boolean USING false',
    ]) {
      const { migrate: run, db } = await tampered(change);
      expect([6, 9], `${change}\n${run.stderr}`).toContain(run.code);
      expect(await tableExists(db, 'four')).toBe(false);
    }
  });

  it('a view instead of the table', async () => {
    const { migrate: run } = await tampered(
      'CREATE TABLE kasm_db.copy AS TABLE kasm_db.migrations; DROP TABLE kasm_db.migrations; CREATE VIEW kasm_db.migrations AS TABLE kasm_db.copy; GRANT ALL ON kasm_db.migrations TO PUBLIC',
    );
    expect(run.code).toBe(6);
    expect(run.json().error?.message).toContain('not an ordinary table');
  });

  it('trap 31: tables owned by someone else', async () => {
    const { migrate: run } = await tampered('ALTER TABLE kasm_db.migrations OWNER TO postgres');
    expect(run.code).toBe(9);
    expect(run.json().error?.hint).toMatch(/^as postgres: give the tables to \w+/);
  });

  it('tables owned by someone else that may be read', async () => {
    const { migrate: run, check: checked } = await tampered(
      'ALTER TABLE kasm_db.migrations OWNER TO postgres; ALTER TABLE kasm_db.run OWNER TO postgres; GRANT SELECT ON kasm_db.migrations, kasm_db.run TO PUBLIC',
    );
    expect(run.code).toBe(9);
    expect(checked.code).toBe(3);
  });

  it('the schema closed', async () => {
    const { migrate: run, check: checked } = await tampered('ALTER SCHEMA kasm_db OWNER TO postgres');
    expect([run.code, checked.code]).toEqual([9, 9]);
  });

  it('the run row gone, and its table: made again', async () => {
    expect((await tampered('DELETE FROM kasm_db.run')).migrate.code).toBe(0);
    expect((await tampered('DROP TABLE kasm_db.run')).migrate.code).toBe(0);
  });

  it('a name that is no migration', async () => {
    const { migrate: run } = await tampered(
      `INSERT INTO kasm_db.migrations (name, checksum, app_version, kind) VALUES (E'\\x07 ''evil"\\x1b[31m', '', 'x', 'sql')`,
    );
    expect(run.code).toBe(6);
    expect(run.stderr).not.toContain('\u001b');
  });
});
