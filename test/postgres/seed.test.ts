import { beforeAll, describe, expect, it } from 'vitest';
import {
  ALL_USERS,
  copyOf,
  document,
  dump,
  hashOf,
  migratedDatabases,
  newSecret,
  newSecrets,
  type SeedCall,
  seed,
  seeded,
  shippedRows,
} from '../fixtures/seed/seeding.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase, type TestDatabase, waitFor } from '../support/database.js';
import { HEAD } from '../support/release.js';

const TOTAL = Object.values(shippedRows()).flat().length;
const NOTHING = { inserted: 0, updated: 0, unchanged: 0, kept: 0 };

let fresh: () => Promise<TestDatabase>;
beforeAll(async () => {
  fresh = await migratedDatabases();
});

const count = async (db: TestDatabase, table: string) =>
  Number((await db.query<{ n: string }>(`SELECT count(*) AS n FROM ${table}`))[0]?.n);
const only = async (db: TestDatabase, sql: string) => {
  const rows = await db.query(sql);
  expect(rows).toHaveLength(1);
  return Object.values(rows[0] as object)[0];
};

describe.each([13, 18] as const)('PostgreSQL %i › migrate --seed on an empty database', (version) => {
  let db: TestDatabase;
  const secrets = newSecrets();

  beforeAll(async () => {
    db = await createDatabase(version);
    const before = await cli(['check', '--seed', '--json'], db.env);
    expect(before.code).toBe(3);
    const run = await seed(db, { command: 'migrate', secrets });
    expect(run.code, run.stderr).toBe(0);
    expect(run.json().seed).toEqual({
      ...NOTHING,
      inserted: TOTAL,
      credentials: ['service-token', 'manager-token', 'admin-password', 'user-password'].map((key) => ({
        key,
        action: 'set',
      })),
    });
  });

  it('writes every row of the documents, and no others', async () => {
    for (const [table, rows] of Object.entries(shippedRows()))
      expect([table, await count(db, table)]).toEqual([table, rows.length]);
    expect(await count(db, 'kasm_db.seeds')).toBe(TOTAL);
  });

  it('lets both users log in with the passwords of the Secret: hash of password and salt', async () => {
    const users = await db.query<{ username: string; pw_hash: string; salt: string; realm: string }>(
      'SELECT username, pw_hash, salt, realm FROM users ORDER BY username',
    );
    expect(users.map(({ username, realm }) => [username, realm])).toEqual([
      ['admin@kasm.local', 'local'],
      ['user@kasm.local', 'local'],
    ]);
    for (const [i, key] of (['admin-password', 'user-password'] as const).entries()) {
      expect(users[i]?.salt).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(users[i]?.pw_hash).toBe(hashOf(secrets[key] as string, users[i]?.salt as string));
    }
    expect(users[0]?.salt).not.toBe(users[1]?.salt);
  });

  it("holds for the vendor's readiness query: a zone, and the version", async () => {
    expect(await only(db, 'SELECT zone_name FROM zones')).toBe('default');
    expect(await only(db, 'SELECT version_num FROM alembic_version')).toBe(HEAD);
  });

  it('gives each group its permissions and its members', async () => {
    expect(
      await db.query(
        `SELECT g.name, p.permission_id FROM groups g JOIN group_permissions p USING (group_id) ORDER BY 1`,
      ),
    ).toEqual([
      { name: 'Administrators', permission_id: 200 },
      { name: 'All Users', permission_id: 100 },
    ]);
    expect(
      await db.query(
        `SELECT u.username, g.name FROM user_groups JOIN users u USING (user_id) JOIN groups g USING (group_id) ORDER BY 1, 2`,
      ),
    ).toEqual([
      { username: 'admin@kasm.local', name: 'Administrators' },
      { username: 'admin@kasm.local', name: 'All Users' },
      { username: 'user@kasm.local', name: 'All Users' },
    ]);
    expect(await only(db, "SELECT group_id FROM groups WHERE name = 'All Users'")).toBe(ALL_USERS);
  });

  it('puts the tokens of the Secret into settings', async () => {
    expect(await only(db, "SELECT value FROM settings WHERE category = 'manager' AND name = 'token'")).toBe(
      secrets['manager-token'],
    );
    expect(await only(db, "SELECT value FROM settings WHERE category = 'auth' AND name = 'registration_token'")).toBe(
      secrets['service-token'],
    );
  });

  it('passes check --seed', async () => {
    const check = await cli(['check', '--seed', '--json'], db.env);
    expect(check.code, check.stderr).toBe(0);
  });

  it('changes no row when it is run three more times', async () => {
    const before = await dump(db, { physical: true });
    for (let i = 0; i < 3; i++) {
      const { counts, actions } = await seeded(db, { command: 'migrate', secrets });
      expect(counts).toEqual({ ...NOTHING, unchanged: TOTAL });
      expect(new Set(Object.values(actions))).toEqual(new Set(['unchanged']));
    }
    expect(await dump(db, { physical: true })).toEqual(before);
  });
});

