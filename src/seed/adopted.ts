import { SEEDED_BY_PROGRAM } from '../history/run-row.js';
import type { MigrationState } from '../history/state.js';
import type { Table } from './catalog.js';
import type { CurrentRows } from './current.js';
import type { SeedRow } from './document.js';

/** Its form was never published, so that an adopted database may have another one. */
const UNPUBLISHED = 'installation';

/** No Kasm works without a row in each of these. */
const NEEDED = ['settings', 'users'];

/** Leaves out rows that a database has no place for: an adopted one, or one of somebody's own migrations. Pure. */
export function withPlace(rows: readonly SeedRow[], catalog: ReadonlyMap<string, Table>): SeedRow[] {
  const columns = [...(catalog.get(UNPUBLISHED)?.columns.values() ?? [])];
  const fits = ({ cells }: SeedRow) =>
    columns.length > 0 &&
    [...cells.keys()].every((column) => columns.some(({ name }) => name === column)) &&
    columns.every(({ name, notNull, hasDefault }) => cells.has(name) || !notNull || hasDefault);
  return rows.filter((row) => row.table !== UNPUBLISHED || fits(row));
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
  const tables = new Set(rows.map(({ table }) => table));
  const isEmpty = (table: string) => !current.get(table)?.size;
  const hasRows = [...tables].some((table) => table !== UNPUBLISHED && !isEmpty(table));
  if (seededBefore || !adopted || !hasRows) return { adopted, adopting: false, lacking: [] };
  // A program that has come to its end meant to leave out what it left out.
  const lacking = byProgram ? [] : NEEDED.filter((table) => tables.has(table) && isEmpty(table));
  return { adopted, adopting: lacking.length === 0, lacking };
}
