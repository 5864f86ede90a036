/** Rows that Kasm's own code has written, with a key that nobody else has. */
import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { genuineRows, genuineSchema } from '../fixtures/schema/genuine.js';
import { copyOf, document, migratedDatabases, newSecret, newSecrets, seed, seeded } from '../fixtures/seed/seeding.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { SECRET_MARK } from '../support/global-setup.js';

const ENCRYPTED = ['settings.value', 'users.crypt_password', 'users.crypt_salt'];
const settings = (db: TestDatabase) => db.query('SELECT category, name, value FROM settings ORDER BY 1, 2');
const tokenIn = async (db: TestDatabase): Promise<string> =>
  (await db.query("SELECT value FROM settings WHERE category = 'manager' AND name = 'token'"))[0]?.value as string;

async function doctor(db: TestDatabase, secrets: Record<string, string>, ...args: string[]) {
  const result = (await cli(['doctor', '--json', '--secrets', folder(secrets), ...args], db.env)).json();
  return { ...result, line: result.checks?.find(({ name }) => name === 'encryption') };
}

/** Without keys that would have to be made. */
const seeds = {
  'few.yaml': document(`settings:
  - {category: manager, name: token, value: "\${random_token:manager_token}"}
  - {category: auth, name: registration_token, value: "\${random_token:registration_token}"}
  - {category: scale, name: guardian_interval, value: '15'}
users:
  - {username: admin@kasm.local, realm: local, created: "\${datetime:utcnow}", crypt_password: "\${crypt:password:1}", crypt_salt: "\${crypt:salt:1}"}
`),
};

describe.each([['an adopted database'], ['one that a program of Kasm has seeded']])('%s', (kind) => {
  const secrets = newSecrets();
  let template: TestDatabase;
  beforeAll(async () => {
    if (kind === 'an adopted database') {
      template = await createDatabase();
      await template.query(genuineSchema());
      await template.query(genuineRows());
      expect((await cli(['adopt'], template.env)).code).toBe(0);
      return;
    }
    template = await (await migratedDatabases())();
    const rows = genuineRows().replace(', created_at', '').replace(', now());', ');').replace(', revision', '');
    await template.query(rows.replace(', 1);', ');').replaceAll('uuid_generate_v4()', 'gen_random_uuid()'));
    const once = await cli(['once', 'kasm', '--seeds-database', '--', 'true'], template.env);
    expect(once.code, once.stderr).toBe(0);
  });

  it('seed writes nothing, however often, and says what looks encrypted', async () => {
    const db = await copyOf(template);
    const before = await settings(db);
    for (const _ of [1, 2, 3]) {
      const run = await seed(db, { seeds, secrets });
      expect(run.json(), run.stderr).toMatchObject({
        exitCode: 0,
        seed: { inserted: 0, updated: 0 },
        encrypted: ENCRYPTED,
      });
      expect(run.json().warnings).toBeUndefined();
      expect(run.json().plainText).toBeUndefined();
    }
    expect(await settings(db)).toEqual(before);
    const text = await cli(['seed', '--secrets', folder(secrets), '--seeds', folder(seeds)], db.env);
    expect(text.stdout).toContain(
      `Looks encrypted by Kasm, and is overwritten by --rotate with --force only: ${ENCRYPTED.join(', ')}`,
    );
  });

  it('--rotate of a token wants --force, in a dry run too; of a password it does not', async () => {
    const db = await copyOf(template);
    await seeded(db, { seeds, secrets });
    const before = await settings(db);
    for (const args of [['manager-token'], ['service-token,admin-password'], ['all'], ['manager-token', '--dry-run']]) {
      const run = await seed(db, { seeds, secrets, args: ['--rotate', ...args] });
      expect(run.json()).toMatchObject({
        exitCode: 8,
        error: {
          message: expect.stringContaining('was not written by kasm-db, and looks encrypted by Kasm'),
          hint: expect.stringContaining('--force'),
        },
      });
    }
    expect((await seeded(db, { seeds, secrets, args: ['--rotate', 'admin-password'] })).actions).toMatchObject({
      'admin-password': 'rotated',
    });
    expect(await settings(db)).toEqual(before);

    const { run } = await seeded(db, { seeds, secrets, args: ['--rotate', 'manager-token', '--force'] });
    expect(run.json().plainText).toEqual(['settings.value']);
    expect(run.json().warnings).toEqual([expect.stringContaining('beside it stands what looks encrypted')]);
    expect(await tokenIn(db)).toBe(secrets['manager-token']);
    expect((await doctor(db, secrets)).line).toMatchObject({
      state: 'warning',
      text: expect.stringContaining('plain text'),
    });
    const changed = { ...secrets, 'manager-token': newSecret() };
    await seeded(db, { seeds, secrets: changed, args: ['--rotate', 'manager-token'] });
    expect(await tokenIn(db), 'from then on it is ours').toBe(changed['manager-token']);
  });

  it('doctor says how many columns, and what that means', async () => {
    const db = await copyOf(template);
    const { encrypted, line, exitCode, checks } = await doctor(db, secrets, '--seeds', folder(seeds));
    expect(checks?.filter(({ state }) => state === 'failed')).toEqual([]);
    expect(encrypted).toEqual(ENCRYPTED);
    expect(line).toMatchObject({
      state: 'ok',
      text: expect.stringMatching(/^3 columns look encrypted by Kasm: settings\.value, .*--force/),
    });
    expect(exitCode).toBe(0);
  });

  it('a document made from the stored values claims none of them: a later one with plain text changes nothing', async () => {
    const db = await copyOf(template);
    const stored = await tokenIn(db);
    const rows = (value: string) => ({
      'd.yaml': document(
        `settings:\n  - {category: manager, name: token, value: '${value}'}\n  - {category: a, name: b, value: c}\n`,
      ),
    });
    await seeded(db, { seeds: rows(stored), secrets: {} });
    const { counts } = await seeded(db, { seeds: rows('plain'), secrets: {} });
    expect(counts).toMatchObject({ updated: 0 });
    expect(await tokenIn(db)).toBe(stored);
  });
});

