import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { migrate, shippedAnd } from '../fixtures/kasm/observe.js';
import { introspected } from '../fixtures/schema/introspected.js';
import { cli, folder, startCli } from '../support/cli.js';
import { createDatabase, type TestDatabase, type Version, waitFor } from '../support/database.js';
import { randomSource, rounds } from '../support/rounds.js';

const SHIPPED = join(import.meta.dirname, '../../migrations');
const newest = JSON.parse(readFileSync(join(SHIPPED, 'schema.snapshot.json'), 'utf8')).migration as string;
const next = String(Number(newest.slice(0, 4)) + 1).padStart(4, '0');

/** A role that may make databases, and a database that has what ships. */
async function migrated(version?: Version): Promise<TestDatabase> {
  const db = await createDatabase(version);
  await db.superQuery(`ALTER ROLE ${db.user} CREATEDB`);
  expect((await migrate(db)).json().error).toBeUndefined();
  return db;
}

/** A folder with what ships and one more, and the snapshot that `makes` leads to. */
async function folderWith(sql: string, makes = sql): Promise<string> {
  const dir = shippedAnd({ [`${next}_more.sql`]: sql, [`${next}_more.down.sql`]: '-- nothing' });
  const model = shippedAnd({ [`${next}_more.sql`]: makes });
  const scratch = await createDatabase();
  expect((await migrate(scratch, model)).json().error).toBeUndefined();
  const out = join(dir, 'schema.snapshot.json');
  expect((await cli(['capture', '--out', out, '--migrations', model], scratch.env)).code).toBe(0);
  return dir;
}

const rehearse = (db: TestDatabase, dir: string, ...args: string[]) =>
  cli(['plan', '--rehearse', '--json', '--migrations', dir, ...args], db.env);

const temporary = (db: TestDatabase) =>
  db.superQuery<{ datname: string }>(
    `SELECT datname FROM pg_database WHERE datname LIKE 'kasm_db_rehearsal_%' AND pg_get_userbyid(datdba) = '${db.user}'`,
  );

/** What was written in the database itself; those of the server as a whole know of the temporary one. */
const writes = (db: TestDatabase) =>
  db.superQuery(
    `SELECT s.relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_all_tables s JOIN pg_class c ON c.oid = s.relid AND NOT c.relisshared AND c.relkind <> 't' AND c.relname <> 'pg_statistic'
     WHERE n_tup_ins + n_tup_upd + n_tup_del > 0 ORDER BY 1`,
  );

const COLUMN = 'ALTER TABLE users ADD COLUMN rehearsed text;\nCREATE TABLE more (id int PRIMARY KEY);\n';

