import { beforeAll, describe, expect, it } from 'vitest';
import { publishedSchema } from '../fixtures/kasm/catalog.js';
import { type Export, type ExportRow, makeExport } from '../fixtures/seed/export.js';
import { copyOf, dump, migratedDatabases, seed, seeded } from '../fixtures/seed/seeding.js';
import type { TestDatabase } from '../support/database.js';
import { HEAD } from '../support/release.js';
import { randomSource } from '../support/rounds.js';

const { seed: number, next } = randomSource();
const ROWS = 5000;

describe(`a complete configuration export (KASM_DB_SEED=${number})`, () => {
  let empty: TestDatabase;
  let made: Export;
  let text: string;
  let rows: number;
  let seededRows: number;

  beforeAll(async () => {
    empty = await (await migratedDatabases())();
    made = await makeExport(empty, ROWS, next);
    text = made.text();
    rows = [...made.tables.values()].flat().length;
    // And the row of installation, a table that no export has.
    seededRows = rows + 1;
    expect(made.tables.size).toBe(publishedSchema().tables.size);
    expect(rows).toBeGreaterThan(ROWS * 0.95);
  });

  it('restores into an empty migrated database, every value as it was', async () => {
    const db = await copyOf(empty);
    const { counts } = await seeded(db, { seeds: { 'export_data.yaml': text } });
    expect(counts).toEqual({ inserted: seededRows, updated: 0, unchanged: 0, kept: 0 });
    const ids = await idsOfTokens(db);
    expect(ids.size).toBeGreaterThan(500);
    expect(new Set(ids.values()).size).toBe(ids.size);
    const wrong: string[] = [];
    for (const [table, expected] of made.tables) wrong.push(...(await differences(db, table, expected, ids)));
    expect(wrong.slice(0, 20)).toEqual([]);
    const leaders = await db.query(
      'SELECT count(*)::int AS n FROM zones z JOIN managers m ON m.manager_id = z.primary_manager_id AND m.zone_id = z.zone_id',
    );
    expect(leaders[0]?.n).toBeGreaterThan(5);

    // And once more, in another order of tables and rows: nothing changes.
    const before = await dump(db, { physical: true });
    const again = await seeded(db, { seeds: { 'export_data.yaml': made.text() } });
    expect(again.counts).toEqual({ inserted: 0, updated: 0, unchanged: seededRows, kept: 0 });
    expect(await dump(db, { physical: true })).toEqual(before);
  });

  it('for another release: exit 8, nothing written', async () => {
    const before = await dump(empty, { physical: true });
    const run = await seed(empty, { seeds: { 'export_data.yaml': text.replace(HEAD, 'e3900d8a4fee') } });
    expect(run.code).toBe(8);
    expect(run.json().error).toMatchObject({
      message: expect.stringContaining(`is for alembic_version e3900d8a4fee, but this kasm-db makes ${HEAD}`),
      file: expect.stringMatching(/export_data\.yaml$/),
      line: 1,
    });
    expect(await dump(empty, { physical: true })).toEqual(before);
  });

  it.each([
    ['an id', '0badc0de-0000-4000-8000-000000000000'],
    ['a token', '${uuid:nobody}'],
  ])('one reference that leads nowhere, %s: exit 8 with its file and line, nothing written', async (_, nowhere) => {
    const before = await dump(empty, { physical: true });
    const lines = text.split('\n');
    const table = lines.indexOf('connection_proxies:');
    const at = lines.findIndex((line, i) => i > table && line.includes(' zone_id: '));
    lines[at] = lines[at]?.replace(/: .*/, `: "${nowhere}"`) as string;
    const run = await seed(empty, { seeds: { 'export_data.yaml': lines.join('\n') } });
    expect(run.code, run.stdout).toBe(8);
    const { message, file, line } = run.json().error ?? {};
    expect([file, line]).toEqual([expect.stringMatching(/export_data\.yaml$/), at + 1]);
    expect(message).toMatch(
      /^the seed documents have 1 problem, so nothing was written: .*export_data\.yaml:\d+: connection_proxies\.zone_id refers to /,
    );
    expect(message).toContain(nowhere);
    expect(await dump(empty, { physical: true })).toEqual(before);
  });
});

async function idsOfTokens(db: TestDatabase): Promise<Map<string, string>> {
  const found = await db.query<{ key: string; token: string }>(
    `SELECT s.row_key AS key, c.value ->> 'token' AS token FROM kasm_db.seeds s, jsonb_each(s.columns) c
     WHERE c.value ? 'token' AND NOT EXISTS (SELECT FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
       WHERE k.contype = 'f' AND k.conrelid = to_regclass('public.' || s.table_name) AND a.attname = c.key)`,
  );
  return new Map(found.map(({ key, token }) => [token, key]));
}

/** What stands in the table otherwise than in the export. */
async function differences(
  db: TestDatabase,
  table: string,
  expected: ExportRow[],
  ids: Map<string, string>,
): Promise<string[]> {
  const columns = await db.query<{ name: string; type: string; standard: string | null }>(
    `SELECT a.attname AS name, t.typname AS type, pg_get_expr(d.adbin, d.adrelid) AS standard FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
     LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped`,
    [`public.${table}`],
  );
  const stored = await db.query(
    `SELECT ${columns.map(({ name }) => `"${name}"::text`).join(', ')} FROM public."${table}"`,
  );
  // How the server itself reads what the export says.
  const client = await db.connect();
  const wanted: string[] = [];
  const selects: string[] = [];
  const values: unknown[] = [];
  for (const row of expected) {
    const parts = columns.map(({ name, type, standard }) => {
      if (!(name in row)) return `(${standard ?? 'NULL'})::text`;
      values.push(plain(row[name], type, ids));
      return `$${values.length}::text::${type === '_varchar' ? 'varchar[]' : type}::text`;
    });
    selects.push(`SELECT to_json(ARRAY[${parts.join(', ')}])::text AS row`);
    if (values.length > 20_000 || row === expected.at(-1)) {
      wanted.push(...(await client.query(selects.join(' UNION ALL '), values)).rows.map((found) => found.row));
      selects.length = 0;
      values.length = 0;
    }
  }
  await client.end();
  const found = new Set(stored.map((row) => JSON.stringify(columns.map(({ name }) => row[name]))));
  const lost = wanted.map((row) => JSON.stringify(JSON.parse(row))).filter((row) => !found.has(row));
  return [
    ...(stored.length === expected.length ? [] : [`${table}: ${stored.length} rows, not ${expected.length}`]),
    ...lost.map((row) => `${table}: lost ${row}; stored e.g. ${[...found][0]}`),
  ];
}

function plain(value: unknown, type: string, ids: Map<string, string>): unknown {
  if (value === null) return null;
  if (type === 'uuid') return ids.get(value as string) ?? value;
  if (type === 'json' || type === 'jsonb') return JSON.stringify(value);
  if (type === 'bytea') return `\\x${Buffer.from(value as string | Uint8Array).toString('hex')}`;
  if (!Array.isArray(value)) return ids.get(value as string) ?? String(value);
  return `{${value.map((item) => `"${item.replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
}
