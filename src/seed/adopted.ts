import { SEEDED_BY_PROGRAM } from '../history/run-row.js';
import type { MigrationState } from '../history/state.js';
import type { Table } from './catalog.js';
import type { CurrentRows } from './current.js';
import type { SeedRow } from './document.js';

/** Its form was never published, so that an adopted database may have another one. */
const UNPUBLISHED = 'installation';

/** Leaves out rows that a database has no place for: an adopted one, or one of somebody's own migrations. Pure. */
export function withPlace(rows: readonly SeedRow[], catalog: ReadonlyMap<string, Table>): SeedRow[] {
  return rows.filter((row) => row.table !== UNPUBLISHED || fits(row, catalog.get(row.table)));
}

export interface Adoption {
  /** Kasm itself, or a program of Kasm's, has written the rows that are there. */
  adopted: boolean;
  /** They count as seeded, and nothing is inserted. */
  adopting: boolean;
  /** Tables that had no row though Kasm needs one: the database was only initialised, or its population was left half-done, so that it still has to be seeded. */
  lacking: string[];
}

/**
 * Who has written what a seed finds? Pure.
 * @param seededBefore a seed has recorded its rows already
 */
export function adoptionOf(
  { history = [], run }: Pick<MigrationState, 'history' | 'run'>,
  rows: readonly SeedRow[],
  current: CurrentRows,
  seededBefore: boolean,
): Adoption {
  const byProgram = run?.seedDigest?.endsWith(`:${SEEDED_BY_PROGRAM}`) ?? false;
  const adopted = byProgram || history.some(({ kind }) => kind === 'adopted');
  if (seededBefore || !adopted || !hasRows(rows, current)) return { adopted, adopting: false, lacking: [] };
  // A program that has come to its end meant to leave out what it left out.
  const lacking = byProgram ? [] : unpopulated(rows, current);
  return { adopted, adopting: lacking.length === 0, lacking };
}

/** No Kasm works without a row in each of these. */
const NEEDED = ['settings', 'users'];

/** The tables without a row that no Kasm can do without. */
function unpopulated(rows: readonly SeedRow[], current: CurrentRows): string[] {
  const tables = new Set(rows.map(({ table }) => table));
  return NEEDED.filter((table) => tables.has(table) && !current.get(table)?.size);
}

/** Has any of the documents' tables a row? */
function hasRows(rows: readonly SeedRow[], current: CurrentRows): boolean {
  return rows.some(({ table }) => table !== UNPUBLISHED && (current.get(table)?.size ?? 0) > 0);
}

function fits({ cells }: SeedRow, table: Table | undefined): boolean {
  if (!table || [...cells.keys()].some((column) => !table.columns.has(column))) return false;
  return [...table.columns.values()].every(
    ({ name, notNull, hasDefault }) => cells.has(name) || !notNull || hasDefault,
  );
}
