import type { SeedDocument, SeedRow } from './document.js';

/**
 * Merges the overlay as the vendor documents it: a non-empty list replaces a table's rows, settings are upserted by (name, category),
 * group_settings are the defaults (no group) and the custom rows. Pure.
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
  return merged;
}

function mergeTable(table: string, base: SeedRow[], custom: SeedRow[]): SeedRow[] {
  if (table === 'settings') return upsertSettings(base, custom);
  if (table === 'group_settings') {
    return [...base.filter((row) => (row.cells.get('group_id')?.value ?? null) === null), ...custom];
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
