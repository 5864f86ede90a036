import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  copyOf,
  document,
  dump,
  hashOf,
  migratedDatabases,
  newSecret,
  newSecrets,
  seed,
  seeded,
} from '../fixtures/seed/seeding.js';
import { cli, folder } from '../support/cli.js';
import type { TestDatabase } from '../support/database.js';

let fresh: () => Promise<TestDatabase>;
let template: TestDatabase;
const secrets = newSecrets();

/** The four credentials of the shipped documents without the documents' keys, which take a second to make. */
const CREDENTIALS = document(`
settings:
  - setting_id: \${uuid:setting_id:1}
    category: auth
    name: registration_token
    title: t
    value: \${random_token:registration_token}
    value_type: password
  - setting_id: \${uuid:setting_id:2}
    category: manager
    name: token
    title: t
    value: \${random_token:manager_token}
    value_type: password
users:
  - user_id: \${uuid:user_id:1}
    username: admin@kasm.local
    salt: \${uuid:user_salt:1}
    created: \${datetime:utcnow}
    password_set_date: \${datetime:utcnow}
    crypt_password: \${crypt:password:1}
    crypt_salt: \${crypt:salt:1}
    disabled: false
    locked: false
    set_two_factor: false
  - user_id: \${uuid:user_id:2}
    username: user@kasm.local
    realm: local
    created: \${datetime:utcnow}
    crypt_password: \${crypt:password:2}
    crypt_salt: \${crypt:salt:2}
    disabled: true
`);
const seeds = { 'credentials.yaml': CREDENTIALS };

const user = async (db: TestDatabase, username = 'admin@kasm.local') =>
  (await db.query<Record<string, unknown>>('SELECT * FROM users WHERE username = $1', [username]))[0] ?? {};
const token = async (db: TestDatabase, name: string) =>
  (await db.query<{ value: string }>('SELECT value FROM settings WHERE name = $1', [name])).map(({ value }) => value);
const logsIn = async (db: TestDatabase, password: string, username?: string) => {
  const { pw_hash, salt } = await user(db, username);
  return pw_hash === hashOf(password, salt as string);
};

beforeAll(async () => {
  fresh = await migratedDatabases();
  template = await fresh();
  await seeded(template, { seeds, secrets });
});

describe('a password', () => {
  it('that was changed in the database survives seed and a changed Secret; --rotate replaces it', async () => {
    const db = await copyOf(template);
    const theirs = newSecret();
    await db.query("UPDATE users SET pw_hash = $1, salt = 'x' WHERE username = 'admin@kasm.local'", [
      hashOf(theirs, 'x'),
    ]);
    expect((await seeded(db, { seeds, secrets })).actions).toMatchObject({ 'admin-password': 'kept' });
    const changed = { ...secrets, 'admin-password': newSecret() };
    expect((await seeded(db, { seeds, secrets: changed })).actions).toMatchObject({ 'admin-password': 'kept' });
    expect(await logsIn(db, theirs)).toBe(true);
    const { actions } = await seeded(db, { seeds, secrets: changed, args: ['--rotate', 'admin-password'] });
    expect(actions).toEqual({
      'admin-password': 'rotated',
      'user-password': 'unchanged',
      'manager-token': 'unchanged',
      'service-token': 'unchanged',
    });
    expect(await logsIn(db, changed['admin-password'] as string)).toBe(true);
    expect(await logsIn(db, secrets['user-password'] as string, 'user@kasm.local')).toBe(true);
  });

  it('whose Secret has changed is reported and not applied, with the command that does', async () => {
    const db = await copyOf(template);
    const before = await dump(db, { physical: true });
    const changed = { ...secrets, 'admin-password': newSecret() };
    expect((await seeded(db, { seeds, secrets: changed })).actions).toMatchObject({
      'admin-password': 'changed',
      'user-password': 'unchanged',
    });
    expect(await dump(db, { physical: true })).toEqual(before);
    const text = await cli(['seed', '--seeds', folder(seeds), '--secrets', folder(changed)], db.env);
    expect(text.stdout).toContain('kasm-db seed --rotate admin-password');
    await seeded(db, { seeds, secrets: changed, args: ['--rotate', 'admin-password'] });
    expect((await seeded(db, { seeds, secrets: changed })).actions).toMatchObject({ 'admin-password': 'unchanged' });
    expect((await seeded(db, { seeds, secrets })).actions).toMatchObject({ 'admin-password': 'changed' });
  });

  it('gets a new salt with every rotation, and whoever is locked out comes in again', async () => {
    const db = await copyOf(template);
    await db.query(`UPDATE users SET locked = true, disabled = true, set_two_factor = true, secret = 'totp', failed_pw_attempts = 7,
      password_set_date = '2001-01-01'`);
    const before = await user(db);
    await seeded(db, { seeds, secrets, args: ['--rotate', 'admin-password'] });
    const after = await user(db);
    expect(after).toMatchObject({
      locked: false,
      disabled: false,
      set_two_factor: false,
      secret: null,
      failed_pw_attempts: 0,
    });
    expect(after.salt).not.toBe(before.salt);
    expect((after.password_set_date as Date).getFullYear()).toBeGreaterThan(2020);
    expect(await user(db, 'user@kasm.local')).toMatchObject({ locked: true, secret: 'totp', failed_pw_attempts: 7 });
    expect({
      ...after,
      pw_hash: 0,
      salt: 0,
      locked: 0,
      disabled: 0,
      set_two_factor: 0,
      secret: 0,
      failed_pw_attempts: 0,
      password_set_date: 0,
    }).toEqual({
      ...before,
      pw_hash: 0,
      salt: 0,
      locked: 0,
      disabled: 0,
      set_two_factor: 0,
      secret: 0,
      failed_pw_attempts: 0,
      password_set_date: 0,
    });
  });

  it('a rotation outlasts documents that disable the user', async () => {
    const db = await copyOf(template);
    await seeded(db, { seeds, secrets, args: ['--rotate', 'user-password'] });
    expect(await user(db, 'user@kasm.local')).toMatchObject({ disabled: false });
    const before = await dump(db, { physical: true });
    await seeded(db, { seeds, secrets });
    expect(await dump(db, { physical: true })).toEqual(before);
  });

  it('of a customer who dropped a lock-out column is rotated without it', async () => {
    const db = await copyOf(template);
    await db.query('ALTER TABLE users DROP COLUMN failed_pw_attempts');
    const changed = { ...secrets, 'admin-password': newSecret() };
    await seeded(db, { seeds, secrets: changed, args: ['--rotate', 'admin-password'] });
    expect(await logsIn(db, changed['admin-password'] as string)).toBe(true);
  });
});

