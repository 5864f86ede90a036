/**
 * The seed documents that ship, held against the schema Kasm publishes (test/fixtures/kasm/schema-1.19.0.txt): what can be
 * wrong in a document is found here, not by a customer's database.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { readDocuments as readShipped } from '../../src/seed/documents.js';
import { EXPORT, HEAD } from '../support/release.js';

type Row = Record<string, unknown>;
type Document = Record<string, unknown>;
type Documents = Record<string, Document>;
interface Column {
  type: string;
  required: boolean;
  references?: string;
}
type Schema = { alembicVersion: string; tables: Map<string, Map<string, Column>> };

const seeds = new URL('../../seeds/', import.meta.url);
const schema = readSchema(readFileSync(EXPORT, 'utf8'));

/** The primary keys, which the published export does not name. A uuid token in such a column defines the token. */
const PRIMARY_KEYS: Record<string, string> = {
  group_permissions: 'group_permission_id',
  group_settings: 'group_setting_id',
  groups: 'group_id',
  installation: 'installation_id',
  registries: 'registry_id',
  server_pools: 'server_pool_id',
  settings: 'setting_id',
  user_groups: 'user_group_id',
  users: 'user_id',
  zones: 'zone_id',
};
/** Columns whose uuid token is a value of its own, not a reference to another row. */
const OWN_UUIDS = new Set(['users.salt']);
/** Columns that are filled from Secrets: a document must not fill them. */
const FROM_SECRETS = new Set(['users.pw_hash', 'users.secret', 'api_configs.api_key_secret_hash']);
/** What password settings may hold besides a token or nothing: the vendor's placeholders, which open nothing. */
const PLACEHOLDERS: Record<string, string> = {
  'auth_captcha/google_recaptcha_priv_key': 'changeme',
  'logging/hec_token': 'None',
};
/** No two rows of a table agree in all of these. Duplicate settings made every Kasm login fail. */
const UNIQUE: Record<string, string[]> = {
  settings: ['category', 'name'],
  group_settings: ['group_id', 'name'],
  group_permissions: ['group_id', 'permission_id'],
  groups: ['name'],
  users: ['username'],
  user_groups: ['user_id', 'group_id'],
  zones: ['zone_name'],
};
const ROW_COUNTS: Record<string, number> = {
  installation: 1,
  settings: 77,
  group_settings: 77 + 4 + 6,
  groups: 2,
  group_permissions: 2,
  users: 2,
  user_groups: 3,
  zones: 1,
  registries: 1,
  server_pools: 1,
};

// Kasm's own documents and preseeds number their rows too: ${uuid:setting_id:1}. Ours have names that nobody else gives.
const UUID_TOKEN = /^\$\{uuid:kasm-db\/[^:${}]+(?::[^:${}]+)?\}$/;
const TOKEN =
  /^\$\{(?:uuid:kasm-db\/[^:${}]+(?::[^:${}]+)?|crypt:(?:password|salt):\d+|datetime:utcnow|(?:rsa|ec):\d+:(?:private|public)|signing:\d+:(?:private|certificate)|random_token:\w+)\}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const UUID_LENGTH = 36;
const token = (name: string) => `\${${name}}`;

function readSchema(text: string): Schema {
  const tables = new Map<string, Map<string, Column>>();
  let table = new Map<string, Column>();
  let alembicVersion = '';
  for (const line of text.split('\n')) {
    const [first = '', second = '', third] = line.trim().split(' ');
    if (first === '' || first === '#') continue;
    if (first === 'T') {
      table = new Map();
      tables.set(second, table);
    } else if (first === 'S') {
      if (second === 'alembic_version') alembicVersion = third ?? '';
    } else {
      table.set(first, {
        type: second.replace('!', ''),
        required: second.endsWith('!'),
        ...(third?.startsWith('->') && { references: third.slice(2) }),
      });
    }
  }
  // Genuine databases have it; the export leaves it out.
  tables.set('installation', new Map([['installation_id', { type: 'UUID', required: false }]]));
  return { alembicVersion, tables };
}

