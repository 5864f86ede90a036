/** What the preseed generator of Kasm's own chart writes, over our documents; and databases that earlier builds have seeded. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { preseed } from '../fixtures/seed/preseed.js';
import {
  dump,
  hashOf,
  migratedDatabases,
  newSecret,
  newSecrets,
  seed,
  seeded,
  shippedRows,
} from '../fixtures/seed/seeding.js';
import type { TestDatabase } from '../support/database.js';

let fresh: () => Promise<TestDatabase>;
beforeAll(async () => {
  fresh = await migratedDatabases();
});

/** What its users and API keys want besides: the renamed admin's, and those of its two API keys. */
const preseedSecrets = () => ({
  ...newSecrets(),
  ...Object.fromEntries(
    ['boss', 'site-admin', 'kasm-engineering-api', 'kcs-api'].map((name) => [`${name}-password`, newSecret()]),
  ),
});

it('a file of its form with every table and column, whatever its name: seeded, repeated, rotated', async () => {
  const db = await fresh();
  const { text, rows } = preseed();
  const seeds = { 'kasm-preseed.yaml': text };
  const secrets = preseedSecrets();
  // And the row of installation, a table that no export has.
  const total = Object.values(rows).flat().length + 1;
  expect((await seeded(db, { seeds, secrets })).counts).toMatchObject({ inserted: total, kept: 0 });
  expect(
    await db.query(
      'SELECT u.username, g.name FROM user_groups JOIN users u USING (user_id) JOIN groups g USING (group_id) ORDER BY 1, 2',
    ),
  ).toEqual([
    { username: 'boss@example.com', name: 'Administrators' },
    { username: 'jane.doe@example.com', name: 'All Users' },
    { username: 'siteadmin@kasm.local', name: 'All Users' },
    { username: 'user@kasm.local', name: 'All Users' },
  ]);
  const [boss] = await db.query<{ pw_hash: string; salt: string }>(
    "SELECT pw_hash, salt FROM users WHERE username = 'boss@example.com'",
  );
  expect(boss?.pw_hash).toBe(hashOf(secrets['boss-password'] as string, boss?.salt as string));
  const settings = await db.query('SELECT category, name, value FROM settings');
  expect(settings).toHaveLength(shippedRows().settings?.length as number);
  expect(settings.find(({ name }) => name === 'default_vm_ssh_connection_settings')?.value).toBe('{"port": 2222}');
  expect((await seeded(db, { seeds, secrets })).counts).toMatchObject({ inserted: 0, unchanged: total });

  const changed = { ...secrets, 'boss-password': newSecret(), 'manager-token': newSecret() };
  const { actions } = await seeded(db, { seeds, secrets: changed, args: ['--rotate', 'boss-password,manager-token'] });
  expect(actions).toMatchObject({ 'boss-password': 'rotated', 'manager-token': 'rotated' });
  const [after] = await db.query<{ pw_hash: string; salt: string }>(
    "SELECT pw_hash, salt FROM users WHERE username = 'boss@example.com'",
  );
  expect(after?.pw_hash).toBe(hashOf(changed['boss-password'], after?.salt as string));
});

it('what its generator gets wrong is told by line; a built-in user without a Secret keeps no placeholder', async () => {
  const db = await fresh();
  const wrong = await seed(db, {
    seeds: { 'custom_properties.yaml': preseed({ asGenerated: true }).text },
    secrets: preseedSecrets(),
  });
  expect(wrong.code).toBe(8);
  expect(wrong.json().error?.message).toMatch(/custom_properties\.yaml:\d+: file_mappings\.created is required/);
  expect(wrong.json().error?.message).toMatch(
    /custom_properties\.yaml:\d+: table "vsphere_vm_configs" has no column "no_such_column"/,
  );
  const { 'boss-password': _, ...secrets } = preseedSecrets();
  const missing = await seed(db, { seeds: { 'custom_properties.yaml': preseed().text }, secrets });
  expect([missing.code, missing.json().error?.message]).toEqual([8, expect.stringContaining('boss-example-com')]);
});