describe('seed › again', () => {
  let template: TestDatabase;
  const secrets = newSecrets();
  beforeAll(async () => {
    template = await fresh();
    await seeded(template, { secrets });
  });

  it('needs no Secret once the rows are there', async () => {
    const db = await copyOf(template);
    const { counts, actions } = await seeded(db, {});
    expect(counts).toEqual({ ...NOTHING, unchanged: TOTAL });
    expect(actions).toEqual({});
  });

  it('trap 40: brings neither a deleted user nor the name of a renamed zone back', async () => {
    const db = await copyOf(template);
    await db.query(`DELETE FROM user_groups WHERE user_id = (SELECT user_id FROM users WHERE username = 'user@kasm.local');
      DELETE FROM users WHERE username = 'user@kasm.local';
      UPDATE zones SET zone_name = 'Frankfurt';
      UPDATE groups SET name = 'Operators' WHERE name = 'Administrators';
      DELETE FROM settings WHERE name = 'guardian_interval'`);
    const before = await dump(db, { physical: true });
    for (let i = 0; i < 2; i++) {
      const { counts, actions } = await seeded(db, { secrets });
      expect(counts).toEqual({ ...NOTHING, unchanged: TOTAL - 5, kept: 5 });
      expect(actions).toMatchObject({ 'user-password': 'absent', 'admin-password': 'unchanged' });
    }
    expect(await dump(db, { physical: true })).toEqual(before);
  });

  it('keeps values that someone has changed, and reports the row as kept', async () => {
    const db = await copyOf(template);
    await db.query(`UPDATE settings SET value = '99' WHERE name = 'guardian_interval';
      UPDATE zones SET proxy_port = NULL;
      UPDATE users SET locked = true WHERE username = 'user@kasm.local'`);
    const before = await dump(db, { physical: true });
    expect((await seeded(db, { secrets })).counts).toEqual({ ...NOTHING, unchanged: TOTAL - 3, kept: 3 });
    expect(await dump(db, { physical: true })).toEqual(before);
  });

  it('knows its values again under another text form of dates, bytes and floats', async () => {
    const db = await fresh();
    const seeds = (day: string, text: string, cores: number) => ({
      'a.yaml': document(`
domains:
  - {domain_id: "\${uuid:d:1}", domain_name: d, created: ${day}, updated: 2024-01-02 03:04:05.678}
users:
  - {user_id: "\${uuid:u:1}", username: u, realm: saml, created: 2024-01-01, crypt_password: ${text}, crypt_salt: "\x01"}
zones:
  - {zone_id: "\${uuid:z:1}", zone_name: z}
managers:
  - {manager_id: "\${uuid:m:1}", zone_id: "\${uuid:z:1}", cpu_percent: ${cores}}
`),
    });
    await seeded(db, { seeds: seeds('2024-01-01', 'abc', 0.1) });
    const other = [
      "DateStyle = 'German'",
      "bytea_output = 'escape'",
      "TimeZone = 'Asia/Tokyo'",
      'extra_float_digits = -10',
    ];
    for (const setting of other) await db.superQuery(`ALTER ROLE ${db.user} SET ${setting}`);
    expect((await seeded(db, { seeds: seeds('2024-01-01', 'abc', 0.1) })).counts).toEqual({ ...NOTHING, unchanged: 4 });
    const { counts } = await seeded(db, { seeds: seeds('2024-05-01', 'def', 0.30000000000000004) });
    expect(counts).toEqual({ ...NOTHING, updated: 3, unchanged: 1 });
    expect((await seeded(db, { seeds: seeds('2024-06-01', 'ghi', 0.3) })).counts).toEqual({
      ...NOTHING,
      updated: 3,
      unchanged: 1,
    });
  });

  it('migrate --seed --dry-run: the seed too where its tables are there, else that it comes', async () => {
    const db = await fresh();
    const before = await dump(db, { physical: true });
    const { run, counts } = await seeded(db, { secrets, args: ['--dry-run'], command: 'migrate' });
    expect(run.json().pending).toEqual([]);
    expect(counts).toEqual({ ...NOTHING, inserted: TOTAL });
    expect(await dump(db, { physical: true })).toEqual(before);
    const bare = await createDatabase(16);
    const pending = await cli(['migrate', '--seed', '--dry-run'], bare.env);
    expect(pending.stdout).toMatch(/Would apply[\s\S]*Would then seed/);
  });

  it('--dry-run says what would be done, and writes nothing', async () => {
    const empty = await fresh();
    const before = await dump(empty, { physical: true });
    const runBefore = await empty.query('SELECT * FROM kasm_db.run');
    const { counts, actions } = await seeded(empty, { secrets, args: ['--dry-run'] });
    expect(counts).toEqual({ ...NOTHING, inserted: TOTAL });
    expect(actions).toMatchObject({ 'admin-password': 'set' });
    expect(await dump(empty, { physical: true })).toEqual(before);
    expect(await empty.query('SELECT * FROM kasm_db.run')).toEqual(runBefore);
    expect(await empty.query("SELECT to_regclass('kasm_db.seeds') AS seeds")).toEqual([{ seeds: null }]);
    const db = await copyOf(template);
    const rows = await dump(db, { physical: true });
    const other = { ...secrets, 'admin-password': newSecret() };
    expect(
      (await seeded(db, { secrets: other, args: ['--dry-run', '--rotate', 'admin-password'] })).actions,
    ).toMatchObject({
      'admin-password': 'rotated',
    });
    expect(await dump(db, { physical: true })).toEqual(rows);
  });
});

