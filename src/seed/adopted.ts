import type { Table } from './catalog.js';
import type { CurrentRows } from './current.js';
import type { SeedRow } from './document.js';

/** Its form was never published, so that an adopted database may have another one. */
const UNPUBLISHED = 'installation';

/** Leaves out rows that a database has no place for: an adopted one, or one of somebody's own migrations. Pure. */
export function withPlace(rows: readonly SeedRow[], catalog: ReadonlyMap<string, Table>): SeedRow[] {
  return rows.filter((row) => row.table !== UNPUBLISHED || fits(row, catalog.get(row.table)));
}

/** No Kasm works without a row in each of these. */
const NEEDED = ['settings', 'users'];

/**
 * Of an adopted database: the tables without a row that no Kasm can do without. It was only initialised, or its population was left half-done, so
 * that it still has to be seeded. Pure.
 */
export function unpopulated(rows: readonly SeedRow[], current: CurrentRows): string[] {
  const tables = new Set(rows.map(({ table }) => table));
  return NEEDED.filter((table) => tables.has(table) && !current.get(table)?.size);
}

/** Has any of the documents' tables a row? Where a program has come to its end, what it left out it meant to. Pure. */
export function hasRows(rows: readonly SeedRow[], current: CurrentRows): boolean {
  return rows.some(({ table }) => table !== UNPUBLISHED && (current.get(table)?.size ?? 0) > 0);
}

function fits({ cells }: SeedRow, table: Table | undefined): boolean {
  if (!table || [...cells.keys()].some((column) => !table.columns.has(column))) return false;
  return [...table.columns.values()].every(
    ({ name, notNull, hasDefault }) => cells.has(name) || !notNull || hasDefault,
  );
}
