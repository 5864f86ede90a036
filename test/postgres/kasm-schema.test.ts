import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { catalog, fingerprint, type PublishedColumn, postgresType, publishedSchema } from '../fixtures/kasm/catalog.js';
import { cli } from '../support/cli.js';
import { createDatabase, type TestDatabase, VERSIONS } from '../support/database.js';
import { SECRET_MARK } from '../support/global-setup.js';
import { HEAD, KASM, MIGRATIONS } from '../support/release.js';

const ups = MIGRATIONS.map((name) => `${name}.sql`);
const downOf = (up: string) => up.replace(/\.sql$/, '.down.sql');
const sqlOf = (file: string) => readFileSync(join(import.meta.dirname, '../../migrations', file), 'utf8');

const { tables: published, alembicVersion } = publishedSchema();
const publishedColumns = [...published].flatMap(([table, columns]) =>
  [...columns].map(([column, facts]): [string, PublishedColumn] => [`${table}.${column}`, facts]),
);
/** Not in the export: what Alembic makes, and three tables that real databases have. */
const BESIDES = ['alembic_version', 'installation', 'licenses', 'logs'];
/** The export has no id column for these; their key is what makes a row of them one of a kind. */
const NATURAL_KEYS: Record<string, string[]> = {
  egress_credential_gateways: ['egress_credential_id', 'egress_gateway_id'],
  egress_provider_mapping_gateways: ['egress_gateway_id', 'egress_provider_mapping_id'],
  server_image_slots: ['image_id', 'server_id'],
  used_refresh_tokens: ['token_payload'],
  user_server_assignments: ['server_id', 'user_id'],
};
/** Kasm deletes an image with what refers to it like that; everything else keeps the image. */
const CASCADING = ['group_images.image_id', 'image_attributes.image_id'];

const UNUSED = '00000000-0000-4000-8000-000000000001';
const USED = '00000000-0000-4000-8000-000000000002';

const fingerprints = new Map<number, string>();