function readDocuments(): Documents {
  const files = readdirSync(seeds).filter((name) => name.endsWith('.yaml'));
  return Object.fromEntries(files.map((name) => [name, parse(readFileSync(new URL(name, seeds), 'utf8')) as Document]));
}

/** What a value of a column may be, from the column's type in the published schema. */
function valueSchema(type: string): z.ZodType {
  const varchar = /^VARCHAR\((\d+)\)$/.exec(type);
  if (varchar) {
    // The documents keep keys and certificates out of columns with a limit: only uuid tokens get there.
    const limit = Number(varchar[1]);
    return z.string().refine((text) => (UUID_TOKEN.test(text) ? UUID_LENGTH : text.length) <= limit, {
      message: `longer than ${limit}`,
    });
  }
  switch (type) {
    case 'VARCHAR':
    case 'TEXT':
      return z.string();
    case 'UUID':
      return z.union([z.string().regex(UUID), z.string().regex(UUID_TOKEN)], 'not a uuid');
    case 'INTEGER':
      return z.int32();
    case 'BOOLEAN':
      return z.boolean();
    case 'JSON':
    case 'JSONB':
      return z.union([z.record(z.string(), z.unknown()), z.array(z.unknown())], 'not JSON');
    case 'TIMESTAMP':
      return z.union([z.literal(token('datetime:utcnow')), z.iso.datetime()], 'not a time');
    case 'BLOB':
      return z.string().regex(/^\$\{crypt:(password|salt):\d+\}$/, 'not a crypt token');
    default:
      return z.never(`no rule for columns of type ${type}`);
  }
}

function rowSchema(table: string, columns: Map<string, Column>) {
  const shape: Record<string, z.ZodType> = {};
  for (const [name, column] of columns) {
    const value = valueSchema(column.type);
    const filled = FROM_SECRETS.has(`${table}.${name}`);
    if (filled) shape[name] = z.undefined('comes from a Secret').optional();
    else if (name === PRIMARY_KEYS[table] || column.required) shape[name] = value;
    else shape[name] = value.nullish();
  }
  return z.strictObject(shape);
}

const bool = z.enum(['True', 'False']);
const json = z.string().refine((text) => {
  try {
    return typeof JSON.parse(text) === 'object';
  } catch {
    return false;
  }
}, 'not JSON');
/** The text forms of a setting's value, by its value_type. */
const SETTING_VALUES: Record<string, z.ZodType> = {
  bool,
  int: z.string().regex(/^-?\d+$/, 'not an integer'),
  float: z.string().regex(/^-?\d+(\.\d+)?$/, 'not a number'),
  json,
  usage_limit: json,
  string: z.string().nullable(),
  String: z.string().nullable(),
  multiline_string: z.string().nullable(),
  password: z.string().nullable(),
  select: z.string(),
  image: z.string(),
  language: z.string(),
  border_value: z.string(),
  filter_policy: z.string(),
};

const documents = readDocuments();

const rowsOf = (documents: Documents, table: string): Row[] =>
  Object.values(documents).flatMap((document) => (document[table] as Row[] | undefined) ?? []);

