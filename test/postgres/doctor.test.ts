import { describe, expect, it } from 'vitest';
import { newSecrets } from '../fixtures/seed/seeding.js';
import { cli, folder, startCli } from '../support/cli.js';
import { createDatabase, type TestDatabase, waitFor } from '../support/database.js';
import { SECRET_MARK } from '../support/global-setup.js';
import { startProxy } from '../support/proxy.js';

describe('doctor › settings', () => {
  it('says of each where it came from and what it hides, never the value of a secret', async () => {
    const db = await createDatabase();
    const secret = `tcp://${SECRET_MARK}x`;
    const run = await cli(['doctor', '--json', '--connect-timeout', '20s'], {
      ...db.env,
      PGHOST: 'elsewhere.invalid',
      PGSSLMODE: 'prefer',
      PGPASSWORD: secret,
      PGSSLPASSWORD: secret,
      PGCONNECT_TIMEOUT: '5',
      POSTGRES_HOSTNAME: 'x',
      PGSSLMOED: 'require',
    });
    const lines = (run.json().checks ?? []).filter(({ name }) => name === 'settings');
    expect(lines.map(({ text }) => text)).toEqual(
      expect.arrayContaining([
        `host 127.0.0.1:${db.port} (POSTGRES_HOST), hides PGHOST`,
        `user ${db.user} (POSTGRES_USER)`,
        'password set (POSTGRES_PASSWORD), hides PGPASSWORD',
        'sslpassword set (PGSSLPASSWORD)',
        'sslmode prefer (PGSSLMODE)',
        'connect_timeout 20.0 s (--connect-timeout), hides PGCONNECT_TIMEOUT',
      ]),
    );
    expect(lines.filter(({ state }) => state === 'warning')).toEqual([
      expect.objectContaining({ text: expect.stringContaining('POSTGRES_HOST and PGHOST contradict each other') }),
      expect.objectContaining({ text: 'POSTGRES_HOSTNAME is not a setting', fix: 'did you mean POSTGRES_HOST?' }),
      expect.objectContaining({ text: 'PGSSLMOED is not a setting', fix: 'did you mean PGSSLMODE?' }),
    ]);
    expect(run.stdout + run.stderr).not.toContain(secret);
  });

  it.each([
    ['POSTGRES_HOST', 'postgres://app:hunter2@db/kasm', 'host (POSTGRES_HOST) holds a URL'],
    ['POSTGRES_HOST', 'db:5432', 'host (POSTGRES_HOST) holds a port'],
    ['POSTGRES_HOST', 'hunter2@db', 'host (POSTGRES_HOST) holds an @'],
    ['PGGSSENCMODE', 'require', 'gssencmode "require" (PGGSSENCMODE) is not supported'],
  ])('%s=%s is exit 2, in every command', async (name, value, message) => {
    for (const command of ['check', 'doctor', 'status']) {
      const run = await cli([command, '--json'], { POSTGRES_USER: 'app', PGHOST: '127.0.0.1', [name]: value });
      expect(run.json()).toMatchObject({ exitCode: 2, error: { message } });
      expect(run.stdout + run.stderr).not.toMatch(/hunter2|:5432/);
    }
  });
});

it('doctor › interrupted while it waits for the server: exit 130, and no sum of what it could not look at', async () => {
  const db = await createDatabase();
  const deaf = await startProxy(db.port, {
    onMessage: ({ direction }) => (direction === 'to client' ? 'drop' : 'pass'),
  });
  const { child, ended } = startCli(['doctor', '--json'], { ...db.env, POSTGRES_PORT: String(deaf.port) });
  await waitFor(async () => deaf.passed, 'the login to be sent');
  child.kill('SIGINT');
  const run = await ended;
  deaf.stop();
  expect(run.json()).toMatchObject({ outcome: 'interrupted', exitCode: 130 });
  expect(run.json().checks).toBeUndefined();
  expect(run.code).toBe(130);
});

describe('doctor › what migrate --seed will do', () => {
  const secrets = folder(newSecrets());
  const doctor = async (db: TestDatabase, args: string[] = [], env = {}) => {
    const run = await cli(['doctor', '--secrets', secrets, ...args], { ...db.env, ...env });
    return { ...run, verdict: run.stdout.trimEnd().split('\n').at(-1) };
  };

  it('a database that is ready, before and after', async () => {
    const db = await createDatabase();
    const before = await doctor(db);
    expect(before.stdout).toContain('19 of 19 migrations are pending; migrate would apply them');
    expect(before.verdict).toMatch(/^\d+ ok, 1 warning: migrate --seed will work\. Next: kasm-db plan$/);
    expect(before.code).toBe(0);
    // Another application's, beside Kasm's.
    await db.superQuery('CREATE TABLE public.of_others (id int PRIMARY KEY)');
    expect((await cli(['migrate', '--seed', '--secrets', secrets], db.env)).code).toBe(0);
    const after = await doctor(db);
    expect(after.stdout).toContain('all 19 migrations are applied');
    expect(after.stdout).toContain('everything is seeded');
    expect(after.code).toBe(0);
  });

  it.each<[what: string, prepare: (db: TestDatabase) => Promise<unknown>, args: string[], verdict: RegExp]>([
    [
      "Kasm's tables without a history: adopt",
      (db) => db.query('CREATE TABLE users (id int)'),
      [],
      /1 failed: migrate will fail\. Next: .*kasm-db/,
    ],
    [
      'a file that was changed since',
      async (db) => {
        await cli(['migrate'], db.env);
        await db.query("UPDATE kasm_db.migrations SET checksum = 'x' WHERE name = '0003_sign_in_providers'");
      },
      [],
      /migrate will fail\. Next: restore the file/,
    ],
    [
      'a history that this login may read alone',
      async (db) => {
        await cli(['migrate'], db.env);
        await db.query('REVOKE UPDATE ON kasm_db.run FROM CURRENT_USER');
      },
      [],
      /migrate will fail\. Next: GRANT ALL ON ALL TABLES IN SCHEMA kasm_db/,
    ],
    [
      'a credential that the seed needs',
      async () => {},
      ['--secrets', folder({ ...newSecrets(), 'admin-password': '' })],
      /migrate will work, but migrate --seed will fail/,
    ],
  ])('%s', async (_, prepare, args, verdict) => {
    const db = await createDatabase();
    await prepare(db);
    const told = await doctor(db, args);
    expect(told.verdict).toMatch(verdict);
    const real = await cli(['migrate', '--seed', '--secrets', secrets, ...args], db.env);
    expect(told.code).toBe(real.code);
    expect(real.code).not.toBe(0);
  });

  it('the admin login is tried', async () => {
    const db = await createDatabase();
    const wrong = { DATABASE_MASTER_USER: 'postgres', DATABASE_MASTER_PASSWORD: `${SECRET_MARK}wrong` };
    const told = await doctor(db, [], wrong);
    expect(told.stdout).toMatch(/failed\s+admin\s+admin login: .* refuses the login of "postgres"/);
    expect(told.code).toBe(4);
  });
});