describe.each(VERSIONS)(`PostgreSQL %i › the Kasm ${KASM} schema`, (version) => {
  let db: TestDatabase;
  beforeAll(async () => {
    db = await createDatabase(version);
    const [owner] = await db.query<{ super: boolean }>(
      'SELECT rolsuper AS super FROM pg_roles WHERE rolname = current_user',
    );
    expect(owner?.super).toBe(false);
    expect((await cli(['check', '--json'], db.env)).code).toBe(3);
    const run = await cli(['migrate', '--json'], db.env);
    expect(run.code, run.stderr).toBe(0);
    expect(run.json().applied).toHaveLength(ups.length);
    fingerprints.set(version, await fingerprint(db));
  });

  it('is there: check passes, and migrating again applies nothing', async () => {
    expect((await cli(['--check', '--json'], db.env)).code).toBe(0);
    const again = await cli(['migrate', '--json'], db.env);
    expect(again.json()).toMatchObject({ outcome: 'ok', applied: [] });
    expect(await fingerprint(db)).toBe(fingerprints.get(version));
  });

  it('has the published tables, alembic_version, installation, licenses and logs, and nothing else', async () => {
    const rows = await db.query<{ name: string; kind: string }>(
      "SELECT relname AS name, relkind AS kind FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i'",
    );
    expect(rows.map(({ name }) => name).sort()).toEqual([...published.keys(), ...BESIDES].sort());
    expect(new Set(rows.map(({ kind }) => kind))).toEqual(new Set(['r']));
  });

  it('has every published column with its type, and exactly the required ones NOT NULL without default', async () => {
    const rows = await columns(db);
    const live = new Map(
      rows.filter(({ table }) => published.has(table)).map((row) => [`${row.table}.${row.column}`, row]),
    );
    expect([...live.keys()].sort()).toEqual(publishedColumns.map(([name]) => name).sort());
    expect([...live].map(([name, { type }]) => `${name} ${type}`).sort()).toEqual(
      publishedColumns.map(([name, { type }]) => `${name} ${postgresType(type)}`).sort(),
    );
    const required = rows.filter((row) => published.has(row.table) && row.notNull && row.expression === null);
    expect(required.map(({ table, column }) => `${table}.${column}`).sort()).toEqual(
      publishedColumns.flatMap(([name, facts]) => (facts.required ? [name] : [])).sort(),
    );
  });

  it('has a primary key in every table, and no other NOT NULL than theirs: ids that the server makes', async () => {
    const keys = await db.query<{ table: string; name: string; columns: string[] }>(
      `SELECT t.relname AS table, k.conname AS name, ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = t.oid AND attnum = ANY (k.conkey)) AS columns
       FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid WHERE k.contype = 'p' AND k.connamespace = 'public'::regnamespace`,
    );
    const byTable = new Map(keys.map((key) => [key.table, key]));
    expect([...published.keys(), ...BESIDES].filter((table) => !byTable.has(table))).toEqual([]);
    expect(byTable.get('alembic_version')).toMatchObject({ name: 'alembic_version_pkc', columns: ['version_num'] });
    for (const { table, name, columns: of } of keys.filter((key) => published.has(key.table))) {
      expect(name).toBe(`${table}_pkey`);
      if (NATURAL_KEYS[table]) expect(of.sort()).toEqual(NATURAL_KEYS[table]);
      else expect(of, table).toHaveLength(1);
    }
    const others = (await columns(db)).filter(
      (row) => row.notNull && !published.get(row.table)?.get(row.column)?.required,
    );
    const expected = keys
      .filter(({ table }) => !NATURAL_KEYS[table])
      .map(({ table, columns: [column] }) => `${table}.${column}`);
    expect(others.map(({ table, column }) => `${table}.${column}`).sort()).toEqual(expected.sort());
    for (const row of others.filter(({ table }) => published.has(table))) {
      expect(row.expression, `${row.table}.${row.column}`).toBe('gen_random_uuid()');
    }
  });

  it('has the published foreign keys, by their default names; only two have an action', async () => {
    const keys = await db.query<Record<'from' | 'to' | 'name' | 'rules', string>>(
      `SELECT t.relname || '.' || a.attname AS from, f.relname || '.' || b.attname AS to, k.conname AS name,
         concat(k.confdeltype, k.confupdtype, k.confmatchtype, k.condeferrable, k.convalidated) AS rules
       FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid JOIN pg_class f ON f.oid = k.confrelid
       JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.conkey[1]
       JOIN pg_attribute b ON b.attrelid = f.oid AND b.attnum = k.confkey[1]
       WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace`,
    );
    const wanted = publishedColumns.flatMap(([name, { references }]) =>
      references && published.has(references.table) ? [`${name} -> ${references.table}.${references.column}`] : [],
    );
    expect(keys.map(({ from, to }) => `${from} -> ${to}`).sort()).toEqual(wanted.sort());
    for (const key of keys) {
      const [table, column] = key.from.split('.') as [string, string];
      expect(key.name).toBe(defaultName(table, column));
      expect(key.rules, key.name).toBe(CASCADING.includes(key.from) ? 'casft' : 'aasft');
    }
  });

  it('has an index kasm_db_… on each foreign key column, all valid, and none unique but the keys', async () => {
    const indexes = await db.query<{
      table: string;
      name: string;
      unique: boolean;
      primary: boolean;
      valid: boolean;
      first: string;
    }>(
      `SELECT t.relname AS table, c.relname AS name, i.indisunique AS unique, i.indisprimary AS primary,
         i.indisvalid AND i.indisready AND i.indislive AND i.indpred IS NULL AS valid, a.attname AS first
       FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
       JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[0] WHERE c.relnamespace = 'public'::regnamespace`,
    );
    expect(indexes.filter(({ valid }) => !valid)).toEqual([]);
    expect(indexes.filter(({ unique, primary }) => unique && !primary)).toEqual([]);
    const own = indexes.filter(({ primary }) => !primary);
    expect(own.filter(({ name, table }) => !name.startsWith(`kasm_db_${table.slice(0, 32)}`))).toEqual([]);
    const covered = new Set(own.map(({ table, first }) => `${table}.${first}`));
    const needed = publishedColumns.flatMap(([name, { references }]) =>
      references && published.has(references.table) ? [name] : [],
    );
    expect(needed.filter((name) => !covered.has(name))).toEqual([]);
    for (const lookup of ['users.username', 'settings.category', 'api_configs.api_key', 'logs.ingest_date']) {
      expect(covered).toContain(lookup);
    }
    const unique = await db.query(
      "SELECT FROM pg_constraint WHERE contype IN ('u', 'x') AND connamespace = 'public'::regnamespace",
    );
    expect(unique).toEqual([]);
  });

  it('satisfies the vendor: alembic_version, the zones query, logs, licenses and installation, uuid-ossp', async () => {
    expect(await db.query('SELECT version_num FROM alembic_version')).toEqual([{ version_num: alembicVersion }]);
    expect(alembicVersion).toBe(HEAD);
    expect(await db.query('select zone_id from zones')).toEqual([]);
    expect(await db.query('SELECT ingest_date, levelname, metric_name, data FROM logs')).toEqual([]);
    expect(await db.query('SELECT count(*)::int AS n FROM licenses')).toEqual([{ n: 0 }]);
    expect(await db.query('SELECT installation_id FROM installation')).toEqual([]);
    expect(await db.query('SELECT uuid_generate_v4() IS NOT NULL AS made')).toEqual([{ made: true }]);
  });

  it('has a comment on every table, and every object belongs to the role that migrated', async () => {
    const bare = await db.query(
      "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND obj_description(oid, 'pg_class') IS NULL",
    );
    expect(bare).toEqual([]);
    const foreign = await db.query(
      "SELECT relname FROM pg_class WHERE relnamespace IN ('public'::regnamespace, 'kasm_db'::regnamespace) AND relowner <> current_user::regrole",
    );
    expect(foreign).toEqual([]);
  });

  it('comes down file by file, each undoing exactly its own, and up again to the same catalog', async () => {
    const down = await createDatabase(version);
    const client = await down.connect();
    await client.query('SET search_path = public, pg_temp');
    // The extension stays, on purpose: it may have been there before, or be in use by others.
    const state = async () => JSON.stringify((await catalog(down)).filter(({ kind }) => kind !== 'extension'));
    try {
      // Looking after every file is slow; the oldest and the newest version stand for the others.
      const everyFile = version === VERSIONS[0] || version === VERSIONS.at(-1);
      const before: string[] = [];
      for (const [i, up] of ups.entries()) {
        if (everyFile || i === 0) before[i] = await state();
        await client.query(sqlOf(up));
      }
      const top = await state();
      for (const [i, up] of [...ups.entries()].reverse()) {
        await client.query(sqlOf(downOf(up)));
        if (everyFile || i === 0) expect((await state()) === before[i], downOf(up)).toBe(true);
      }
      for (const up of ups) await client.query(sqlOf(up));
      expect((await state()) === top).toBe(true);
    } finally {
      await client.end();
    }
  });

  it('deletes an image with what groups and attributes say of it, and keeps one that sessions use', async () => {
    await db.query(`INSERT INTO images (image_id) VALUES ('${UNUSED}'), ('${USED}');
      INSERT INTO groups (group_id) VALUES ('${UNUSED}');
      INSERT INTO group_images (group_id, image_id) VALUES ('${UNUSED}', '${UNUSED}'), ('${UNUSED}', '${USED}');
      INSERT INTO image_attributes (image_id) VALUES ('${UNUSED}');
      INSERT INTO kasms (image_id, created_date, keepalive_date, expiration_date) VALUES ('${USED}', now(), now(), now())`);
    await db.query(`DELETE FROM images WHERE image_id = '${UNUSED}'`);
    expect(await db.query('SELECT image_id FROM group_images')).toEqual([{ image_id: USED }]);
    expect(await db.query('SELECT FROM image_attributes')).toEqual([]);
    await expect(db.query(`DELETE FROM images WHERE image_id = '${USED}'`)).rejects.toMatchObject({
      code: '23503',
      constraint: 'kasms_image_id_fkey',
    });
    await db.query('DELETE FROM kasms; DELETE FROM images; DELETE FROM groups');
  });

  it('uses uuid-ossp in whichever schema it already is', async () => {
    const other = await createDatabase(version);
    await other.superQuery('CREATE SCHEMA extensions');
    await other.superQuery('CREATE EXTENSION "uuid-ossp" SCHEMA extensions');
    const run = await cli(['migrate', '--json'], other.env);
    expect(run.code, run.stderr).toBe(0);
    expect(
      await other.superQuery(
        "SELECT extnamespace::regnamespace::text AS schema FROM pg_extension WHERE extname = 'uuid-ossp'",
      ),
    ).toEqual([{ schema: 'extensions' }]);
    expect((await cli(['check'], other.env)).code).toBe(0);
  });

  it('says which statement an admin has to run when the role may not create the extension', async () => {
    const other = await createDatabase(version);
    const user = `limited_${randomBytes(4).toString('hex')}`;
    const password = `${SECRET_MARK}${randomBytes(9).toString('hex')}`;
    await other.superQuery(`CREATE ROLE ${user} LOGIN PASSWORD '${password}'`);
    await other.superQuery(`GRANT CREATE, USAGE ON SCHEMA public TO ${user}`);
    await other.superQuery(`CREATE SCHEMA kasm_db AUTHORIZATION ${user}`);
    const env = { ...other.env, POSTGRES_USER: user, POSTGRES_PASSWORD: password };
    const run = await cli(['migrate', '--json'], env);
    expect(run.code, run.stderr).toBe(9);
    expect(run.json().error?.hint).toContain('CREATE EXTENSION IF NOT EXISTS "uuid-ossp"');
    expect(run.json().error).toMatchObject({ code: 'environment', sqlstate: '42501', migration: '0001_extensions' });
    await other.superQuery('CREATE EXTENSION IF NOT EXISTS "uuid-ossp"');
    const after = await cli(['migrate', '--json'], env);
    expect(after.code, after.stderr).toBe(0);
  });
});

describe('trap 26: the catalog', () => {
  it('trap 26: the fingerprint is the same on every version', () => {
    expect(fingerprints.size).toBe(VERSIONS.length);
    expect(new Set(fingerprints.values()).size).toBe(1);
  });
});

async function columns(db: TestDatabase) {
  return db.query<{ table: string; column: string; type: string; notNull: boolean; expression: string | null }>(
    `SELECT c.relname AS table, a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS "notNull",
       pg_get_expr(d.adbin, d.adrelid) AS expression
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'`,
  );
}

/** How PostgreSQL names a foreign key: the longer part gives way until all fits 63 bytes (makeObjectName). */
function defaultName(table: string, column: string): string {
  let [a, b] = [table, column];
  while (`${a}_${b}_fkey`.length > 63) {
    if (a.length > b.length) a = a.slice(0, -1);
    else b = b.slice(0, -1);
  }
  return `${a}_${b}_fkey`;
}
