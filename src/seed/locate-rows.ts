import { groupBy } from '../app/group-by.js';
import type { Breathe } from '../app/time.js';
import { idColumn, type Table } from './catalog.js';
import type { CurrentRows } from './current.js';
import { type Problem, problemOf, valueIn } from './document.js';
import { recordId, type SeedRecord } from './records.js';
import { References } from './references.js';
import type { ResolvedRow } from './resolve-rows.js';
import { naturalKeyOf, rowKeyOf, type Texts } from './row-keys.js';

/** What is known of the database. */
export interface DatabaseRows {
  records: readonly SeedRecord[];
  current: CurrentRows;
  /** Everything in the database counts as seeded: nothing is inserted (an adopted database). */
  adopting: boolean;
}

/** A row of the documents, and which one of the database it is. */
export interface LocatedRow {
  resolved: ResolvedRow;
  /** How the server writes the values that the documents made. */
  made: Texts;
  record: SeedRecord | undefined;
  /** Key of the row in the database; undefined: it was never there. */
  found: string | undefined;
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
  const findRecord = recordFinder(database.records);
  const byTable = groupBy(rows, ({ table }) => table);
  const located: LocatedRow[] = [];
  const problems: Problem[] = [];
  for (const table of tables) {
    const there = database.current.get(table.name) ?? new Map<string, Texts>();
    const naturalKeys = new Map([...there].map(([rowKey, now]) => [naturalKeyOf(table, now) ?? '', rowKey]));
    const claimed = new Map<string, ResolvedRow>();
    for (const resolved of byTable.get(table) ?? []) {
      await breathe();
      const made = texts.get(resolved) as Texts;
      const followed = references.follow(resolved, made);
      const record = findRecord(resolved, followed.texts);
      const rowKey = rowKeyOf(table, followed.texts);
      const naturalKey = naturalKeyOf(table, followed.texts);
      const found =
        record?.rowKey ?? (rowKey && there.has(rowKey) ? rowKey : naturalKey && naturalKeys.get(naturalKey));
      located.push({ resolved, made, record, found });
      if (found !== undefined && there.has(found)) references.lead(table, made, found);
      else if (found !== undefined || followed.gone || database.adopting) references.lead(table, made, null);
      const identity = found || naturalKey;
      const other = identity && claimed.get(identity)?.row;
      if (other)
        problems.push(
          problemOf(resolved.row, `${table.name}: this is the same row of the database as ${other.file}:${other.line}`),
        );
      else if (identity) claimed.set(identity, resolved);
    }
  }
  return { located, references, problems };
}

/**
 * Finds what earlier seeds have recorded of a row: by the name that documents had for it, by its id's token, or by its id itself (an export has ids
 * where documents had tokens).
 */
export function recordFinder(
  records: readonly SeedRecord[],
): (row: ResolvedRow, texts: Texts) => SeedRecord | undefined {
  const byName = new Map<string, SeedRecord>();
  const byToken = new Map<string, SeedRecord>();
  const byRowKey = new Map<string, SeedRecord>();
  for (const record of records) {
    const { table, rowKey, columns } = record;
    byName.set(recordId(record), record);
    if (rowKey) byRowKey.set(`${table}\0${rowKey}`, record);
    for (const [column, { token }] of Object.entries(columns))
      if (token) byToken.set(`${table}\0${column}\0${token}`, record);
  }
  return ({ table, docKey, row }, texts) => {
    const id = idColumn(table) ?? '';
    return (
      byName.get(recordId({ table: table.name, docKey })) ??
      byToken.get(`${table.name}\0${id}\0${valueIn(row, id)}`) ??
      byRowKey.get(`${table.name}\0${rowKeyOf(table, texts)}`)
    );
  };
}
