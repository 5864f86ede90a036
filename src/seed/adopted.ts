import type { Table } from './catalog.js';
import type { CurrentRows } from './current.js';
import type { SeedRow } from './document.js';

/** Its form was never published, so that an adopted database may have another one. */
const UNPUBLISHED = 'installation';

/** Leaves out rows that an adopted database has no place for. Pure. */
export function withPlace(rows: readonly SeedRow[], catalog: ReadonlyMap<string, Table>): SeedRow[] {
  return rows.filter((row) => row.table !== UNPUBLISHED || fits(row, catalog.get(row.table)));
}

/** Has anybody populated it? Without a row in any of the documents' tables it was only initialised, and still has to be seeded. Pure. */
export function hasRows(rows: readonly SeedRow[], current: CurrentRows): boolean {
  return rows.some(({ table }) => table !== UNPUBLISHED && (current.get(table)?.size ?? 0) > 0);
}

function fits({ cells }: SeedRow, table: Table | undefined): boolean {
  if (!table || [...cells.keys()].some((column) => !table.columns.has(column))) return false;
  return [...table.columns.values()].every(
    ({ name, notNull, hasDefault }) => cells.has(name) || !notNull || hasDefault,
  );
}
