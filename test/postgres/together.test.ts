import { describe, expect, inject, it } from 'vitest';
import { newSecret, newSecrets } from '../fixtures/seed/seeding.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';

const secrets = newSecrets();

function admin(db: TestDatabase): Record<string, string> {
  const password = inject('servers')[db.version]?.password as string;
  return { DATABASE_MASTER_USER: 'postgres', DATABASE_MASTER_PASSWORD: password };
}

describe('migrate --seed', () => {
  it('after a seed that failed: what was applied stays said, and the next step has --seed', async () => {
    const db = await createDatabase();
    const few = folder({ ...secrets, 'admin-password': '' });
    const run = await cli(['migrate', '--seed', '--secrets', few, '--json'], db.env);
    expect(run.code).toBe(8);
    const result = run.json();
    expect(result.applied).toHaveLength(19);
    expect(result.current).toBe('0019_alembic_version');
    expect(result.error?.message).toMatch(/^19 migrations were applied, but the seed failed: /);
    expect(result.error?.hint).toMatch(/run: kasm-db migrate --seed( |$)/);
  });

  it('--bootstrap --dry-run tells all three, before anything is there and when it is', async () => {
    const db = await createDatabase();
    const dry = ['migrate', '--bootstrap', '--seed', '--dry-run'];
    const env = { ...db.env, ...admin(db), KASM_DB_SECRETS_DIR: folder(secrets) };
    const nothing = await cli(dry, { ...env, POSTGRES_DB: `${db.name}_new`, POSTGRES_USER: `${db.user}_new` });
    expect(nothing.code).toBe(0);
    expect(nothing.stdout).toMatch(
      /^-- in database postgres\nCREATE ROLE(.*\n)+Would then apply, in this order:\n {2}0001_extensions\n/,
    );
    expect(nothing.stdout).toMatch(/\nWould then write the default rows and the credentials\.\n$/);
    const there = await cli(dry, env);
    expect(there.stdout).toMatch(
      /CREATE SCHEMA kasm_db(.*\n)+Would apply, in this order:\n {2}0001_extensions\n(.*\n)+Would then seed/,
    );
    expect(await db.query("SELECT to_regnamespace('kasm_db') AS history")).toEqual([{ history: null }]);
  });
});

describe('seed --rotate db-password --dry-run', () => {
  it('works with the Secret already new, as the real call does, and changes nothing', async () => {
    const db = await createDatabase();
    const files = { ...secrets, 'db-password': db.password };
    const env = { ...db.env, ...admin(db) };
    expect((await cli(['migrate', '--seed', '--secrets', folder(files)], env)).code).toBe(0);
    const renewed = folder({ ...files, 'db-password': newSecret(), 'admin-password': newSecret() });
    const { POSTGRES_PASSWORD: old, ...rest } = env as Record<string, string>;
    const rotate = ['seed', '--secrets', renewed, '--rotate', 'db-password,admin-password'];
    const dry = await cli([...rotate, '--dry-run'], rest);
    expect(dry.code, dry.stderr).toBe(0);
    expect(dry.stdout).toMatch(/\ndb-password +would be rotated\n/);
    expect(dry.stdout).toMatch(/\nadmin-password +would be rotated\n/);
    expect((await cli(['check', '--seed'], { ...rest, POSTGRES_PASSWORD: old as string })).code).toBe(0);
    const real = await cli(rotate, rest);
    expect(real.code, real.stderr).toBe(0);
    expect(real.stdout).toMatch(/\ndb-password +rotated\n/);
    expect((await cli(['check', '--seed', '--secrets', renewed], rest)).code).toBe(0);
  });
});

describe('bootstrap --gate-role', () => {
  it('takes the password from where the manual says, and without one says which', async () => {
    const db = await createDatabase();
    const env = { ...db.env, ...admin(db) };
    const none = await cli(['bootstrap', '--gate-role', `${db.user}_gate`, '--json'], env);
    expect(none.json()).toMatchObject({
      exitCode: 8,
      error: {
        message: expect.stringContaining('there is no gate-password'),
        hint: expect.stringContaining('KASM_DB_GATE_PASSWORD'),
      },
    });
    const password = newSecret();
    const mounted = folder({ 'gate-password': password });
    const made = await cli(['bootstrap', '--gate-role', `${db.user}_gate`, '--secrets', mounted], env);
    expect(made.code, made.stderr).toBe(0);
    expect((await cli(['migrate'], db.env)).code).toBe(0);
    const gate = { ...db.env, POSTGRES_USER: `${db.user}_gate`, POSTGRES_PASSWORD: password };
    expect((await cli(['check'], gate)).code).toBe(0);
    expect(
      (await cli(['bootstrap', '--gate-role', `${db.user}_two`], { ...env, KASM_DB_GATE_PASSWORD: password })).code,
    ).toBe(0);
  });
});
