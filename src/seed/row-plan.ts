import type { Problem } from './problems.js';
import { fingerprint, newSalt, type RecordedColumn, type SeedRecord } from './records.js';
import type { FollowedRow } from './references.js';
import type { ResolvedRow } from './resolve-rows.js';
import type { Texts } from './texts.js';
import { looksLikeToken } from './tokens.js';
import type { Write } from './write-rows.js';

/** A row of the documents, and which one of the database it is. */
export interface LocatedRow {
  resolved: ResolvedRow;
  /** How the server writes the values that the documents made. */
  made: Texts;
  record: SeedRecord | undefined;
  /** Key of the row in the database; undefined: it was never there. */
  found: string | undefined;
}

/** The same, with references that lead to the keys that the database has. */
export type PlannableRow = LocatedRow & FollowedRow;

/** Where a row is that the database has afterwards. */
export interface Place {
  rowKey: string;
  inserted: boolean;
  /** As it was before; undefined: it was not there. */
  texts: Texts | undefined;
  record: SeedRecord;
}

/** What is to be done for a row. */
export interface RowPlan {
  count: 'inserted' | 'updated' | 'unchanged' | 'kept';
  write?: Write;
  /** References that can only be made after all rows are there. */
  deferredUpdate?: Write;
  /** To be written. */
  record?: SeedRecord;
  /** undefined: the database has no such row afterwards. */
  place?: Place;
  problems?: Problem[];
}

/** @param written the value that a seed has written; undefined: someone else's */
export function newRecord(
  { resolved, values }: PlannableRow,
  rowKey: string,
  written: (column: string) => string | null | undefined,
): SeedRecord {
  const salt = newSalt();
  const columns: Record<string, RecordedColumn> = {};
  for (const column of Object.keys(values)) columns[column] = recordedColumn(resolved, column, salt, written(column));
  return { table: resolved.table.name, rowKey, docKey: resolved.docKey, salt, columns };
}

/** @param written as newRecord takes it */
export function recordedColumn(
  { row }: ResolvedRow,
  column: string,
  salt: string,
  written: string | null | undefined,
): RecordedColumn {
  const raw = row.cells.get(column)?.value;
  return {
    print: written === undefined ? null : fingerprint(salt, written),
    ...(looksLikeToken(raw) ? { token: raw } : {}),
  };
}