describe('plan --rehearse', () => {
  it.each([
    13, 18,
  ] as Version[])('%i: applies what is pending to a copy, and says whether the result is the snapshot', async (version) => {
    const db = await migrated(version);
    const dir = await folderWith(COLUMN);
    const before = [await introspected(db), await writes(db)];
    const run = (await rehearse(db, dir)).json();
    expect(run.error).toBeUndefined();
    expect(run).toMatchObject({
      exitCode: 0,
      pending: [`${next}_more`],
      differences: [],
      rehearsal: {
        compared: true,
        applied: [{ name: `${next}_more`, locks: [{ relation: 'public.users', mode: 'ACCESS EXCLUSIVE' }] }],
      },
    });
    expect(run.applied, 'nothing is applied to the database itself').toBeUndefined();
    expect([await introspected(db), await writes(db)]).toEqual(before);
    expect(await temporary(db)).toEqual([]);
    const text = await cli(['plan', '--rehearse', '--migrations', dir], db.env);
    expect(text.stdout).toMatch(/Rehearsed: the result matches the snapshot\./);
  });

  it('a migration that fails on this schema is found, with its line; one that makes something else ends with 6', async () => {
    const db = await migrated();
    await db.query('CREATE TABLE more (id text)');
    const dir = await folderWith(COLUMN);
    const failed = (await rehearse(db, dir)).json();
    expect(failed).toMatchObject({
      exitCode: 7,
      pending: [`${next}_more`],
      rehearsal: { applied: [], compared: false },
      error: {
        message: expect.stringMatching(/^in the rehearsal .*_more\.sql:2, .*the database itself was only read$/),
        line: 2,
      },
    });
    await db.query('DROP TABLE more; ALTER TABLE zones ADD COLUMN mine int');
    const drift = (await rehearse(db, dir)).json();
    expect(drift).toMatchObject({
      exitCode: 6,
      outcome: 'integrity',
      differences: [{ change: 'extra', object: 'column public.zones.mine' }],
    });
    expect(await temporary(db)).toEqual([]);
  });

  it('an old snapshot, --to, and nothing pending: said, and exit 0', async () => {
    const db = await migrated();
    const dir = shippedAnd({ [`${next}_a.sql`]: 'CREATE TABLE a (x int);' });
    copyFileSync(join(SHIPPED, 'schema.snapshot.json'), join(dir, 'schema.snapshot.json'));
    const run = (await rehearse(db, dir)).json();
    expect(run).toMatchObject({ exitCode: 0, rehearsal: { compared: false } });
    expect(run.warnings).toEqual(
      expect.arrayContaining([`the result was not compared: the snapshot is of ${newest}, not of ${next}_a`]),
    );
    const nothing = (await cli(['plan', '--rehearse', '--json'], db.env)).json();
    expect(nothing).toMatchObject({ exitCode: 0, pending: [] });
    expect(nothing.rehearsal).toBeUndefined();
  });

  it('a whole first installation, on an empty database', async () => {
    const db = await createDatabase();
    await db.superQuery(`ALTER ROLE ${db.user} CREATEDB`);
    const run = (await cli(['plan', '--rehearse', '--json'], db.env)).json();
    expect(run).toMatchObject({ exitCode: 0, differences: [], rehearsal: { compared: true } });
    expect((await introspected(db)).tables).toEqual([]);
  });

  it('without CREATEDB: exit 9, and what to do; with --embedded it needs none', async () => {
    const db = await createDatabase();
    await migrate(db);
    const reader = `reader_${db.name}`;
    await db.superQuery(`CREATE ROLE ${reader}`);
    await db.query(`GRANT SELECT ON users TO ${reader}`);
    const dir = await folderWith(`GRANT SELECT ON zones TO ${reader};\n`, 'SELECT 1;');
    const refused = (await rehearse(db, dir)).json();
    expect(refused).toMatchObject({
      exitCode: 9,
      error: { sqlstate: '42501', hint: expect.stringMatching(/CREATEDB.*kasm-db plan --rehearse --embedded/) },
    });
    const before = await introspected(db);
    const run = (await rehearse(db, dir, '--embedded', join(folder({}), 'pg'))).json();
    expect(run.error).toBeUndefined();
    expect(run).toMatchObject({ exitCode: 6, database: { name: db.name }, rehearsal: { compared: true } });
    expect(run.differences?.map(({ group }) => group)).toEqual(['public.users', 'public.zones']);
    expect(await introspected(db)).toEqual(before);
    await db.superQuery(`DROP OWNED BY ${reader}; DROP ROLE ${reader}`);
  });
});

describe('plan --rehearse › killed', () => {
  let db: TestDatabase;
  let dir: string;
  beforeAll(async () => {
    db = await migrated();
    dir = await folderWith(`${COLUMN}SELECT pg_sleep(0.3);\n`, COLUMN);
  });

  it('at random moments: no temporary database is left after the next call, and the database is as it was', async () => {
    const before = [await introspected(db), await writes(db)];
    const { seed, next: random } = randomSource();
    const whole = await rehearse(db, dir);
    expect(whole.json().error).toBeUndefined();
    for (let i = 0; i < rounds(4, 30); i++) {
      const { child, ended } = startCli(['plan', '--rehearse', '--json', '--migrations', dir], db.env);
      await sleep(random() * whole.ms);
      child.kill('SIGKILL');
      await ended;
    }
    expect((await rehearse(db, dir)).json().error, `seed ${seed}`).toBeUndefined();
    expect(await temporary(db), `seed ${seed}`).toEqual([]);
    expect([await introspected(db), await writes(db)]).toEqual(before);
  });

  it('SIGTERM drops it; one that is at work, and one that is not ours, are left alone by the next call', async () => {
    const other = `kasm_db_rehearsal_${db.port}_1`;
    await createNamed(db, other);
    const slow = startCli(['plan', '--rehearse', '--json', '--migrations', dir], db.env);
    await waitFor(() => temporary(db), 'its temporary database');
    const [mine] = await temporary(db);
    const second = (await rehearse(db, dir)).json();
    expect(second.error).toBeUndefined();
    expect((await slow.ended).json().error, mine?.datname).toBeUndefined();
    const ended = startCli(['plan', '--rehearse', '--json', '--migrations', dir], db.env);
    await waitFor(() => temporary(db), 'its temporary database');
    ended.child.kill('SIGTERM');
    expect((await ended.ended).code).toBe(143);
    expect(await temporary(db)).toEqual([]);
    expect(await db.superQuery(`SELECT FROM pg_database WHERE datname = '${other}'`)).toHaveLength(1);
    await dropNamed(db, other);
  });
});

