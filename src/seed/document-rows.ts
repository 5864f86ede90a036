import { hash } from 'node:crypto';
import { KasmDbError } from '../app/errors.js';
import { groupBy } from '../app/group-by.js';
import { type Migration, vendorVersionOf } from '../migrations/files.js';
import { type Cell, type SeedDocument, type SeedRow, valueIn } from './document.js';
import { NATURAL_KEYS } from './row-keys.js';
import { looksLikeToken } from './tokens.js';

/** The rows of all documents. @throws KasmDbError seed where one is of another Kasm release than the migrations */
export function documentRows(documents: readonly SeedDocument[], migrations: Migration[]): SeedRow[] {
  const expected = vendorVersionOf(migrations);
  for (const { file, alembicVersion, overlay } of documents) {
    if (expected === undefined || (overlay && alembicVersion === undefined)) continue;
    if (alembicVersion?.value !== expected) {
      throw new KasmDbError(
        'seed',
        `${file} is for alembic_version ${alembicVersion?.value ?? '(none is given)'}, but this kasm-db makes ${expected}`,
        {
          file,
          line: alembicVersion?.line ?? 1,
          hint: `use documents of the same Kasm release; one of another build of it (an image with a rolling tag) is taken with ${expected} as its alembic_version`,
        },
      );
    }
  }
  return mergeOverlay(documents);
}

/** Which documents a build or a customer brings, as one short text; `check --seed` compares it. */
export function seedDigest(documents: readonly SeedDocument[]): string {
  const rows = mergeOverlay(documents).map((row) => [
    row.table,
    [...row.cells].map(([name, { value }]) => [name, value]),
  ]);
  return hash('sha256', JSON.stringify(rows)).slice(0, 32);
}

/**
 * Merges the overlay as the vendor documents it: a non-empty list replaces a table's rows, settings are upserted by (name, category),
 * group_settings are the defaults (no group) and the custom rows. What is left of the documents follows: a row that refers to one that was
 * replaced refers to the overlay's row of the same name, and goes where there is none. Pure.
 */
export function mergeOverlay(documents: readonly SeedDocument[]): SeedRow[] {
  const rowsOf = (overlay: boolean) =>
    documents.filter((document) => document.overlay === overlay).flatMap(({ rows }) => rows);
  const [base, custom] = [rowsOf(false), rowsOf(true)];
  const baseOf = groupBy(base, ({ table }) => table);
  const customOf = groupBy(custom, ({ table }) => table);
  const merged = [...customOf].flatMap(([table, rows]) => mergeTable(table, baseOf.get(table) ?? [], rows));
  return followReplaced(base, custom, [...base.filter(({ table }) => !customOf.has(table)), ...merged]);
}

function mergeTable(table: string, base: SeedRow[], custom: SeedRow[]): SeedRow[] {
  if (table === 'settings') return upsertSettings(base, custom);
  if (table !== 'group_settings') return custom;
  // A default that the overlay gives too is the overlay's.
  const isDefault = (row: SeedRow) => valueIn(row, 'group_id') === null;
  const given = new Set(custom.filter(isDefault).map((row) => valueIn(row, 'name')));
  return [...base.filter((row) => isDefault(row) && !given.has(valueIn(row, 'name'))), ...custom];
}

function upsertSettings(base: SeedRow[], custom: SeedRow[]): SeedRow[] {
  const used = new Set<SeedRow>();
  const byName = new Map(custom.toReversed().map((row) => [nameOf(row), row]));
  const merged = base.map((row) => {
    const other = byName.get(nameOf(row));
    if (!other) return row;
    used.add(other);
    // The row keeps its identity (setting_id) and whatever the overlay doesn't say.
    return { ...other, cells: new Map([...row.cells, ...other.cells]) };
  });
  // One that stands in the overlay twice stays twice, so that validation finds it.
  return [...merged, ...custom.filter((row) => !used.has(row))];
}

/**
 * @param base the documents' rows
 * @param custom the overlay's
 * @param merged what is left of the one, and the other
 */
function followReplaced(base: readonly SeedRow[], custom: readonly SeedRow[], merged: SeedRow[]): SeedRow[] {
  const left = new Set(merged);
  const ofDocuments = new Set(base);
  const given = new Set(custom.flatMap((row) => ownTokens(row).map(([, token]) => token)));
  const byName = new Map(custom.toReversed().map((row) => [nameOf(row), row]));
  const replaced = new Map<unknown, unknown>();
  for (const row of base) {
    // An upserted setting is another object; nothing refers to a setting.
    if (left.has(row)) continue;
    const name = nameOf(row);
    const same = name === undefined ? undefined : byName.get(name);
    for (const [column, token] of ownTokens(row))
      if (!given.has(token)) replaced.set(token, same?.cells.get(column)?.value);
  }
  return merged.flatMap((row) => {
    if (!ofDocuments.has(row)) return [row];
    const cells = [...row.cells].map(([column, cell]): [string, Cell] =>
      replaced.has(cell.value) ? [column, { ...cell, value: replaced.get(cell.value) }] : [column, cell],
    );
    return cells.some(([, { value }]) => value === undefined) ? [] : [{ ...row, cells: new Map(cells) }];
  });
}

/** Tokens by which others may refer to a row: not those that are a part of what it is known by. */
function ownTokens({ table, cells }: SeedRow): [column: string, token: string][] {
  const natural = NATURAL_KEYS[table] ?? [];
  return [...cells].flatMap(([column, { value }]): [string, string][] =>
    looksLikeToken(value) && value.startsWith('${uuid:') && !natural.includes(column) ? [[column, value]] : [],
  );
}

/** What a row is known by, whatever its id. */
function nameOf(row: SeedRow): string | undefined {
  const natural = NATURAL_KEYS[row.table];
  return natural && JSON.stringify([row.table, ...natural.map((column) => valueIn(row, column))]);
}

/** The setting kasm_auth_domain, over what any document says: the last step of the preseed of Kasm's own chart. Pure. */
export function withAuthDomain(documents: readonly SeedDocument[], domain: string | undefined): SeedDocument[] {
  if (!domain) return [...documents];
  const isIt = (row: SeedRow) =>
    row.table === 'settings' && valueIn(row, 'category') === 'auth' && valueIn(row, 'name') === 'kasm_auth_domain';
  if (documents.some(({ rows }) => rows.some(isIt)))
    return documents.map((document) => ({
      ...document,
      rows: document.rows.map((row) =>
        isIt(row) ? { ...row, cells: new Map([...row.cells, ['value', { value: domain, line: row.line }]]) } : row,
      ),
    }));
  const file = 'KASM_DB_AUTH_DOMAIN';
  const setting = {
    category: 'auth',
    name: 'kasm_auth_domain',
    title: 'Authentication domain',
    value: domain,
    value_type: 'string',
  };
  const cells = new Map(Object.entries(setting).map(([column, value]) => [column, { value, line: 1 }]));
  const rows = [{ table: 'settings', file, line: 1, cells }];
  return [...documents, { file, overlay: true, alembicVersion: undefined, rows }];
}