it('a database that our documents have seeded takes it too: rows of the same name stay what they are', async () => {
  const db = await fresh();
  const secrets = preseedSecrets();
  await seeded(db, { secrets });
  const before = await db.query('SELECT setting_id, category, name FROM settings ORDER BY 1');
  const groups = await db.query("SELECT group_id FROM groups WHERE name = 'Administrators'");
  await seeded(db, { seeds: { 'custom_properties.yaml': preseed().text }, secrets });
  expect(await db.query('SELECT setting_id, category, name FROM settings ORDER BY 1')).toEqual(before);
  expect(await db.query("SELECT group_id FROM groups WHERE name = 'Administrators'")).toEqual(groups);
  expect(await db.query("SELECT count(*)::int AS n FROM groups WHERE name = 'Site Administrators'")).toEqual([
    { n: 1 },
  ]);
});

it('an overlay of some tables takes along what belonged to the rows that it replaces', async () => {
  const db = await fresh();
  const custom = 'groups:\n  - {group_id: "${uuid:group_id:9}", name: Administrators, priority: 1, is_system: true}\n';
  await seeded(db, {
    seeds: {
      'custom_properties.yaml': `${custom}  - {group_id: 68d557ac-4cac-42cc-a9f3-1c7c853de0f3, name: All Users}\n`,
    },
    secrets: newSecrets(),
  });
  expect(
    await db.query(
      "SELECT u.username FROM user_groups JOIN users u USING (user_id) JOIN groups g USING (group_id) WHERE g.name = 'Administrators'",
    ),
  ).toEqual([{ username: 'admin@kasm.local' }]);
});

it('who was seeded with the names of earlier builds keeps every row, and what was deleted stays away', async () => {
  const db = await fresh();
  const secrets = newSecrets();
  const folder = join(import.meta.dirname, '../../seeds');
  const earlier = Object.fromEntries(
    readdirSync(folder).map((file) => [
      file,
      readFileSync(join(folder, file), 'utf8').replaceAll('uuid:kasm-db/', 'uuid:'),
    ]),
  );
  await seeded(db, { seeds: earlier, secrets });
  await db.query(
    "DELETE FROM user_groups WHERE user_id = (SELECT user_id FROM users WHERE username = 'user@kasm.local')",
  );
  await db.query("DELETE FROM group_settings WHERE name = 'require_2fa' AND group_id IS NOT NULL");
  await db.query("UPDATE groups SET name = 'Admins' WHERE name = 'Administrators'");
  const publicRows = async () =>
    Object.entries(await dump(db, { physical: true })).filter(([name]) => name.startsWith('public.'));
  const before = await publicRows();
  const { counts } = await seeded(db, { secrets });
  expect(counts).toMatchObject({ inserted: 0, updated: 0 });
  expect(await publicRows()).toEqual(before);
  expect((await seeded(db, { secrets })).counts).toEqual(counts);
  expect(
    await db.query(
      "SELECT count(*)::int AS n FROM kasm_db.seeds WHERE doc_key LIKE '%uuid:group_id%' OR columns::text LIKE '%uuid:setting_id:%'",
    ),
  ).toEqual([{ n: 0 }]);
});

it('KASM_DB_AUTH_DOMAIN is written over what any document says, and follows a change', async () => {
  const db = await fresh();
  const secrets = newSecrets();
  const custom = 'settings:\n  - {category: auth, name: kasm_auth_domain, value: from.the.file}\n';
  const call = { seeds: { 'custom_properties.yaml': custom }, secrets };
  const value = () => db.query("SELECT value FROM settings WHERE name = 'kasm_auth_domain'");
  await seeded(db, { ...call, env: { KASM_DB_AUTH_DOMAIN: 'kasm.example.com' } });
  expect(await value()).toEqual([{ value: 'kasm.example.com' }]);
  const check = await seed(db, { ...call, command: 'check', env: { KASM_DB_AUTH_DOMAIN: 'kasm.example.com' } });
  expect(check.code, check.stderr).toBe(0);
  await seeded(db, { ...call, env: { KASM_DB_AUTH_DOMAIN: 'kasm.example.org' } });
  expect(await value()).toEqual([{ value: 'kasm.example.org' }]);
});
