/** Beside Kasm's own chart: two sets of credentials, Kasm's own upgrade, a password changed halfway. */

import { beforeAll, expect, inject, it } from 'vitest';
import { copyOf, newSecret, newSecrets, seed, seeded } from '../fixtures/seed/seeding.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';

const secrets = newSecrets();
let template: TestDatabase;
beforeAll(async () => {
  template = await createDatabase(16);
  const run = await seed(template, { command: 'migrate', secrets });
  if (run.code !== 0) throw new Error(run.stderr);
});

it("after Kasm's own upgrade an upgrade's Job does nothing, and says so; without --expect-existing it stops", async () => {
  const db = await copyOf(template);
  await db.superQuery("UPDATE alembic_version SET version_num = '0123456789ab'");
  const changed = { ...secrets, 'admin-password': newSecret() };
  const upgrade = await seed(db, { command: 'migrate', secrets: changed, args: ['--expect-existing'] });
  expect(upgrade.code, upgrade.stderr).toBe(0);
  expect(upgrade.json()).toMatchObject({
    applied: [],
    warnings: [expect.stringContaining('0123456789ab'), expect.stringContaining('seeding was skipped')],
  });
  expect(upgrade.stderr).toContain("Kasm's own upgrade has changed this database");
  expect((await seed(db, { command: 'migrate', secrets })).code).toBe(6);
  const doctor = await cli(['doctor', '--json', '--no-seed'], db.env);
  expect(doctor.code).toBe(6);
  expect(doctor.json().checks).toContainEqual(
    expect.objectContaining({ name: 'migrations', state: 'failed', text: expect.stringContaining('0123456789ab') }),
  );
});

it('doctor, and check --seed with the Secret mounted, say when the database has other tokens than the Secret', async () => {
  const same = await seed(template, { command: 'check', secrets });
  expect([same.code, same.json().warnings]).toEqual([0, undefined]);
  const others = newSecrets();
  const check = await seed(template, { command: 'check', secrets: others });
  expect(check.code).toBe(0);
  expect(check.json().warnings).toEqual([
    'manager-token: the database has another value than the Secret',
    'service-token: the database has another value than the Secret',
  ]);
  const doctor = await cli(['doctor', '--json', '--secrets', folder(others)], template.env);
  const lines = doctor.json().checks?.filter(({ name, state }) => name === 'secrets' && state === 'warning') ?? [];
  expect(lines.map(({ text }) => text.split(':')[0])).toEqual([
    'manager-token',
    'service-token',
    'admin-password',
    'user-password',
  ]);
  for (const run of [check, doctor])
    for (const secret of Object.values({ ...secrets, ...others }))
      expect(run.stdout + run.stderr).not.toContain(secret);
});

it('what Kasm has encrypted is not said to be another one', async () => {
  const db = await copyOf(template);
  const encrypted = Buffer.alloc(48, 7).toString('base64');
  await db.superQuery(`UPDATE settings SET value = '${encrypted}' WHERE name = 'registration_token'`);
  const check = await seed(db, { command: 'check', secrets });
  expect(check.json().warnings).toEqual([expect.stringContaining('unless Kasm has encrypted it')]);
});

it('a gate whose login may not read the tables says nothing of it', async () => {
  const db = await copyOf(template);
  await db.superQuery(`REASSIGN OWNED BY ${db.user} TO postgres`);
  await db.superQuery(`GRANT USAGE ON SCHEMA kasm_db TO ${db.user}`);
  await db.superQuery(`GRANT SELECT ON kasm_db.migrations, kasm_db.run TO ${db.user}`);
  const check = await seed(db, { command: 'check', secrets: newSecrets() });
  expect([check.code, check.json().warnings], check.stderr).toEqual([0, undefined]);
});

it("seed --rotate db-password: a failure after the role's password was changed says that it was, also in JSON", async () => {
  const db = await copyOf(template);
  const login = {
    DATABASE_MASTER_USER: 'postgres',
    DATABASE_MASTER_PASSWORD: inject('servers')[16]?.password as string,
  };
  const rotated = { ...secrets, 'db-password': newSecret() };
  const unknown = await seed(db, { secrets: rotated, args: ['--rotate', 'db-password,nobodys'], env: login });
  expect([unknown.code, unknown.json().seed], 'refused before the password is changed').toEqual([8, undefined]);
  const run = await seed(db, {
    secrets: rotated,
    args: ['--rotate', 'db-password', '--connect-timeout', '1s'],
    env: login,
  });
  expect(run.code).toBe(4);
  expect(run.json()).toMatchObject({
    seed: { inserted: 0, credentials: [{ key: 'db-password', action: 'rotated' }] },
    error: { message: expect.stringContaining('was changed'), hint: expect.stringContaining('POSTGRES_PASSWORD') },
  });
  expect(run.stderr).toContain(`the password of role "${db.user}" was changed`);
  const env = { ...login, POSTGRES_PASSWORD: rotated['db-password'] };
  await db.superQuery("UPDATE alembic_version SET version_num = '0123456789ab'");
  const upgraded = await seed(db, { secrets: rotated, args: ['--rotate', 'db-password'], env });
  expect([upgraded.code, upgraded.json().seed?.credentials]).toEqual([6, [{ key: 'db-password', action: 'rotated' }]]);
  await db.superQuery("UPDATE alembic_version SET version_num = 'bfc22f00ad19'");
  const { actions } = await seeded(db, { secrets: rotated, args: ['--rotate', 'db-password'], env });
  expect(actions).toMatchObject({ 'db-password': 'rotated' });
});

it.each([15, 18] as const)("migrate on PostgreSQL %i says what Kasm's release wants", async (version) => {
  const db = await createDatabase(version);
  const run = await cli(['migrate', '--json'], db.env);
  expect(run.code).toBe(0);
  expect(run.json().warnings).toEqual([expect.stringMatching(version < 16 ? /wants 16/ : /exactly 16/)]);
});
