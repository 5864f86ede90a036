import type { Table } from './catalog.js';
import type { SeedRow } from './document.js';

/** Its form was never published, so that an adopted database may have another one. */
const UNPUBLISHED = 'installation';

/** Leaves out rows that an adopted database has no place for. Pure. */
export function withPlace(rows: readonly SeedRow[], catalog: ReadonlyMap<string, Table>): SeedRow[] {
  return rows.filter((row) => row.table !== UNPUBLISHED || fits(row, catalog.get(row.table)));
}

function fits({ cells }: SeedRow, table: Table | undefined): boolean {
  if (!table || [...cells.keys()].some((column) => !table.columns.has(column))) return false;
  return [...table.columns.values()].every(
    ({ name, notNull, hasDefault }) => cells.has(name) || !notNull || hasDefault,
  );
}