describe('a database that our own seed has written', () => {
  it('says once, in text and JSON, what a genuine API may expect encrypted; a dry run says it too', async () => {
    const db = await (await migratedDatabases())();
    const secrets = newSecrets();
    const dry = await seed(db, { secrets, args: ['--dry-run'] });
    const first = await seed(db, { secrets });
    for (const run of [dry, first]) {
      expect(run.json().plainText).toEqual(ENCRYPTED);
      const [warning, ...others] = run.json().warnings ?? [];
      for (const name of [...ENCRYPTED, 'seed.by: kasm', 'docs/KASM-SEED.md']) expect(warning).toContain(name);
      expect(others).toEqual([expect.stringContaining('settings has 77 rows, Kasm 1.19 has 87')]);
      expect(run.stderr).toContain(warning);
    }
    const again = await seed(db, { secrets });
    expect(again.json().warnings).toBeUndefined();
    expect(again.stderr).not.toContain('plain text');
    const rotated = await seed(db, { secrets: newSecrets(), args: ['--rotate', 'all'] });
    expect(rotated.json()).toMatchObject({ exitCode: 0 });
    expect(rotated.json().warnings).toBeUndefined();
    expect((await doctor(db, secrets)).line).toEqual({
      name: 'encryption',
      state: 'ok',
      text: 'no value looks encrypted by Kasm',
    });
  });

  it.each([
    ['base64', () => randomBytes(32).toString('base64')],
    ['64 letters and digits', () => `${SECRET_MARK}${'aB3'.repeat(21)}`.slice(0, 64)],
  ])('rotates a token that by chance looks encrypted (%s)', async (_, make) => {
    const db = await (await migratedDatabases())();
    const secrets = { ...newSecrets(), 'manager-token': make(), 'service-token': make() };
    await seeded(db, { secrets });
    expect((await doctor(db, secrets)).line).toMatchObject({ state: 'ok' });
    expect((await seeded(db, { secrets })).counts).toMatchObject({ updated: 0, kept: 0 });
    const changed = { ...secrets, 'manager-token': newSecret() };
    await seeded(db, { secrets: changed, args: ['--rotate', 'manager-token'] });
    expect(await tokenIn(db)).toBe(changed['manager-token']);
  });

  it('Kasm has encrypted one of its values since: it is left so, and doctor warns of those that are plain', async () => {
    const db = await (await migratedDatabases())();
    const secrets = newSecrets();
    await seeded(db, { secrets });
    const encrypted = randomBytes(48).toString('base64');
    await db.query(`UPDATE settings SET value = '${encrypted}' WHERE name = 'token'`);
    expect((await seeded(db, { secrets: { ...secrets, 'manager-token': newSecret() } })).actions).toMatchObject({
      'manager-token': 'kept',
    });
    expect(await tokenIn(db)).toBe(encrypted);
    expect((await doctor(db, secrets)).line).toMatchObject({
      state: 'warning',
      text: expect.stringMatching(
        /^1 column looks encrypted by Kasm: settings\.value; but settings\.value also has plain text/,
      ),
      fix: expect.stringContaining('seed.by: kasm'),
    });
  });
});