describe('a token', () => {
  it('is rotated in its one row: no duplicate (category, name)', async () => {
    const db = await copyOf(template);
    const changed = { ...secrets, 'manager-token': newSecret() };
    expect((await seeded(db, { seeds, secrets: changed })).actions).toMatchObject({ 'manager-token': 'changed' });
    expect(await token(db, 'token')).toEqual([secrets['manager-token']]);
    expect((await seeded(db, { seeds, secrets: changed, args: ['--rotate', 'manager-token'] })).actions).toMatchObject({
      'manager-token': 'rotated',
      'service-token': 'unchanged',
    });
    expect(await token(db, 'token')).toEqual([changed['manager-token']]);
    expect(await db.query('SELECT category, name FROM settings GROUP BY 1, 2 HAVING count(*) > 1')).toEqual([]);
    expect((await seeded(db, { seeds, secrets: changed })).actions).toMatchObject({ 'manager-token': 'unchanged' });
  });

  it('that kasm-db did not write may be encrypted: rotated with --force only', async () => {
    const db = await copyOf(template);
    await db.query("UPDATE settings SET value = 'ENC[abc]' WHERE name = 'token'");
    const changed = { ...secrets, 'manager-token': newSecret(), 'admin-password': newSecret() };
    const before = await dump(db, { physical: true });
    for (const keys of ['manager-token', 'admin-password,manager-token', 'all']) {
      const run = await seed(db, { seeds, secrets: changed, args: ['--rotate', keys] });
      expect(run.code).toBe(8);
      expect(run.json().error).toMatchObject({
        message: expect.stringContaining('manager-token: the stored setting was not written by kasm-db'),
        hint: expect.stringContaining('--force'),
      });
      expect(await dump(db, { physical: true })).toEqual(before);
    }
    expect((await seeded(db, { seeds, secrets: changed })).actions).toMatchObject({ 'manager-token': 'kept' });
    await seeded(db, { seeds, secrets: changed, args: ['--rotate', 'manager-token', '--force'] });
    expect(await token(db, 'token')).toEqual([changed['manager-token']]);
    // From now on it is ours.
    const again = { ...changed, 'manager-token': newSecret() };
    await seeded(db, { seeds, secrets: again, args: ['--rotate', 'manager-token'] });
    expect(await token(db, 'token')).toEqual([again['manager-token']]);
  });
});

