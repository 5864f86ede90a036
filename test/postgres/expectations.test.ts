/** What a caller of migrate expects of the database: --expect-existing (an upgrade), --require-empty (a first installation). */
import { expect, inject, it } from 'vitest';
import { cli } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';

const migrate = (db: TestDatabase, args: string[], env = {}) =>
  cli(['migrate', '--json', ...args], { ...db.env, ...env });
const said = async (run: ReturnType<typeof migrate>) => {
  const { code, json } = await run;
  return { ...json().error, code };
};
const tablesOf = async (db: TestDatabase) =>
  (await db.query("SELECT 1 FROM pg_tables WHERE schemaname IN ('public', 'kasm_db')")).length;

it('an empty database: an upgrade stops and makes nothing, a first installation goes on, once', async () => {
  const db = await createDatabase(16);
  for (const more of [[], ['--dry-run'], ['--seed']])
    expect(await said(migrate(db, ['--expect-existing', ...more]))).toMatchObject({
      code: 6,
      message: expect.stringContaining('the database is empty'),
      hint: expect.stringContaining('is the backup restored yet'),
    });
  expect(await tablesOf(db)).toBe(0);
  expect((await migrate(db, ['--require-empty'])).code).toBe(0);
  expect(await said(migrate(db, ['--require-empty']))).toMatchObject({
    code: 6,
    message: expect.stringContaining('19 migrations are recorded'),
  });
  expect((await migrate(db, ['--expect-existing'])).code).toBe(0);
});

it('both at once: 2, before anybody is asked', async () => {
  const { code, message } = await said(
    cli(['migrate', '--json', '--expect-existing', '--require-empty'], { POSTGRES_HOST: 'nowhere.invalid' }),
  );
  expect([code, message]).toEqual([2, expect.stringContaining('exclude each other')]);
});

it("tables of others and Kasm's own, without a history: each is told for what it is", async () => {
  const db = await createDatabase(16);
  await db.query('CREATE TABLE orders (id int)');
  expect(await said(migrate(db, ['--expect-existing']))).toMatchObject({
    code: 6,
    message: expect.stringMatching(/but the database has no history/),
  });
  expect(await said(migrate(db, ['--require-empty']))).toMatchObject({
    code: 6,
    message: expect.stringContaining('schema public has tables (orders)'),
  });
  await db.query('CREATE TABLE settings (setting_id uuid)');
  for (const flag of ['--expect-existing', '--require-empty'])
    expect(await said(migrate(db, [flag]))).toMatchObject({
      code: 6,
      message: expect.stringContaining('an initialisation was left half-done'),
      hint: expect.stringContaining('--restart-empty'),
    });
  expect(await tablesOf(db)).toBe(2);
});

it('with --bootstrap an upgrade makes no database and no role where there is none', async () => {
  const db = await createDatabase(16);
  const login = {
    DATABASE_MASTER_USER: 'postgres',
    DATABASE_MASTER_PASSWORD: inject('servers')[16]?.password as string,
  };
  const elsewhere = { ...login, POSTGRES_DB: `${db.env.POSTGRES_DB}_lost`, POSTGRES_USER: `${db.user}_lost` };
  const there = () =>
    db.superQuery(
      `SELECT datname AS name FROM pg_database WHERE datname = '${elsewhere.POSTGRES_DB}' UNION SELECT rolname FROM pg_roles WHERE rolname = '${elsewhere.POSTGRES_USER}'`,
    );
  for (const env of [elsewhere, login])
    for (const more of [[], ['--dry-run']])
      expect(await said(migrate(db, ['--bootstrap', '--expect-existing', ...more], env))).toMatchObject({
        code: 6,
        message: expect.stringContaining('has no history of kasm-db; nothing was done'),
      });
  expect(await there()).toEqual([]);
  expect(await tablesOf(db)).toBe(0);
  expect((await migrate(db, ['--bootstrap', '--require-empty'], login)).code).toBe(0);
  expect((await migrate(db, ['--bootstrap', '--expect-existing'], login)).code).toBe(0);
});
