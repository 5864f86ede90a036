/** The settings that nobody published, from an operator's own Export Configuration. */
import { randomUUID } from 'node:crypto';
import { beforeAll, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { hashOf, migratedDatabases, newSecrets, seed, seeded, shippedRows } from '../fixtures/seed/seeding.js';
import { cli, folder } from '../support/cli.js';
import type { TestDatabase } from '../support/database.js';
import { HEAD } from '../support/release.js';

const NEW = Array.from({ length: 10 }, (_, i) => ({
  category: 'new',
  name: `setting_${i}`,
  value: `${i}`,
  value_type: 'int',
}));

/** What Kasm would write for an installation that has our rows and ten settings more: values where seed files have tokens, and no `installation`. */
function exported(): Record<string, Record<string, unknown>[]> {
  const ids = new Map<string, string>();
  const plain = (value: unknown) => {
    if (typeof value !== 'string' || !value.startsWith('${')) return value;
    if (value.startsWith('${datetime')) return '2026-01-02 03:04:05';
    if (!value.startsWith('${uuid')) return `exported ${value.slice(2, -1)}`;
    ids.set(value, ids.get(value) ?? randomUUID());
    return ids.get(value);
  };
  const { installation: _, ...tables } = shippedRows();
  const made = Object.fromEntries(
    Object.entries(tables).map(([table, rows]) => [
      table,
      rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plain(value)]))),
    ]),
  );
  for (const user of made.users ?? []) user.pw_hash = hashOf('theirs', user.salt as string);
  made.settings = [...(made.settings ?? []), ...NEW.map((row) => ({ setting_id: randomUUID(), ...row }))];
  return made;
}

const file = (tables: object) => stringify({ alembic_version: HEAD, ...tables });
const storedValue = async (db: TestDatabase, name: string) =>
  (await db.query(`SELECT value FROM settings WHERE name = '${name}'`)).map(({ value }) => value);

let fresh: () => Promise<TestDatabase>;
beforeAll(async () => {
  fresh = await migratedDatabases();
});

it('a complete one in place of our documents: all 87 settings, its users, and the row of installation that it leaves out', async () => {
  const db = await fresh();
  const tables = exported();
  const seeds = { 'export_data.yaml': file(tables) };
  const total = Object.values(tables).flat().length + 1;
  const { counts, run } = await seeded(db, { seeds });
  expect(counts).toEqual({ inserted: total, updated: 0, unchanged: 0, kept: 0 });
  expect(run.json().warnings, 'it lacks no settings').toEqual([expect.stringContaining('plain text')]);
  expect(await db.query('SELECT count(*)::int AS n FROM settings')).toEqual([{ n: 87 }]);
  expect(await db.query('SELECT count(*)::int AS n FROM installation')).toEqual([{ n: 1 }]);
  const [user] = await db.query<{ pw_hash: string; salt: string }>(
    "SELECT * FROM users WHERE username = 'admin@kasm.local'",
  );
  expect(user?.pw_hash).toBe(hashOf('theirs', user?.salt as string));
  expect((await seeded(db, { seeds })).counts).toMatchObject({ inserted: 0, unchanged: total });
  expect((await seed(db, { seeds, command: 'check' })).code).toBe(0);
});

it('its settings alone as an overlay, over a database that is seeded already: added, and what someone has changed stays', async () => {
  const db = await fresh();
  const secrets = newSecrets();
  expect((await seeded(db, { secrets })).run.json().warnings).toContainEqual(
    expect.stringMatching(/settings has 77 rows, Kasm 1\.19 has 87.*Export Configuration.*docs\/KASM-SEED\.md/),
  );
  const doctor = async (...args: string[]) =>
    (await cli(['doctor', '--secrets', folder(secrets), ...args], db.env)).stdout;
  expect(await doctor()).toContain('everything is seeded; settings has 77 rows, Kasm 1.19 has 87');
  await db.query("UPDATE settings SET value = '33' WHERE name = 'guardian_interval'");
  const settings = exported().settings?.map((row) => (row.name === 'proxy_path' ? { ...row, value: 'theirs' } : row));
  const seeds = { 'custom_properties.yaml': file({ settings }) };
  const { counts, run } = await seeded(db, { secrets, seeds });
  expect(counts).toMatchObject({ inserted: 10 });
  expect(run.json().warnings).toBeUndefined();
  expect(await storedValue(db, 'setting_7')).toEqual(['7']);
  expect(await storedValue(db, 'proxy_path'), 'what only the seed has written is the export’s now').toEqual(['theirs']);
  expect(await storedValue(db, 'guardian_interval')).toEqual(['33']);
  expect(await storedValue(db, 'token'), 'the Secret says more than the export').toEqual([secrets['manager-token']]);
  expect(await doctor('--seeds', folder(seeds))).toMatch(/everything is seeded$|everything is seeded\n/m);
});

it('a partial one alone leaves a new database without users, and says so; as it comes, in a ZIP archive, it is told how to be unpacked', async () => {
  const db = await fresh();
  const { run } = await seeded(db, { seeds: { 'export_data.yaml': file({ settings: exported().settings }) } });
  expect(run.json().warnings).toContainEqual(expect.stringContaining('there is no user, so nobody can log in'));
  const zip = await seed(db, {
    seeds: { 'export.yaml': Buffer.from('PK\u0003\u0004\u0033\u0000\u0001\u0000', 'latin1') },
  });
  expect(zip.json()).toMatchObject({
    exitCode: 8,
    error: { message: expect.stringContaining('is a ZIP archive'), hint: expect.stringContaining('export_data.yaml') },
  });
});