describe('--rotate', () => {
  it('all: every credential that has a value', async () => {
    const db = await copyOf(template);
    const { 'service-token': _, ...changed } = newSecrets();
    const { actions } = await seeded(db, { seeds, secrets: changed, args: ['--rotate', 'all'] });
    expect(actions).toEqual({ 'admin-password': 'rotated', 'user-password': 'rotated', 'manager-token': 'rotated' });
    expect(await logsIn(db, changed['admin-password'] as string)).toBe(true);
    expect(await token(db, 'registration_token')).toEqual([secrets['service-token']]);
  });

  it.each([
    [
      'of an unknown key',
      'amdin-password',
      /no row of the seed documents takes the credential "amdin-password"/,
      /known are service-token, manager-token, admin-password, user-password/,
    ],
    ['of one of two keys unknown', 'admin-password,nope', /"nope"/, /known are/],
    ["of a service's key that no row takes", 'redis-password', /"redis-password"/, /known are/],
    ['of a key without a value', 'service-token', /"service-token" has no value/, /add it to the mounted Secret/],
  ])('%s: exit 8, nothing written', async (_, keys, message, hint) => {
    const db = await copyOf(template);
    const before = await dump(db, { physical: true });
    const { 'service-token': __, ...others } = newSecrets();
    const run = await seed(db, { seeds, secrets: others, args: ['--rotate', keys] });
    expect(run.code).toBe(8);
    expect(run.json().error?.message).toMatch(message);
    expect(run.json().error?.hint).toMatch(hint);
    expect(await dump(db, { physical: true })).toEqual(before);
  });

  it('of a user who was deleted: said to be absent', async () => {
    const db = await copyOf(template);
    await db.query("DELETE FROM users WHERE username = 'user@kasm.local'");
    const { actions } = await seeded(db, { seeds, secrets: newSecrets(), args: ['--rotate', 'user-password'] });
    expect(actions).toMatchObject({ 'user-password': 'absent' });
  });

  it('with newer documents in the same run: both are remembered', async () => {
    const db = await copyOf(template);
    const newer = {
      'credentials.yaml': CREDENTIALS.replace('locked: false', 'locked: false\n    notes: new\n    realm: local'),
    };
    const changed = { ...secrets, 'admin-password': newSecret() };
    await seeded(db, { seeds: newer, secrets: changed, args: ['--rotate', 'admin-password'] });
    expect((await seeded(db, { seeds: newer, secrets: changed })).actions).toMatchObject({
      'admin-password': 'unchanged',
    });
  });
});