const ZONES = (rows: string) => ({ 'zones.yaml': document(`zones:\n${rows}`) });

describe('seed › the installation', () => {
  it('is one row with an id of its own, and one that is there already stays the only one', async () => {
    const [first, second] = [await fresh(), await fresh()];
    await seeded(first, { secrets: newSecrets() });
    await seeded(second, { secrets: newSecrets() });
    const id = await only(first, 'SELECT installation_id FROM installation');
    expect(id).not.toBe(await only(second, 'SELECT installation_id FROM installation'));
    const there = await fresh();
    await there.query(`INSERT INTO installation VALUES ('${id}')`);
    await seeded(there, { secrets: newSecrets() });
    expect(await only(there, 'SELECT installation_id FROM installation')).toBe(id);
  });
});

describe('seed › newer documents', () => {
  const V1 = {
    'a.yaml': document(`
zones:
  - zone_id: \${uuid:zone:1}
    zone_name: one
    proxy_path: desktop
    proxy_port: 443
    allow_origin_domain: a
  - zone_id: \${uuid:zone:2}
    zone_name: two
    proxy_path: desktop
    proxy_port: 443
managers:
  - manager_id: \${uuid:manager:1}
    zone_id: \${uuid:zone:1}
    manager_hostname: m1
groups:
  - group_id: \${uuid:group:1}
    name: Leaving
`),
  };
  const V2 = {
    'a.yaml': document(`
zones:
  - zone_id: \${uuid:zone:1}
    zone_name: uno
    proxy_path: desk
    proxy_port: 8443
    allow_origin_domain: null
  - zone_id: \${uuid:zone:2}
    zone_name: two
    proxy_path: desk
    proxy_port: 8443
  - zone_id: \${uuid:zone:3}
    zone_name: three
managers:
  - manager_id: \${uuid:manager:1}
    zone_id: \${uuid:zone:2}
    manager_hostname: m1
`),
  };

  it('update what nobody has changed, row by row and value by value; insert what is new; delete nothing', async () => {
    const db = await fresh();
    expect((await seeded(db, { seeds: V1 })).counts).toEqual({ ...NOTHING, inserted: 4 });
    await db.query("UPDATE zones SET proxy_path = 'mine' WHERE zone_name = 'two'");
    const ids = await db.query("SELECT zone_id FROM zones WHERE zone_name IN ('one', 'two') ORDER BY zone_name");
    expect((await seeded(db, { seeds: V2 })).counts).toEqual({ ...NOTHING, inserted: 1, updated: 3 });
    const zones = await db.query('SELECT zone_name, proxy_path, proxy_port, allow_origin_domain FROM zones ORDER BY 1');
    expect(zones).toEqual([
      { zone_name: 'three', proxy_path: 'desktop', proxy_port: 443, allow_origin_domain: null },
      { zone_name: 'two', proxy_path: 'mine', proxy_port: 8443, allow_origin_domain: null },
      { zone_name: 'uno', proxy_path: 'desk', proxy_port: 8443, allow_origin_domain: null },
    ]);
    expect(
      await db.query("SELECT zone_id FROM zones WHERE zone_name IN ('uno', 'two') ORDER BY zone_name DESC"),
    ).toEqual(ids);
    // The reference was led to another zone.
    expect(await only(db, 'SELECT zone_name FROM managers JOIN zones USING (zone_id)')).toBe('two');
    expect(await only(db, 'SELECT name FROM groups')).toBe('Leaving');
    const before = await dump(db, { physical: true });
    expect((await seeded(db, { seeds: V2 })).counts).toEqual({ ...NOTHING, unchanged: 3, kept: 1 });
    expect(await dump(db, { physical: true })).toEqual(before);
  });

  it('keep what somebody is just changing, and update the row beside it', async () => {
    const db = await fresh();
    await seeded(db, { seeds: V1 });
    const somebody = await db.connect();
    await somebody.query("BEGIN; UPDATE zones SET proxy_path = 'mine' WHERE zone_name = 'one'");
    const seeding = seeded(db, { seeds: V2 });
    await waitFor(
      () =>
        db.query(
          "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND application_name LIKE 'kasm-db/%'",
        ),
      'the seed to wait for the row',
    );
    await somebody.query('COMMIT');
    await somebody.end();
    await seeding;
    const paths = 'SELECT zone_name, proxy_path FROM zones ORDER BY 1';
    const kept = [
      { zone_name: 'one', proxy_path: 'mine' },
      { zone_name: 'three', proxy_path: 'desktop' },
      { zone_name: 'two', proxy_path: 'desk' },
    ];
    expect(await db.query(paths)).toEqual(kept);
    await seeded(db, { seeds: V2 });
    expect(await db.query(paths)).toEqual(kept);
  });

  it('a row that refers to a deleted one stays away too, or does without where it can', async () => {
    const db = await fresh();
    await seeded(db, { seeds: V1 });
    await db.query("DELETE FROM managers; DELETE FROM zones WHERE zone_name = 'one'");
    const more = {
      'a.yaml': `${V1['a.yaml']}
connection_proxies:
  - connection_proxy_id: \${uuid:proxy:1}
    zone_id: \${uuid:zone:1}
    connection_proxy_type: GUAC
    server_address: x
    server_port: 443
users:
  - user_id: \${uuid:user:1}
    username: a
    realm: saml
    created: \${datetime:utcnow}
    crypt_password: \${crypt:password:1}
    crypt_salt: \${crypt:salt:1}
`,
    };
    const { counts } = await seeded(db, { seeds: more });
    expect(counts).toEqual({ ...NOTHING, inserted: 1, unchanged: 2, kept: 3 });
    expect(await count(db, 'connection_proxies')).toBe(0);
    expect((await seeded(db, { seeds: more })).counts).toEqual({ ...NOTHING, unchanged: 3, kept: 3 });
  });

  it('two rows that are one in the database are refused, with both places', async () => {
    const db = await fresh();
    await seeded(db, { seeds: V1 });
    const before = await dump(db, { physical: true });
    const run = await seed(db, {
      seeds: ZONES('  - zone_id: ${uuid:zone:1}\n    zone_name: x\n  - zone_id: ${uuid:zone:9}\n    zone_name: one\n'),
    });
    expect(run.code).toBe(8);
    expect(run.json().error?.message).toMatch(
      /zones\.yaml:5: zones: this is the same row of the database as .*zones\.yaml:3/,
    );
    expect(await dump(db, { physical: true })).toEqual(before);
  });

  it('rows without an id get one, and are known by it afterwards', async () => {
    const db = await fresh();
    const seeds = {
      'a.yaml': document(`
zones:
  - zone_name: one
banners:
  - name: a
    config: {}
  - name: b
    config: {}
user_server_assignments:
`),
    };
    expect((await seeded(db, { seeds })).counts).toEqual({ ...NOTHING, inserted: 3 });
    await db.query("UPDATE zones SET zone_name = 'renamed'; DELETE FROM banners WHERE name = 'b'");
    expect((await seeded(db, { seeds })).counts).toEqual({ ...NOTHING, unchanged: 1, kept: 2 });
    expect(await count(db, 'zones')).toBe(1);
    expect(await only(db, 'SELECT name FROM banners')).toBe('a');
  });
});