/** By somebody else. */
const createNamed = (db: TestDatabase, name: string) => db.superQuery(`CREATE DATABASE ${name}`);
const dropNamed = (db: TestDatabase, name: string) => db.superQuery(`DROP DATABASE ${name}`);

describe('migrate --verify', () => {
  it('stops at drift before anything is applied: with migrations pending, and with none', async () => {
    const db = await migrated();
    const dir = await folderWith(COLUMN);
    await db.query('ALTER TABLE zones ADD COLUMN mine int');
    const refused = (await migrate(db, dir, '--verify')).json();
    expect(refused).toMatchObject({
      exitCode: 6,
      differences: [{ change: 'extra', object: 'column public.zones.mine' }],
      error: {
        message: expect.stringContaining('column public.zones.mine'),
        hint: expect.stringContaining('kasm-db plan --rehearse'),
      },
    });
    expect((await cli(['check', '--migrations', dir], db.env)).code).toBe(3);
    expect((await migrate(db, undefined, '--verify')).json()).toMatchObject({ exitCode: 6 });
    await db.query('ALTER TABLE zones DROP COLUMN mine');
    expect((await migrate(db, dir, '--verify')).json()).toMatchObject({ exitCode: 0, current: `${next}_more` });
    expect((await migrate(db, dir, '--verify')).json()).toMatchObject({ exitCode: 0, applied: [] });
  });

  it('also where all that is pending is older than what is applied', async () => {
    const db = await createDatabase();
    await db.superQuery(`ALTER ROLE ${db.user} CREATEDB`);
    const early = { '0001_a.sql': 'CREATE TABLE a (x int);', '0003_c.sql': 'CREATE TABLE c (x int);' };
    expect((await migrate(db, folder(early))).code).toBe(0);
    const dir = folder({ ...early, '0002_b.sql': '-- kasm-db: out-of-order\nCREATE TABLE b (x int);' });
    const model = await createDatabase();
    expect((await migrate(model, dir)).code).toBe(0);
    const out = join(dir, 'schema.snapshot.json');
    expect((await cli(['capture', '--out', out, '--migrations', dir], model.env)).code).toBe(0);
    await db.query('ALTER TABLE a ADD COLUMN mine int');
    expect((await migrate(db, dir, '--verify')).json()).toMatchObject({
      exitCode: 6,
      differences: [{ change: 'extra', object: 'column public.a.mine' }],
    });
    expect((await rehearse(db, dir)).json()).toMatchObject({ exitCode: 6, rehearsal: { compared: true } });
    await db.query('ALTER TABLE a DROP COLUMN mine');
    expect((await migrate(db, dir, '--verify')).json()).toMatchObject({ exitCode: 0, applied: [{ name: '0002_b' }] });
  });

  it('an empty database has nothing to compare; a folder without a snapshot is exit 2', async () => {
    const db = await createDatabase();
    const dir = folder({ '0001_a.sql': 'CREATE TABLE a (x int);' });
    expect((await migrate(db, dir, '--verify')).json()).toMatchObject({
      exitCode: 2,
      error: { message: expect.stringContaining('schema.snapshot.json') },
    });
    writeFileSync(join(dir, '0001_a.sql'), 'CREATE TABLE a (x int);\n');
    expect((await migrate(db, undefined, '--verify')).json()).toMatchObject({ exitCode: 0 });
  });
});