describe('where credentials come from', () => {
  const read = async (db: TestDatabase) => ({
    admin: await user(db),
    user: await user(db, 'user@kasm.local'),
    manager: await token(db, 'token'),
    service: await token(db, 'registration_token'),
  });
  const expectAll = async (db: TestDatabase, expected: Record<string, string>) => {
    const { admin, user: other, manager, service } = await read(db);
    expect(admin.pw_hash).toBe(hashOf(expected['admin-password'] as string, admin.salt as string));
    expect(other.pw_hash).toBe(hashOf(expected['user-password'] as string, other.salt as string));
    expect([manager, service]).toEqual([[expected['manager-token']], [expected['service-token']]]);
  };
  const ENVIRONMENT = {
    'admin-password': 'DEFAULT_ADMIN_PASSWORD',
    'user-password': 'DEFAULT_USER_PASSWORD',
    'manager-token': 'DEFAULT_MANAGER_TOKEN',
    'service-token': 'DEFAULT_REGISTRATION_TOKEN',
  };

  it('KASM_DB_SECRETS_DIR; --secrets wins over it', async () => {
    const [a, b] = [await fresh(), await fresh()];
    const mine = newSecrets();
    const env = { KASM_DB_SECRETS_DIR: folder(mine) };
    await seeded(a, { seeds, env });
    await expectAll(a, mine);
    await seeded(b, { seeds, env, secrets });
    await expectAll(b, secrets);
  });

  it("the environment of Kasm's containers, and each as NAME_FILE", async () => {
    const [a, b] = [await fresh(), await fresh()];
    const mine = newSecrets();
    const named = Object.entries(ENVIRONMENT).map(([key, name]) => [name, mine[key] as string] as const);
    await seeded(a, { seeds, env: Object.fromEntries(named) });
    await expectAll(a, mine);
    const files = folder(Object.fromEntries(named.map(([name, value]) => [name, `${value}\n`])));
    await seeded(b, { seeds, env: Object.fromEntries(named.map(([name]) => [`${name}_FILE`, join(files, name)])) });
    await expectAll(b, mine);
  });

  it('a mounted key wins over the environment, which fills what the Secret lacks', async () => {
    const db = await fresh();
    const { 'admin-password': _, ...mounted } = secrets;
    const env = { DEFAULT_ADMIN_PASSWORD: newSecret(), DEFAULT_USER_PASSWORD: newSecret() };
    await seeded(db, { seeds, secrets: mounted, env });
    await expectAll(db, { ...secrets, 'admin-password': env.DEFAULT_ADMIN_PASSWORD });
  });

  it('a Secret as Kubernetes mounts it: links into ..data; names that begin with a dot are skipped', async () => {
    const db = await fresh();
    const mount = folder({});
    mkdirSync(join(mount, '..2026_01_01'));
    for (const [key, value] of Object.entries(secrets)) writeFileSync(join(mount, '..2026_01_01', key), value);
    symlinkSync('..2026_01_01', join(mount, '..data'));
    for (const key of Object.keys(secrets)) symlinkSync(join('..data', key), join(mount, key));
    writeFileSync(join(mount, '.hidden'), Buffer.from([0, 255]));
    await seeded(db, { seeds, args: ['--secrets', mount] });
    await expectAll(db, secrets);
  });

  it('a newline at the end is not part of it; spaces, quotes and other scripts are', async () => {
    const db = await fresh();
    const mine = {
      'admin-password': `${newSecret()} pä@:/%#'"\\ßword 密码 🔑 `,
      'user-password': `${newSecret()}\ttab\nline`,
      'manager-token': `${newSecret()}$dollar$q$`,
      'service-token': `\${${newSecret()}}`,
    };
    const files = {
      ...mine,
      'admin-password': `${mine['admin-password']}\r\n`,
      'user-password': `${mine['user-password']}\n`,
    };
    await seeded(db, { seeds, secrets: files });
    await expectAll(db, mine);
    expect(new Set(Object.values((await seeded(db, { seeds, secrets: files })).actions))).toEqual(
      new Set(['unchanged']),
    );
  });

  it.each([
    ['an empty file', ''],
    ['only a newline', '\n'],
    ['a binary file', Buffer.from([0x80, 0xff, 0x00, 0x01])],
    ['a NUL in a text', 'abc\0def'],
  ])('%s as a needed Secret: exit 8 naming it, nothing written', async (_, content) => {
    const db = await fresh();
    const before = await dump(db, { physical: true });
    const run = await seed(db, { seeds, secrets: { ...secrets, 'admin-password': content } });
    expect(run.code, run.stdout).toBe(8);
    expect(run.json().error?.message).toContain('/admin-password');
    const { 'kasm_db.seeds': seedsTable, ...after } = await dump(db, { physical: true });
    expect([seedsTable, after]).toEqual([undefined, before]);
  });

  it('what no row needs may be binary, empty, a folder or a broken link', async () => {
    const db = await fresh();
    const mount = folder({ ...secrets, 'keystore.p12': Buffer.from([0, 255]), empty: '', 'more/inside': 'x' });
    symlinkSync('nowhere', join(mount, 'broken'));
    await seeded(db, { seeds, args: ['--secrets', mount] });
    await expectAll(db, secrets);
  });

  it('missing ones: exit 8, all of them with where they were looked for, nothing written', async () => {
    const db = await fresh();
    const before = await dump(db, { physical: true });
    const mounted = folder({ 'user-password': newSecret() });
    const run = await seed(db, { seeds, args: ['--secrets', mounted] });
    expect(run.code).toBe(8);
    expect(run.json().error?.message).toBe(
      `3 credentials are missing, so nothing was written: service-token (looked for in ${mounted}/service-token, DEFAULT_REGISTRATION_TOKEN, DEFAULT_REGISTRATION_TOKEN_FILE); manager-token (looked for in ${mounted}/manager-token, DEFAULT_MANAGER_TOKEN, DEFAULT_MANAGER_TOKEN_FILE); admin-password (looked for in ${mounted}/admin-password, DEFAULT_ADMIN_PASSWORD, DEFAULT_ADMIN_PASSWORD_FILE)`,
    );
    expect(await dump(db, { physical: true })).toEqual(before);
    const none = await seed(db, { seeds });
    expect(none.json().error?.message).toContain(
      'user-password (looked for in the folder of --secrets, which is not given, DEFAULT_USER_PASSWORD',
    );
  });

  it.each([
    ['a folder that is not there', '/nonexistent/secrets', /cannot read the secrets folder/],
    ['a file instead of a folder', import.meta.filename, /cannot read the secrets folder/],
  ])('--secrets %s: exit 2', async (_, path, message) => {
    const run = await seed(template, { seeds, args: ['--secrets', path] });
    expect(run.code).toBe(2);
    expect(run.json().error?.message).toMatch(message);
  });
});