describe('seed › rows that were there first', () => {
  const call: SeedCall = { secrets: newSecrets() };

  it('are matched by their natural keys, and references follow them', async () => {
    const db = await fresh();
    await db.query(`INSERT INTO zones (zone_id, zone_name, proxy_port) VALUES ('00000000-0000-4000-8000-000000000001', 'default', 8443);
      INSERT INTO groups (group_id, name, priority) VALUES ('00000000-0000-4000-8000-000000000002', 'Administrators', 1);
      INSERT INTO users (user_id, username, realm, pw_hash, salt, created, crypt_password, crypt_salt)
        VALUES ('00000000-0000-4000-8000-000000000003', 'admin@kasm.local', 'local', 'theirs', 'salt', now(), '', '');
      INSERT INTO settings (setting_id, category, name, title, value, value_type)
        VALUES ('00000000-0000-4000-8000-000000000004', 'manager', 'token', 't', 'theirs', 'password')`);
    const { counts, actions } = await seeded(db, call);
    expect(counts.inserted).toBe(TOTAL - 4);
    expect(counts.updated).toBe(0);
    expect(counts.kept + counts.unchanged).toBe(4);
    expect(actions).toMatchObject({ 'admin-password': 'kept', 'manager-token': 'kept', 'user-password': 'set' });
    expect(
      await db.query(
        "SELECT u.pw_hash FROM users u JOIN user_groups USING (user_id) WHERE group_id = '00000000-0000-4000-8000-000000000002'",
      ),
    ).toEqual([{ pw_hash: 'theirs' }]);
    expect(
      await only(
        db,
        "SELECT permission_id FROM group_permissions WHERE group_id = '00000000-0000-4000-8000-000000000002'",
      ),
    ).toBe(200);
    expect(await only(db, 'SELECT proxy_port FROM zones')).toBe(8443);
    expect(await only(db, "SELECT value FROM settings WHERE name = 'token'")).toBe('theirs');
    const before = await dump(db, { physical: true });
    await seeded(db, call);
    expect(await dump(db, { physical: true })).toEqual(before);
  });

  it('are found also where a reference in a circle leads to them', async () => {
    const db = await fresh();
    await db.query(`INSERT INTO zones (zone_id, zone_name) VALUES ('00000000-0000-4000-8000-000000000001', 'default')`);
    await seeded(db, {
      seeds: {
        'a.yaml': document(`
managers:
  - manager_id: \${uuid:manager:1}
    zone_id: \${uuid:zone:1}
zones:
  - zone_id: \${uuid:zone:2}
    zone_name: second
    primary_manager_id: \${uuid:manager:1}
  - zone_id: \${uuid:zone:1}
    zone_name: default
`),
      },
    });
    expect(
      await only(
        db,
        "SELECT m.zone_id FROM zones z JOIN managers m ON m.manager_id = z.primary_manager_id WHERE zone_name = 'second'",
      ),
    ).toBe('00000000-0000-4000-8000-000000000001');
  });

  it('on an adopted database every row counts as seeded: nothing is inserted, then or later', async () => {
    const db = await fresh();
    await db.query(`UPDATE kasm_db.migrations SET kind = 'adopted';
      INSERT INTO zones (zone_name) VALUES ('default');
      INSERT INTO settings (category, name, value) VALUES ('theirs', 'theirs', '1');
      INSERT INTO users (username, realm, pw_hash, salt, created, crypt_password, crypt_salt) VALUES ('admin@kasm.local', 'local', 'theirs', 'salt', now(), '', '')`);
    const rows = async () => {
      const { 'kasm_db.seeds': _, ...others } = await dump(db, { physical: true });
      return others;
    };
    const before = await rows();
    for (let i = 0; i < 2; i++) {
      const { counts, actions } = await seeded(db, i === 0 ? {} : call);
      expect(counts).toMatchObject({ inserted: 0, updated: 0 });
      expect(actions).toEqual(
        i === 0
          ? {}
          : {
              'admin-password': 'kept',
              'user-password': 'absent',
              'manager-token': 'absent',
              'service-token': 'absent',
            },
      );
      expect(await rows()).toEqual(before);
    }
    expect((await cli(['check', '--seed', '--json'], db.env)).code).toBe(0);
    // What a newer build brings for the first time is inserted.
    expect(
      (await seeded(db, { seeds: ZONES('  - zone_id: ${uuid:zone:77}\n    zone_name: new\n') })).counts.inserted,
    ).toBe(1);
  });

  it('an export with ids is known for the rows that tokens made', async () => {
    const db = await fresh();
    await seeded(db, {
      seeds: { 'a.yaml': document('banners:\n  - banner_id: ${uuid:b:1}\n    name: a\n    config: {}\n') },
    });
    const id = await only(db, 'SELECT banner_id FROM banners');
    const seeds = { 'a.yaml': document(`banners:\n  - banner_id: ${id}\n    name: b\n    config: {}\n`) };
    expect((await seeded(db, { seeds })).counts).toEqual({ ...NOTHING, updated: 1 });
    await db.query('DELETE FROM banners');
    expect((await seeded(db, { seeds })).counts).toEqual({ ...NOTHING, kept: 1 });
    expect(await count(db, 'banners')).toBe(0);
  });
});

