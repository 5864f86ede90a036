import type { Breathe } from '../app/time.js';
import type { Table } from './catalog.js';
import type { CurrentRows } from './current.js';
import type { Problem } from './problems.js';
import { RecordIndex } from './record-index.js';
import type { SeedRecord } from './records.js';
import { References } from './references.js';
import type { ResolvedRow } from './resolve-rows.js';
import { naturalKeyOf, rowKeyOfTexts } from './row-keys.js';
import type { LocatedRow } from './row-plan.js';
import type { Texts } from './texts.js';

/** What is known of the database. */
export interface DatabaseRows {
  records: readonly SeedRecord[];
  current: CurrentRows;
  /** Everything in the database counts as seeded: nothing is inserted (an adopted database). */
  adopting: boolean;
}

/**
 * Finds out which row of the database each row of the documents is: by what earlier seeds have recorded, else by its key, else by its natural key.
 * All rows are looked for before any is planned, since a reference may lead to a table that comes later. Pure.
 * @param tables in the order of the inserts
 */
export async function locateRows(
  tables: readonly Table[],
  rows: readonly ResolvedRow[],
  texts: ReadonlyMap<ResolvedRow, Texts>,
  database: DatabaseRows,
  breathe: Breathe,
): Promise<{ located: LocatedRow[]; references: References; problems: Problem[] }> {
  const references = new References(database.current);
  const records = new RecordIndex(database.records);
  const located: LocatedRow[] = [];
  const problems: Problem[] = [];
  for (const table of tables) {
    const there = database.current.get(table.name);
    const naturalKeys = indexNaturalKeys(table, there);
    const claimed = new Map<string, ResolvedRow>();
    for (const resolved of rows.filter((row) => row.table === table)) {
      await breathe();
      const made = texts.get(resolved) as Texts;
      const followed = references.follow(resolved, made);
      const record = records.find(resolved, followed.texts);
      const naturalKey = naturalKeyOf(table, followed.texts);
      const found = record?.rowKey ?? findRow(rowKeyOfTexts(table, followed.texts), naturalKey, there, naturalKeys);
      located.push({ resolved, made, record, found });
      if (found !== undefined && there?.has(found)) references.rename(table, made, found);
      else if (found !== undefined || followed.gone || database.adopting) references.remove(table, made);
      const identity = found || naturalKey;
      const other = identity ? claimed.get(identity) : undefined;
      if (other) problems.push(sameRow(resolved, other));
      else if (identity) claimed.set(identity, resolved);
    }
  }
  return { located, references, problems };
}

/** Row keys by natural key. */
function indexNaturalKeys(table: Table, rows: ReadonlyMap<string, Texts> | undefined): Map<string, string> {
  const index = new Map<string, string>();
  for (const [rowKey, texts] of rows ?? []) {
    const key = naturalKeyOf(table, texts);
    if (key) index.set(key, rowKey);
  }
  return index;
}

function findRow(
  rowKey: string,
  naturalKey: string | undefined,
  there: ReadonlyMap<string, Texts> | undefined,
  naturalKeys: ReadonlyMap<string, string>,
): string | undefined {
  if (rowKey && there?.has(rowKey)) return rowKey;
  return naturalKey === undefined ? undefined : naturalKeys.get(naturalKey);
}

function sameRow({ row, table }: ResolvedRow, other: ResolvedRow): Problem {
  const message = `${table.name}: this is the same row of the database as ${other.row.file}:${other.row.line}`;
  return { file: row.file, line: row.line, message };
}
