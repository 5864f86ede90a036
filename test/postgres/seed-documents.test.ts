import { beforeAll, describe, expect, it } from 'vitest';
import {
  copyOf,
  document,
  dump,
  migratedDatabases,
  newSecret,
  newSecrets,
  seed,
  seeded,
  shippedRows,
} from '../fixtures/seed/seeding.js';
import { cli, folder } from '../support/cli.js';
import type { TestDatabase } from '../support/database.js';
import { HEAD } from '../support/release.js';

let fresh: () => Promise<TestDatabase>;
/** For documents that are refused: it stays as it is. */
let db: TestDatabase;
let untouched: Awaited<ReturnType<typeof dump>>;
beforeAll(async () => {
  fresh = await migratedDatabases();
  db = await fresh();
  // kasm_db.seeds is made by the first run that comes as far.
  await seeded(db, { seeds: { 'a.yaml': document('zones:\n  - zone_name: there\n') } });
  untouched = await dump(db, { physical: true });
});

async function refused(seeds: Record<string, string | Buffer>, on = db) {
  const before = on === db ? untouched : await dump(on, { physical: true });
  const run = await seed(on, { seeds });
  expect(run.code, run.stdout + run.stderr).toBe(8);
  expect(await dump(on, { physical: true })).toEqual(before);
  return run.json().error;
}
/** The problems that a message lists, without the folder of the files. */
const listed = (message = '') =>
  message
    .replaceAll(/[^\s:]*\//g, '')
    .replace(/^.*? nothing was written: /, '')
    .split('; ');

describe('a document with many faults', () => {
  it('gives one error that lists every one of them with file and line; nothing is written', async () => {
    const error = await refused({
      'a.yaml': document(`zone:
  - zone_name: no such table
zones:
  - zone_id: \${uuid:zone:1}
    zone_name: a
    zone_nmae: no such column
    proxy_port: '443'
    proxy_connections: yes please
    primary_manager_id: \${uuid:manager:404}
  - zone_id: 68d557ac
    zone_name: a
    proxy_port: 2147483648
    load_strategy: \${env:HOME}
    proxy_path: "a\\0b"
  - proxy_port: 1.5
    zone_name: \${datetime:utcnow}
    upstream_auth_address: [x]
users:
  - username: x
    created: 2024-02-30
    realm: ${'r'.repeat(65)}
    crypt_password: 7
    secret: "\\ud800"
`),
      'b.yaml': document(`banners:
  - name: b
    config: {inner: [{deep: "\${uuid}"}]}
  - name: c
    config: {nul: "\\0"}
  - banner_id: 00000000-0000-4000-8000-000000000001
    name: !!binary aGVsbG8=
    config: {}
  - banner_id: 00000000-0000-4000-8000-000000000001
    name: d
    config: {}
images:
  - image_id: \${uuid:image:1}
    name: x
    hash: 0x
    zone_id: 00000000-0000-4000-8000-00000000dead
    x_res: .nan
    persistent_profile_config: .inf
group_settings:
  - name: twice
    value_type: bool
  - name: twice
    value_type: bool
`),
    });
    expect(error).toMatchObject({ code: 'seed', file: expect.stringMatching(/a\.yaml$/), line: 3 });
    expect(listed(error?.message)).toEqual([
      'a.yaml:3: the database has no table "zone"',
      'a.yaml:7: table "zones" has no column "zone_nmae"',
      'a.yaml:8: zones.proxy_port is not of type int4',
      'a.yaml:9: zones.proxy_connections is not of type bool',
      'a.yaml:10: zones.primary_manager_id refers to ${uuid:manager:404}, and neither a document nor the database has that row of managers',
      'a.yaml:11: zones.zone_id is not a UUID',
      'a.yaml:11: zones: the same row stands in a.yaml:5 (same zone_name)',
      'a.yaml:13: zones.proxy_port is too large',
      'a.yaml:14: zones.load_strategy has an unknown token ${env:HOME}',
      'a.yaml:15: zones.proxy_path holds a NUL character',
      'a.yaml:16: zones.proxy_port is not a whole number',
      'a.yaml:17: zones.zone_name is of type varchar, which ${datetime:utcnow} does not make',
      'a.yaml:18: zones.upstream_auth_address is not of type varchar',
      'a.yaml:20: users.crypt_salt is required',
      'a.yaml:21: users.created is not a day of the calendar',
      'a.yaml:22: users.realm has 65 characters, more than 64',
      'a.yaml:23: users.crypt_password is not of type bytea',
      'a.yaml:24: users.secret holds half of a surrogate pair',
      'b.yaml:4: banners.config has an unknown token ${uuid}',
      'b.yaml:6: banners.config holds a NUL or half a character',
      'b.yaml:8: banners.name is not of type varchar',
      'b.yaml:10: banners: the same row stands in b.yaml:7 (same banner_id)',
      'b.yaml:17: images.zone_id refers to 00000000-0000-4000-8000-00000000dead, and neither a document nor the database has that row of zones',
      'b.yaml:18: images.x_res is not of type int4',
      'b.yaml:19: table "images" has no column "persistent_profile_config"',
      'b.yaml:23: group_settings: the same row stands in b.yaml:21 (same group_id, name)',
    ]);
    expect(error?.message).toMatch(/^the seed documents have 26 problems, so nothing was written: /);
  });

  it('lists the first fifty, and says how many more there are', async () => {
    const rows = Array.from({ length: 60 }, () => '  - zone_nmae: x\n').join('');
    const error = await refused({ 'a.yaml': document(`zones:\n${rows}`) });
    const lines = listed(error?.message);
    expect(lines).toHaveLength(51);
    expect(lines.at(-1)).toBe('and 129 more');
  });
});

describe('a file that is no seed document', () => {
  const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]']
    .concat([...'bcdefghi'].map((name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefghi'[i]}`)}]`))
    .join(', ');
  const laughs = `banners:\n  - name: x\n    config: {${bomb}}\n`;

  it.each<[string, string | Buffer, RegExp]>([
    ['not YAML', document('zones: [\n'), /a\.yaml:\d+: not YAML/],
    ['a list at the top', '- zones\n', /a\.yaml:1: the top level must be a map of tables/],
    ['a text at the top', 'zones\n', /a\.yaml:1: the top level must be a map of tables/],
    ['empty', '', /a\.yaml:1: the top level must be a map of tables/],
    ['a table that is no list', document('zones: default\n'), /a\.yaml:2: "zones" must be a list of rows/],
    [
      'rows that are no maps',
      document('zones:\n  - default\n  - [x]\n'),
      /2 problems[\s\S]*a\.yaml:3: a row of "zones"[\s\S]*a\.yaml:4: a row/,
    ],
    [
      'a column twice',
      document('zones:\n  - zone_name: a\n    zone_name: b\n'),
      /a\.yaml:4: not YAML: Map keys must be unique/,
    ],
    ['a table twice', document('zones: []\nzones: []\n'), /a\.yaml:3: not YAML: Map keys must be unique/],
    ['a YAML bomb', document(laughs), /a\.yaml:4: with its aliases the document is larger than 32 MB/],
    [
      'anchors in a loop',
      document('banners:\n  - name: x\n    config: &a {b: [*a]}\n'),
      /a\.yaml:4: an anchor contains itself/,
    ],
    [
      'a row in a loop',
      document('banners:\n  - &a\n    name: x\n    config: *a\n'),
      /a\.yaml:5: an anchor contains itself/,
    ],
    ['an alias without an anchor', document('zones: *nothing\n'), /a\.yaml:2: /],
    [
      'an alias without an anchor in a value',
      document('banners:\n  - name: x\n    config: {a: *nothing}\n'),
      /a\.yaml:4: /,
    ],
    ['Latin-1', Buffer.from('zones:\n  - zone_name: Z\xfcrich\n', 'latin1'), /a\.yaml is not UTF-8 text/],
    ['a NUL byte', document('zones:\n  - zone_name: "a\0b"\n'), /a\.yaml holds a NUL byte/],
    [
      'for another release',
      'alembic_version: e3900d8a4fee\n',
      new RegExp(`is for alembic_version e3900d8a4fee, but this kasm-db makes ${HEAD}`),
    ],
    [
      'for no release',
      'zones: []\n',
      new RegExp(`is for alembic_version \\(none is given\\), but this kasm-db makes ${HEAD}`),
    ],
  ])('%s: exit 8, nothing written', async (_, text, message) => {
    const error = await refused({ 'a.yaml': text });
    expect(error?.message).toMatch(message);
    expect(error?.file).toMatch(/a\.yaml$/);
  });

  it('what the parser quotes is not repeated: an export holds secrets', async () => {
    const secret = newSecret();
    for (const text of [
      `x: 'a' ${secret}\n`,
      `x: *${secret}\n`,
      `- "${secret}\n`,
      `${secret}: a: b\n`,
      `x: @${secret}\n`,
      `x: %${secret}\n\t${secret}: [`,
    ]) {
      const run = await seed(db, { seeds: { 'a.yaml': `${text}zones: [` } });
      expect([run.code, run.stdout.includes(secret), run.stderr.includes(secret)]).toEqual([8, false, false]);
    }
  });

  it.each([
    ['a folder without documents', folder({ 'README.md': 'x' }), /holds no \.yaml file/],
    ['a path that is not there', '/nonexistent/seeds.yaml', /cannot read/],
  ])('%s: exit 2', async (_, path, message) => {
    const run = await cli(['seed', '--json', '--seeds', path], db.env);
    expect(run.code).toBe(2);
    expect(run.json().error?.message).toMatch(message);
  });

  it('check --seed --seeds refuses it too', async () => {
    const run = await cli(['check', '--seed', '--json', '--seeds', folder({ 'a.yaml': '- x' })], db.env);
    expect(run.code).toBe(8);
  });
});

describe('a document that this database cannot take', () => {
  it('rows of a table that a customer dropped', async () => {
    const own = await fresh();
    await own.query('DROP TABLE registries CASCADE');
    const run = await seed(own, { secrets: newSecrets() });
    expect(run.code).toBe(8);
    expect(run.json().error?.message).toMatch(/registries\.yaml:\d+: the database has no table "registries"/);
    const { 'kasm_db.seeds': seeds, ...rows } = await dump(own, { physical: false });
    expect([seeds, Object.keys(rows).sort()]).toEqual([
      undefined,
      ['kasm_db.locks', 'kasm_db.migrations', 'public.alembic_version'],
    ]);
  });

  it('a constraint that a customer added: the table and the constraint are named', async () => {
    const own = await copyOf(db);
    await own.query('ALTER TABLE zones ADD CONSTRAINT upper_case CHECK (zone_name = upper(zone_name)) NOT VALID');
    const error = await refused({ 'a.yaml': document('zones:\n  - zone_name: lower\n') }, own);
    expect(error).toMatchObject({
      message: 'writing the rows: the database refused a row (table zones, constraint upper_case), SQLSTATE 23514',
      sqlstate: '23514',
    });
  });

  it('tables that require each other', async () => {
    const own = await copyOf(db);
    await own.query(
      'ALTER TABLE zones ADD owner uuid REFERENCES managers; UPDATE zones SET owner = NULL; DELETE FROM zones; ALTER TABLE zones ALTER owner SET NOT NULL',
    );
    const id = (n: number) => `00000000-0000-4000-8000-00000000000${n}`;
    const text = document(`zones:
  - {zone_id: ${id(1)}, zone_name: a, owner: ${id(2)}}
managers:
  - {manager_id: ${id(2)}, zone_id: ${id(1)}}
`);
    expect((await refused({ 'a.yaml': text }, own))?.message).toMatch(
      /a\.yaml:3: zones and managers require each other|a\.yaml:5: managers and zones require each other/,
    );
  });

  it('rows that were deleted, when others still refer to them by an id', async () => {
    const own = await copyOf(db);
    const zones = (more: string) => ({
      'a.yaml': document(`zones:\n  - zone_id: \${uuid:z:1}\n    zone_name: a\n${more}`),
    });
    await seeded(own, { seeds: zones('') });
    const reference = document('managers:\n  - manager_id: ${uuid:m:1}\n    zone_id: ${uuid:z:1}\n');
    // Out of the documents, but still there.
    expect((await seeded(own, { seeds: { 'a.yaml': reference } })).counts).toMatchObject({ inserted: 1 });
    await own.query("DELETE FROM managers; DELETE FROM zones WHERE zone_name = 'a'");
    const error = await refused({ 'a.yaml': reference }, own);
    expect(listed(error?.message)).toEqual([
      'a.yaml:4: managers.zone_id refers to ${uuid:z:1}, and neither a document nor the database has that row of zones',
    ]);
  });
});

describe('a large document', () => {
  it('of 1 MB in one value, and one of 1 MB in rows, are written as they are', async () => {
    const own = await fresh();
    const big = `${'Äö€\\n'.repeat(150_000)}end`;
    const rows = Array.from(
      { length: 3000 },
      (_, i) =>
        `  - {domain_id: ${id(i)}, domain_name: "d${i} ${'x'.repeat(300)}", created: 2024-01-02T03:04:05Z, updated: 2024-01-02}\n`,
    );
    const seeds = {
      'a.yaml': document(`zones:\n  - zone_name: big\n    allow_origin_domain: "${big}"\n`),
      'b.yaml': document(`domains:\n${rows.join('')}`),
    };
    expect((await seeded(own, { seeds })).counts).toMatchObject({ inserted: 3001 });
    const [row] = await own.query('SELECT allow_origin_domain AS value FROM zones');
    expect(row?.value).toBe(big.replaceAll('\\n', '\n'));
    expect((await seeded(own, { seeds })).counts).toMatchObject({ unchanged: 3001 });
  });
});

const id = (n: number) => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;

describe('custom_properties.yaml over the documents', () => {
  const DEFAULTS = document(`
settings:
  - setting_id: \${uuid:s:1}
    category: auth
    name: a
    title: A
    value: '1'
    value_type: int
    description: kept
  - setting_id: \${uuid:s:2}
    category: auth
    name: b
    title: B
    value: '2'
    value_type: int
groups:
  - group_id: \${uuid:g:1}
    name: Default
group_settings:
  - group_setting_id: \${uuid:gs:1}
    name: x
    value: 'False'
    value_type: bool
    group_id: null
  - group_setting_id: \${uuid:gs:2}
    name: x
    value: 'True'
    value_type: bool
    group_id: \${uuid:g:1}
zones:
  - zone_id: \${uuid:z:1}
    zone_name: default
`);

  it('settings are upserted, group settings are the defaults and the custom ones, other lists are replaced, empty ones are not', async () => {
    const own = await fresh();
    const custom = `
zones: []
groups:
  - group_id: \${uuid:g:1}
    name: Custom
  - group_id: \${uuid:g:2}
    name: More
settings:
  - name: b
    category: auth
    value: '22'
  - name: c
    category: auth
    title: C
    value: '3'
    value_type: int
group_settings:
  - group_setting_id: \${uuid:gs:3}
    name: x
    value: 'True'
    value_type: bool
    group_id: \${uuid:g:2}
`;
    const seeds = { 'default_properties.yaml': DEFAULTS, 'custom_properties.yaml': custom };
    expect((await seeded(own, { seeds })).counts).toMatchObject({ inserted: 8 });
    expect(await own.query('SELECT name, value, title, description FROM settings ORDER BY name')).toEqual([
      { name: 'a', value: '1', title: 'A', description: 'kept' },
      { name: 'b', value: '22', title: 'B', description: '' },
      { name: 'c', value: '3', title: 'C', description: '' },
    ]);
    expect((await own.query('SELECT name FROM groups ORDER BY name')).map(({ name }) => name)).toEqual([
      'Custom',
      'More',
    ]);
    expect(
      await own.query(
        'SELECT s.value, g.name FROM group_settings s LEFT JOIN groups g USING (group_id) ORDER BY g.name',
      ),
    ).toEqual([
      { value: 'True', name: 'More' },
      { value: 'False', name: null },
    ]);
    expect(await own.query('SELECT zone_name FROM zones')).toEqual([{ zone_name: 'default' }]);
    expect((await seeded(own, { seeds })).counts).toMatchObject({ unchanged: 8 });
  });

  it('alone it goes over the documents that ship', async () => {
    const own = await fresh();
    const seeds = { 'custom_properties.yaml': 'zones:\n  - zone_id: ${uuid:zone_id:1}\n    zone_name: Berlin\n' };
    const total = Object.values(shippedRows()).flat().length;
    expect((await seeded(own, { seeds, secrets: newSecrets() })).counts).toMatchObject({ inserted: total });
    expect(await own.query('SELECT zone_name FROM zones')).toEqual([{ zone_name: 'Berlin' }]);
  });

  it("a customer's file whose name only begins like it is a document of its own", async () => {
    const own = await fresh();
    const seeds = { 'customer.yaml': document('zones:\n  - zone_name: mine\n') };
    expect((await seeded(own, { seeds })).counts).toMatchObject({ inserted: 1 });
  });

  it('with another alembic_version, or with a setting twice: refused', async () => {
    const wrong = await refused({ 'd.yaml': DEFAULTS, 'custom_properties.yaml': 'alembic_version: x\n' });
    expect(wrong?.message).toContain('custom_properties.yaml is for alembic_version x');
    const twice =
      'settings:\n  - {category: auth, name: b, value: "1"}\n  - {category: auth, name: b, value: "2", title: t, value_type: int}\n';
    const error = await refused({ 'd.yaml': DEFAULTS, 'custom_properties.yaml': twice });
    expect(listed(error?.message)).toEqual([
      expect.stringMatching(/^custom_properties\.yaml:3: settings: the same row stands in/),
    ]);
  });
});