describe('seed › when it is not the time', () => {
  it('migrations missing: exit 3, and the command that applies them', async () => {
    const db = await createDatabase();
    const run = await seed(db, { secrets: newSecrets() });
    expect(run.code).toBe(3);
    expect(run.json().error?.hint).toMatch(/^run: kasm-db migrate --seed --secrets /);
    expect(await db.query("SELECT 1 FROM pg_namespace WHERE nspname = 'kasm_db'")).toEqual([]);
  });

  it('the database ahead of this build: skipped, also when nothing was ever seeded', async () => {
    const db = await fresh();
    await db.query(
      `INSERT INTO kasm_db.migrations (name, checksum, app_version, kind) VALUES ('9999_future', 'x', '9.0.0', 'sql')`,
    );
    const before = await dump(db, { physical: true });
    const run = await seed(db, { secrets: newSecrets() });
    expect(run.code, run.stderr).toBe(0);
    expect(run.json().seed).toBeUndefined();
    expect(run.json().warnings).toEqual(['the database is newer than this build, so seeding was skipped']);
    expect(await dump(db, { physical: true })).toEqual(before);
    expect((await cli(['check', '--seed', '--json'], db.env)).code).toBe(0);
  });

  it("after Kasm's own upgrade: exit 6", async () => {
    const db = await fresh();
    await db.query("UPDATE alembic_version SET version_num = 'e3900d8a4fee'");
    expect((await seed(db, { secrets: newSecrets() })).code).toBe(6);
  });

  it('kasm_db.seeds is not ours: exit 6, nothing written', async () => {
    const db = await fresh();
    await db.query('CREATE TABLE kasm_db.seeds (mine text)');
    const run = await seed(db, { secrets: newSecrets() });
    expect(run.code).toBe(6);
    expect(await count(db, 'users')).toBe(0);
  });

  it('no right to write into the tables: exit 9 with the way out, nothing written', async () => {
    const db = await fresh();
    await db.superQuery('ALTER TABLE zones OWNER TO postgres; REVOKE ALL ON zones FROM PUBLIC');
    await db.superQuery(`GRANT SELECT ON zones TO ${db.user}`);
    const run = await seed(db, { secrets: newSecrets() });
    expect(run.code, run.stdout).toBe(9);
    expect(run.json().error?.hint).toContain('--role');
    expect(await count(db, 'users')).toBe(0);
  });

  it('check --seed: 3 before, 0 after; with --seeds only when exactly these were seeded', async () => {
    const db = await fresh();
    const check = (...args: string[]) => cli(['check', '--seed', '--json', ...args], db.env);
    const before = await check();
    expect(before.code).toBe(3);
    expect(before.json().error).toMatchObject({
      message: expect.stringContaining('not seeded yet'),
      hint: 'run: kasm-db migrate --seed',
    });
    const [mine, other] = ['one', 'two'].map((name) =>
      folder({ 'z.yaml': document(`zones:\n  - zone_name: ${name}\n`) }),
    );
    expect((await check('--seeds', mine as string)).code).toBe(3);
    expect((await cli(['seed', '--json', '--seeds', mine as string], db.env)).code).toBe(0);
    expect((await check('--seeds', mine as string)).code).toBe(0);
    expect((await check('--seeds', other as string)).code).toBe(3);
    expect((await check()).code).toBe(0);
  });

  it('a seed that failed leaves its error where check finds it, and a later one heals it', async () => {
    const db = await fresh();
    expect((await seed(db, {})).code).toBe(8);
    const check = await cli(['check', '--seed', '--json'], db.env);
    expect(check.code).toBe(3);
    expect(check.json().error?.message).toContain('4 credentials are missing');
    await seeded(db, { secrets: newSecrets() });
    expect((await cli(['check', '--seed', '--json'], db.env)).code).toBe(0);
  });
});