/** Everything that is wrong with the documents, one sentence each; nothing when they are right. */
function problems(documents: Documents): string[] {
  const found: string[] = [];
  const allRows: { table: string; row: Row; at: string }[] = [];

  for (const [file, document] of Object.entries(documents)) {
    if (document.alembic_version !== schema.alembicVersion) {
      found.push(`${file}: alembic_version is ${document.alembic_version}`);
    }
    for (const [table, rows] of Object.entries(document)) {
      if (table === 'alembic_version') continue;
      const columns = schema.tables.get(table);
      if (!columns) {
        found.push(`${file}: no table ${table}`);
        continue;
      }
      if (!(table in PRIMARY_KEYS)) found.push(`${file}: ${table} has no listed primary key`);
      const parsed = z.array(rowSchema(table, columns)).min(1).safeParse(rows);
      for (const issue of parsed.error?.issues ?? []) {
        const keys = issue.code === 'unrecognized_keys' ? ` ${issue.keys.join(', ')}` : '';
        found.push(`${file}: ${table}.${issue.path.join('.')}${keys}: ${issue.message}`);
      }
      if (Array.isArray(rows)) {
        rows.forEach((row: Row, index) => {
          allRows.push({ table, row, at: `${file}: ${table}.${index}` });
        });
      }
    }
  }

  // Tokens: well-formed, alone in their value, and a key defined once.
  const defined = new Map<string, string>();
  for (const { table, row, at } of allRows) {
    for (const [column, value] of Object.entries(row)) {
      const hasToken = /\$\{/.test(JSON.stringify(value ?? null));
      if (hasToken && !(typeof value === 'string' && TOKEN.test(value))) {
        found.push(`${at}.${column}: bad token ${JSON.stringify(value)}`);
      }
    }
    const key = row[PRIMARY_KEYS[table] ?? ''];
    if (typeof key !== 'string') continue;
    if (defined.has(key)) found.push(`${at}: ${key} is also the key of a row of ${defined.get(key)}`);
    defined.set(key, table);
  }
  for (const { table, row, at } of allRows) {
    for (const [column, value] of Object.entries(row)) {
      const references = schema.tables.get(table)?.get(column)?.references;
      if (references !== undefined && value !== null && value !== undefined) {
        const target = references.split('.')[0];
        if (defined.get(String(value)) !== target) found.push(`${at}.${column}: ${value} is no row of ${target}`);
      } else if (typeof value === 'string' && UUID_TOKEN.test(value) && column !== PRIMARY_KEYS[table]) {
        if (!OWN_UUIDS.has(`${table}.${column}`)) found.push(`${at}.${column}: ${value} refers to nothing`);
      }
    }
  }

  for (const [table, columns] of Object.entries(UNIQUE)) {
    const seen = new Set<string>();
    for (const row of rowsOf(documents, table)) {
      const key = JSON.stringify(columns.map((column) => row[column] ?? null));
      if (seen.has(key)) found.push(`${table}: twice ${key}`);
      seen.add(key);
    }
  }

  for (const table of ['settings', 'group_settings']) {
    for (const row of rowsOf(documents, table)) {
      const name = table === 'settings' ? `${row.category}/${row.name}` : `${row.name}`;
      const rule = SETTING_VALUES[String(row.value_type)];
      const isToken = typeof row.value === 'string' && TOKEN.test(row.value);
      if (!rule) found.push(`${table} ${name}: unknown value_type ${row.value_type}`);
      else if (!isToken && !rule.safeParse(row.value).success) {
        found.push(`${table} ${name}: ${JSON.stringify(row.value)} is no ${row.value_type}`);
      }
      if (table === 'settings' && !row.title) found.push(`${table} ${name}: no title`);
      const literal = row.value !== null && row.value !== '' && !isToken;
      const secret =
        row.value_type === 'password' || /(^|_)(token|secret|password|private_key|priv_key)$/.test(String(row.name));
      if (secret && literal && PLACEHOLDERS[name] !== row.value) {
        found.push(`${table} ${name}: a literal secret`);
      }
    }
  }
  // Whatever the column: no key, hash or random-looking text outside a token.
  for (const { row, at } of allRows) {
    for (const [column, value] of Object.entries(row)) {
      if (typeof value !== 'string') continue;
      if (/-----BEGIN|\b[0-9a-f]{32,}\b/i.test(value)) found.push(`${at}.${column}: a literal secret`);
    }
  }
  return found;
}

type Change = (documents: Documents) => void;

/** The first row of a table that has these values; a test that names one that is not there is wrong. */
function rowWith(documents: Documents, table: string, match: Row = {}): Row {
  const found = rowsOf(documents, table).find((row) =>
    Object.entries(match).every(([column, value]) => row[column] === value),
  );
  if (!found) throw new Error(`no such row of ${table}`);
  return found;
}

/** Changes a row: the one that matches, or else the first. */
const set =
  (table: string, values: Row, match: Row = {}): Change =>
  (documents) =>
    Object.assign(rowWith(documents, table, match), values);

/** Takes a column out of the first row. */
const without =
  (table: string, column: string): Change =>
  (documents) =>
    delete rowWith(documents, table)[column];

/** Changes the document that zones are in. */
const inZones =
  (values: Document): Change =>
  (documents) =>
    Object.assign(documents['zones.yaml'] ?? {}, values);

/** Adds a copy of a table's first row, with another key. */
const again =
  (table: string, key: Row): Change =>
  (documents) => {
    const rows = documents[`${table}.yaml`]?.[table] as Row[];
    rows.push({ ...rowWith(documents, table), ...key });
  };

describe('the seed documents', () => {
  it('are shipped as the parser reads them, with their lines', async () => {
    const shipped = await readShipped(undefined);
    expect(shipped).toEqual(await readShipped('seeds'));
    expect(shipped.flatMap(({ rows }) => rows).length).toBeGreaterThan(150);
  });

  it('agree with the published schema', () => {
    expect(schema.alembicVersion).toBe(HEAD);
    expect(schema.tables.size).toBeGreaterThan(60);
    expect(problems(documents)).toEqual([]);
  });

  it('hold the rows of a stock installation, and no others', () => {
    const tables = new Set(Object.values(documents).flatMap((document) => Object.keys(document)));
    tables.delete('alembic_version');
    const counts = Object.fromEntries([...tables].map((table) => [table, rowsOf(documents, table).length]));
    expect(counts).toEqual(ROW_COUNTS);
  });

  it('have 77 defaults of group settings, and overrides of these only', () => {
    const rows = rowsOf(documents, 'group_settings');
    const defaults = rows.filter((setting) => setting.group_id === null);
    const names = new Set(defaults.map((setting) => setting.name));
    expect(defaults).toHaveLength(77);
    expect(names.size).toBe(77);
    for (const setting of rows) expect(names).toContain(setting.name);
  });

  it('give All Users its fixed id and the permission "user", Administrators "global_admin"', () => {
    const groups = rowsOf(documents, 'groups');
    const idOf = (name: string) => groups.find((group) => group.name === name)?.group_id;
    expect(idOf('All Users')).toBe('68d557ac-4cac-42cc-a9f3-1c7c853de0f3');
    expect(rowsOf(documents, 'group_permissions')).toEqual([
      expect.objectContaining({ group_id: idOf('All Users'), permission_id: 100 }),
      expect.objectContaining({ group_id: idOf('Administrators'), permission_id: 200 }),
    ]);
  });

  it('put the administrator into both groups and the user into All Users only', () => {
    const name = (table: string, key: string, id: unknown, column: string) =>
      rowsOf(documents, table).find((candidate) => candidate[key] === id)?.[column];
    const memberships = rowsOf(documents, 'user_groups').map((membership) => [
      name('users', 'user_id', membership.user_id, 'username'),
      name('groups', 'group_id', membership.group_id, 'name'),
    ]);
    expect(memberships).toEqual([
      ['admin@kasm.local', 'All Users'],
      ['admin@kasm.local', 'Administrators'],
      ['user@kasm.local', 'All Users'],
    ]);
  });

  it('make every secret of the settings from a token', () => {
    const tokens = rowsOf(documents, 'settings')
      .filter((setting) => TOKEN.test(String(setting.value)))
      .map((setting) => [`${setting.category}/${setting.name}`, setting.value]);
    expect(Object.fromEntries(tokens)).toEqual({
      'auth/api_private_key': token('rsa:1:private'),
      'auth/api_public_cert': token('rsa:1:public'),
      'auth/registration_token': token('random_token:registration_token'),
      'connections/rdp_private_jwt_key': token('ec:1:private'),
      'connections/rdp_private_key': token('signing:1:private'),
      'connections/rdp_public_jwt_cert': token('ec:1:public'),
      'connections/rdp_signer_cert': token('signing:1:certificate'),
      'manager/token': token('random_token:manager_token'),
    });
  });
});

describe('a document with an error is refused', () => {
  it.each<[string, Change, RegExp]>([
    ['another alembic_version', inZones({ alembic_version: 'e3900d8a4fee' }), /is e3900d8a4fee/],
    ['an unknown table', inZones({ zone: [{}] }), /no table zone$/m],
    ['an empty table', inZones({ zones: [] }), /zones\..*Too small/],
    ['a table that is no list', inZones({ zones: {} }), /zones\..*expected array/],
    ['an unknown column', set('zones', { zone_nmae: 'x' }), /zone_nmae/],
    ['no required column', without('users', 'crypt_salt'), /users\.0\.crypt_salt/],
    ['no primary key', without('settings', 'setting_id'), /settings\.0\.setting_id/],
    ['text for a number', set('zones', { proxy_port: '443' }), /proxy_port/],
    ['a number too large', set('groups', { priority: 2 ** 31 }), /priority/],
    ['a permission by name', set('group_permissions', { permission_id: 'user' }), /permission_id/],
    ['text for a boolean', set('users', { locked: 'False' }), /users\.0\.locked/],
    ['a text too long', set('settings', { title: 'x'.repeat(256) }), /title: longer than 255/],
    ['a realm too long', set('users', { realm: 'x'.repeat(65) }), /realm: longer than 64/],
    ['a broken uuid', set('groups', { group_id: '68d557ac' }), /group_id: not a uuid/],
    ['a malformed token', set('settings', { value: token('rsa:private:1') }), /bad token/],
    ['an unknown token', set('settings', { value: token('env:HOME') }), /bad token/],
    ['a token inside a text', set('zones', { proxy_path: `a/${token('uuid:kasm-db/zone_id:1')}` }), /bad token/],
    ['a reference to no row', set('user_groups', { group_id: token('uuid:kasm-db/group_id:9') }), /no row of groups/],
    [
      'a reference to another table',
      set('user_groups', { group_id: token('uuid:kasm-db/user_id:1') }),
      /no row of groups/,
    ],
    ['a uuid token without a meaning', set('users', { notes: token('uuid:kasm-db/note:1') }), /refers to nothing/],
    [
      "a name that Kasm's documents give, too",
      set('settings', { setting_id: token('uuid:setting_id:1') }),
      /bad token/,
    ],
    ['one key for two rows', set('settings', { setting_id: token('uuid:kasm-db/setting_id:2') }), /is also the key/],
    ['a setting twice', again('settings', { setting_id: token('uuid:kasm-db/setting_id:999') }), /settings: twice/],
    [
      'a default of a group setting twice',
      again('group_settings', { group_setting_id: token('uuid:kasm-db/group_setting_id:9999') }),
      /group_settings: twice/,
    ],
    ['a bool that is none', set('group_settings', { value: 'true' }), /"true" is no bool/],
    ['JSON that is none', set('settings', { value: '{' }, { value_type: 'json' }), /"\{" is no json/],
    ['a setting without a title', set('settings', { title: '' }), /no title/],
    ['a password hash', set('users', { pw_hash: 'e3b0' }), /users\.0\.pw_hash: comes from a Secret/],
    ['a literal token', set('settings', { value: 'changeme' }, { name: 'token' }), /token: a literal secret/],
    ['a literal private key', set('settings', { value: 'x' }, { name: 'api_private_key' }), /key: a literal secret/],
    [
      'a certificate in plain text',
      set('settings', { value: '-----BEGIN CERTIFICATE-----' }, { name: 'rdp_signer_cert' }),
      /value: a literal secret/,
    ],
    ['a hash in plain text', set('users', { notes: 'e3b0c442'.repeat(8) }), /notes: a literal secret/],
  ])('%s', (_, change, expected) => {
    const copy = structuredClone(documents);
    change(copy);
    expect(problems(copy).join('\n')).toMatch(expected);
  });
});
