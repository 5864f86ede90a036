/** A database that Kasm's own initialisation left halfway: it is told what it is, and has a way out. */
import { beforeAll, expect, it } from 'vitest';
import { copyOf, dump } from '../fixtures/seed/seeding.js';
import { cli, startCli } from '../support/cli.js';
import { createDatabase, type TestDatabase, waitFor } from '../support/database.js';

const ask = (db: TestDatabase, command: string, ...args: string[]) => cli([command, '--json', ...args], db.env);

let whole: TestDatabase;
beforeAll(async () => {
  whole = await createDatabase(16);
  const run = await ask(whole, 'migrate');
  if (run.code !== 0) throw new Error(run.stderr);
  // As Kasm's code makes it: all tables, and alembic_version as the last step.
  await whole.query('DROP SCHEMA kasm_db CASCADE; DROP TABLE alembic_version; DELETE FROM installation');
});

/** Some of the tables, without those that refer to the ones that were dropped. */
async function partOf(): Promise<TestDatabase> {
  const db = await copyOf(whole);
  await db.query('DROP TABLE images, servers, kasms, settings CASCADE');
  return db;
}

it('tables without rows, some of which lack: told which; repair --restart-empty asks, drops them, and migrate makes all', async () => {
  const db = await partOf();
  for (const command of ['migrate', 'check', 'doctor']) {
    const run = await ask(db, command);
    expect(run.code, command).toBe(6);
    const told = command === 'doctor' ? JSON.stringify(run.json().checks) : JSON.stringify(run.json().error);
    expect(told).toMatch(
      /\d+ of \d+ tables are there \(.*images.* lack\), none of them has a row: an initialisation was left half-done/,
    );
    expect(told).toContain('kasm-db repair --restart-empty');
  }
  const adopt = await ask(db, 'adopt');
  expect(adopt.json()).toMatchObject({ exitCode: 6, error: { hint: expect.stringContaining('--restart-empty') } });
  const before = await dump(db, { physical: true });
  expect((await ask(db, 'repair', '--restart-empty')).code, 'nobody is there to ask').toBe(2);
  expect(await dump(db, { physical: true })).toEqual(before);
  const run = await ask(db, 'repair', '--restart-empty', '--yes');
  expect(run.json()).toMatchObject({
    exitCode: 0,
    repairs: [{ what: 'restart', text: expect.stringContaining('users') }],
  });
  expect((await ask(db, 'migrate')).code).toBe(0);
  expect((await ask(db, 'verify')).code).toBe(0);
});

it('a row in one of them: told where, and nothing is dropped', async () => {
  const db = await partOf();
  await db.query("INSERT INTO zones (zone_name) VALUES ('somebody''s')");
  const migrate = await ask(db, 'migrate');
  expect(migrate.json().error?.message).toContain('zones has rows');
  expect(migrate.json().error?.hint).not.toContain('--restart-empty');
  const run = await ask(db, 'repair', '--restart-empty', '--yes');
  expect(run.json()).toMatchObject({ exitCode: 6, error: { message: expect.stringContaining('zones has rows') } });
  expect(await db.query('SELECT zone_name FROM zones')).toHaveLength(1);
});

it('a row that comes between the question and the answer is found', async () => {
  const db = await partOf();
  const client = await db.connect();
  await client.query("BEGIN; INSERT INTO zones (zone_name) VALUES ('late')");
  const running = startCli(['repair', '--restart-empty', '--yes', '--json'], db.env);
  await waitFor(
    () =>
      db.superQuery(
        "SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'zones'::regclass AND NOT granted",
      ),
    'the repair to wait',
  );
  await client.query('COMMIT');
  await client.end();
  const run = await running.ended;
  expect(run.code).toBe(6);
  expect(await db.query('SELECT zone_name FROM zones')).toHaveLength(1);
});

it('complete tables without rows and without alembic_version are adopted', async () => {
  const db = await copyOf(whole);
  const told = await ask(db, 'migrate');
  expect(told.json().error).toMatchObject({
    message: expect.stringContaining('none of them has a row'),
    hint: expect.stringMatching(/then kasm-db adopt, and kasm-db seed$/),
  });
  const dry = await ask(db, 'adopt', '--dry-run');
  expect(dry.code, dry.stderr).toBe(0);
  expect(await db.query("SELECT to_regclass('public.alembic_version') AS name")).toEqual([{ name: null }]);
  const run = await ask(db, 'adopt');
  expect(run.json()).toMatchObject({ exitCode: 0, warnings: [expect.stringContaining('bfc22f00ad19')] });
  expect(await db.query('SELECT version_num FROM alembic_version')).toEqual([{ version_num: 'bfc22f00ad19' }]);
  expect((await ask(db, 'check')).code).toBe(0);
  expect((await ask(db, 'verify')).code).toBe(0);
});

it('complete tables with rows and without alembic_version: adopt says what is there, and takes nothing', async () => {
  const db = await copyOf(whole);
  await db.query(
    "INSERT INTO zones (zone_name) VALUES ('somebody''s'); CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)",
  );
  const run = await ask(db, 'adopt');
  expect(run.json()).toMatchObject({ exitCode: 6, error: { message: expect.stringContaining('zones has rows') } });
  expect(run.json().error?.hint).not.toContain('let Kasm finish');
});

it('a database of kasm-db is not restarted', async () => {
  const db = await createDatabase(16);
  expect((await ask(db, 'migrate')).code).toBe(0);
  expect((await ask(db, 'repair', '--restart-empty', '--yes')).code).toBe(6);
  expect((await ask(db, 'check')).code).toBe(0);
});