describe('users and API keys of a customer', () => {
  const DOCUMENT = document(`
users:
  - &row
    user_id: \${uuid:u:1}
    username: jane.doe@corp.example
    salt: \${uuid:s:1}
    created: \${datetime:utcnow}
    crypt_password: \${crypt:password:1}
    crypt_salt: \${crypt:salt:1}
  - user_id: \${uuid:u:2}
    username: admin@corp.example
    created: \${datetime:utcnow}
    crypt_password: \${crypt:password:2}
    crypt_salt: \${crypt:salt:2}
  - user_id: \${uuid:u:3}
    username: bob
    realm: saml
    created: \${datetime:utcnow}
    crypt_password: \${crypt:password:3}
    crypt_salt: \${crypt:salt:3}
  - user_id: \${uuid:u:4}
    username: hashed@corp.example
    pw_hash: abc
    salt: def
    created: \${datetime:utcnow}
    crypt_password: \${crypt:password:4}
    crypt_salt: \${crypt:salt:4}
api_configs:
  - api_id: \${uuid:a:1}
    name: Kasm Engineering Automation
    api_key: KasmRWApiKey
    created: \${datetime:utcnow}
  - api_id: \${uuid:a:2}
    name: 'Nightly: reports'
    api_key: NightlyRepor
    created: \${datetime:utcnow}
`);
  const corp = {
    'user-jane-doe-corp-example-password': newSecret(),
    'user-jane-doe-corp-example-salt': 'a salt of the Secret',
    'admin-password': newSecret(),
    'kasm-engineering-api-password': newSecret(),
    'kasm-engineering-api-salt': 'another',
    'api-nightly-reports-password': newSecret(),
  };

  it("take user-<name>-password, the renamed admin's local part, the API keys and salts", async () => {
    const db = await fresh();
    const { actions } = await seeded(db, { seeds: { 'c.yaml': DOCUMENT }, secrets: corp });
    expect(actions).toEqual({
      'user-jane-doe-corp-example-password': 'set',
      'admin-password': 'set',
      'kasm-engineering-api-password': 'set',
      'api-nightly-reports-password': 'set',
    });
    expect(await user(db, 'jane.doe@corp.example')).toMatchObject({
      salt: 'a salt of the Secret',
      pw_hash: hashOf(corp['user-jane-doe-corp-example-password'], 'a salt of the Secret'),
    });
    expect(await logsIn(db, corp['admin-password'], 'admin@corp.example')).toBe(true);
    expect(await user(db, 'bob')).toMatchObject({ pw_hash: null });
    expect(await user(db, 'hashed@corp.example')).toMatchObject({ pw_hash: 'abc', salt: 'def' });
    const keys = await db.query('SELECT api_key_secret_hash AS hash, salt FROM api_configs ORDER BY api_key');
    expect(keys[0]).toEqual({ hash: hashOf(corp['kasm-engineering-api-password'], 'another'), salt: 'another' });
    expect(keys[1]?.hash).toBe(hashOf(corp['api-nightly-reports-password'], keys[1]?.salt as string));
  });

  it('API keys are rotated like passwords', async () => {
    const db = await fresh();
    await seeded(db, { seeds: { 'c.yaml': DOCUMENT }, secrets: corp });
    const changed = { ...corp, 'api-nightly-reports-password': newSecret() };
    expect((await seeded(db, { seeds: { 'c.yaml': DOCUMENT }, secrets: changed })).actions).toMatchObject({
      'api-nightly-reports-password': 'changed',
    });
    const args = ['--rotate', 'api-nightly-reports-password'];
    await seeded(db, { seeds: { 'c.yaml': DOCUMENT }, secrets: changed, args });
    const [row] = await db.query(
      "SELECT api_key_secret_hash AS hash, salt FROM api_configs WHERE api_key = 'NightlyRepor'",
    );
    expect(row?.hash).toBe(hashOf(changed['api-nightly-reports-password'], row?.salt as string));
  });

  it("a user named like a service never gets the service's password", async () => {
    const db = await fresh();
    const seeds = { 'c.yaml': DOCUMENT.replace('jane.doe@corp.example', 'db@corp.example') };
    const run = await seed(db, { seeds, secrets: { ...corp, 'db-password': newSecret() } });
    expect(run.code).toBe(8);
    expect(run.json().error?.message).toMatch(/1 credential is missing.*: user-db-corp-example-password/);
  });
});
