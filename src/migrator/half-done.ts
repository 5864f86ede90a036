import type { DatabaseState } from '../history/state.js';

/** Where Alembic keeps which release a database is of; no table of a user's. */
export const VENDOR_TABLE = 'alembic_version';

/** What of the tables that migrations make is there already, in a database without a history. */
export interface Found {
  there: string[];
  lacking: string[];
  /** Of those that are there: which hold a row. */
  filled: string[];
  /** Of those that are there: which this role may not look into. */
  unseen: string[];
}

/** Pure. @param creates tables that the migrations make */
export function findTables(creates: Iterable<string>, { publicTables, rows }: DatabaseState): Found {
  const wanted = new Set(creates);
  const there = publicTables.filter((table) => wanted.has(table));
  const among = (names: readonly string[] | undefined) =>
    there.filter((table) => table !== VENDOR_TABLE && (names ?? there).includes(table));
  const lacking = [...wanted].filter((table) => !publicTables.includes(table));
  return { there, lacking, filled: rows ? among(rows.filled) : [], unseen: among(rows?.unseen) };
}

/** Nothing is lost with them. */
export const isWithoutRows = ({ filled, unseen }: Found) => filled.length === 0 && unseen.length === 0;

/** Kasm stamps a database as the last step of its initialisation, and never goes on with one that it left earlier. */
export function isHalfDone({ there, lacking }: Found, { rows }: DatabaseState): boolean {
  if (there.length === 0) return false;
  const stamped = rows === undefined || [...rows.filled, ...rows.unseen].includes(VENDOR_TABLE);
  return lacking.includes(VENDOR_TABLE) || (there.includes(VENDOR_TABLE) && !stamped);
}

/** What is there of a half-done initialisation, in words: how many tables, which lack, whether any has rows. */
export function describeHalf(found: Found): string {
  const { there, lacking, filled, unseen } = found;
  const lack = lacking.length > 0 ? ` (${list(lacking)} ${lacking.length === 1 ? 'lacks' : 'lack'})` : '';
  const rows = [
    ...(filled.length > 0 ? [`${list(filled)} ${filled.length === 1 ? 'has' : 'have'} rows`] : []),
    ...(unseen.length > 0
      ? [`this login may not see whether ${list(unseen)} ${unseen.length === 1 ? 'has' : 'have'} rows`]
      : []),
  ];
  return `${there.length} of ${there.length + lacking.length} tables are there${lack}, ${rows.join(', ') || 'none of them has a row'}`;
}

/** Whatever the empty tables are like. */
export const RESTART_HINT =
  "end Kasm's own initialisation first; then kasm-db repair --restart-empty, which drops these empty tables, and kasm-db migrate --seed";

/** The way out of it. */
export function halfDoneHint(found: Found): string {
  if (!isWithoutRows(found))
    return 'if Kasm made this database: kasm-db adopt says what it lacks; else restore a backup, or use an empty database';
  return found.lacking.every((table) => table === VENDOR_TABLE)
    ? "end Kasm's own initialisation first; then kasm-db adopt, and kasm-db seed"
    : RESTART_HINT;
}

/** The first of many names. */
export function list(names: readonly string[]): string {
  const shown = names.slice(0, 8).join(', ');
  return names.length > 8 ? `${shown} and ${names.length - 8} more` : shown;
}
