import type { Cell, SeedDocument, SeedRow } from './document.js';
import { NATURAL_KEYS } from './natural-keys.js';
import { looksLikeToken } from './tokens.js';

/**
 * Merges the overlay as the vendor documents it: a non-empty list replaces a table's rows, settings are upserted by (name, category),
 * group_settings are the defaults (no group) and the custom rows. What is left of the documents follows: a row that refers to one that was
 * replaced refers to the overlay's row of the same name, and goes where there is none. Pure.
 */
export function mergeOverlay(documents: readonly SeedDocument[]): SeedRow[] {
  const rows = documents.filter((document) => !document.overlay).flatMap((document) => document.rows);
  const custom = documents.filter((document) => document.overlay).flatMap((document) => document.rows);
  const tables = new Set(custom.map((row) => row.table));
  let merged = rows;
  for (const table of tables) {
    const own = custom.filter((row) => row.table === table);
    const base = merged.filter((row) => row.table === table);
    const others = merged.filter((row) => row.table !== table);
    merged = [...others, ...mergeTable(table, base, own)];
  }
  return followReplaced(rows, custom, merged);
}

function mergeTable(table: string, base: SeedRow[], custom: SeedRow[]): SeedRow[] {
  if (table === 'settings') return upsertSettings(base, custom);
  if (table === 'group_settings') {
    // A default that the overlay gives too is the overlay's.
    const isDefault = (row: SeedRow) => (row.cells.get('group_id')?.value ?? null) === null;
    const given = new Set(custom.filter(isDefault).map((row) => row.cells.get('name')?.value));
    return [...base.filter((row) => isDefault(row) && !given.has(row.cells.get('name')?.value)), ...custom];
  }
  return custom;
}

function upsertSettings(base: SeedRow[], custom: SeedRow[]): SeedRow[] {
  const key = (row: SeedRow) => JSON.stringify([row.cells.get('name')?.value, row.cells.get('category')?.value]);
  const used = new Set<SeedRow>();
  const byKey = new Map(custom.toReversed().map((row) => [key(row), row]));
  const merged = base.map((row) => {
    const other = byKey.get(key(row));
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
function followReplaced(base: readonly SeedRow[], custom: readonly SeedRow[], merged: readonly SeedRow[]): SeedRow[] {
  const left = new Set(merged);
  const given = new Set(custom.flatMap((row) => namesOf(row).map(([, token]) => token)));
  const replaced = new Map<string, unknown>();
  const byName = new Map(custom.toReversed().map((row) => [nameOf(row), row]));
  for (const row of base) {
    // An upserted setting is another object; nothing refers to a setting.
    if (left.has(row)) continue;
    const name = nameOf(row);
    const same = name === undefined ? undefined : byName.get(name);
    for (const [column, token] of namesOf(row))
      if (!given.has(token)) replaced.set(token, same?.cells.get(column)?.value);
  }
  const ofDocuments = new Set(base);
  return merged.flatMap((row) => {
    const cells = [...row.cells].map(([column, cell]): [string, Cell] => {
      const { value, line } = cell;
      return ofDocuments.has(row) && looksLikeToken(value) && replaced.has(value)
        ? [column, { value: replaced.get(value), line }]
        : [column, cell];
    });
    if (cells.some(([, { value }]) => value === undefined)) return [];
    return [{ ...row, cells: new Map(cells) }];
  });
}

/** Tokens by which others may refer to a row: not those that are a part of what it is known by. */
function namesOf({ table, cells }: SeedRow): [column: string, token: string][] {
  const natural = NATURAL_KEYS[table] ?? [];
  return [...cells].flatMap(([column, { value }]): [string, string][] =>
    looksLikeToken(value) && value.startsWith('${uuid:') && !natural.includes(column) ? [[column, value]] : [],
  );
}

/** What a row is known by, whatever its id. */
function nameOf({ table, cells }: SeedRow): string | undefined {
  const natural = NATURAL_KEYS[table];
  return natural && JSON.stringify([table, ...natural.map((column) => cells.get(column)?.value ?? null)]);
}
