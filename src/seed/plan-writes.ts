import { type Breathe, breather } from '../app/time.js';
import { insertOrder, isRequired } from './catalog.js';
import { type Problem, problemOf, valueIn } from './document.js';
import { looksEncrypted, mayBeEncrypted } from './encrypted.js';
import { type DatabaseRows, type LocatedRow, locateRows } from './locate-rows.js';
import { fingerprint, isAsWritten, newSalt, type RecordedColumn, type SeedRecord } from './records.js';
import type { FollowedRow, References } from './references.js';
import type { ResolvedRow } from './resolve-rows.js';
import { rowKeyOf, type Texts } from './row-keys.js';
import { looksLikeToken, tokensIn } from './tokens.js';
import type { Write } from './write-rows.js';

/** What is known of a row that the database has afterwards. */
export interface Place {
  record: SeedRecord;
  /** As it was; undefined: it is inserted. */
  before: Texts | undefined;
}

export interface PlannedWrites {
  writes: Write[];
  /** References that can only be made after all rows are there. */
  deferredUpdates: Write[];
  /** To be written. */
  records: SeedRecord[];
  counts: { inserted: number; updated: number; unchanged: number; kept: number };
  /** Of every document row that is in the database afterwards. */
  places: Map<ResolvedRow, Place>;
  problems: Problem[];
}

/** A row whose references lead to the keys that the database has. */
type PlannableRow = LocatedRow & FollowedRow;

/** Row key of a recorded row that was not in the database when it was recorded. */
const NOT_THERE = '';

/**
 * What to write: pure but for new salts. A recorded row is updated only where the value is still the one that a seed wrote; one that is not there
 * any more was deleted by someone and stays so. A row without a record is matched by its natural key, else inserted.
 * @param texts how the server writes each row's values, by the row
 */
export async function planWrites(
  rows: readonly ResolvedRow[],
  texts: ReadonlyMap<ResolvedRow, Texts>,
  database: DatabaseRows,
  breathe: Breathe = breather(),
): Promise<PlannedWrites> {
  const tables = insertOrder([...new Set(rows.map(({ table }) => table))]);
  const order = tables.map(({ name }) => name);
  const { located, references, problems } = await locateRows(tables, rows, texts, database, breathe);
  const planned: PlannedWrites = {
    writes: [],
    deferredUpdates: [],
    records: [],
    counts: { inserted: 0, updated: 0, unchanged: 0, kept: 0 },
    places: new Map(),
    problems,
  };
  for (const { resolved, made, record, found } of located) {
    await breathe();
    const row = { resolved, made, record, found, ...references.follow(resolved, made) };
    const now = found === undefined ? undefined : database.current.get(resolved.table.name)?.get(found);
    if (now) planUpdate(planned, row, now);
    else if (found === undefined && !row.gone && !database.adopting) planInsert(planned, row, references, order);
    else {
      planned.counts.kept++;
      if (found === undefined) planned.records.push(newRecord(row, NOT_THERE, () => undefined));
    }
  }
  return planned;
}

/** @param now the row as the database has it */
function planUpdate(planned: PlannedWrites, row: PlannableRow, now: Texts): void {
  const { resolved, values, texts, record } = row;
  const differing = Object.keys(values).filter(
    (column) => isCompared(resolved, column) && (texts[column] ?? null) !== (now[column] ?? null),
  );
  const changed = differing.filter((column) => isAsWritten(record, column, now[column] ?? null));
  const after = record
    ? recording(record, resolved, changed, (column) => texts[column] ?? null)
    : firstRecord(row, now);
  planned.places.set(resolved, { record: after, before: now });
  if (!record || changed.length > 0) planned.records.push(after);
  if (changed.length === 0) {
    planned.counts[differing.length > 0 ? 'kept' : 'unchanged']++;
    return;
  }
  planned.counts.updated++;
  const changes = Object.fromEntries(changed.map((column) => [column, values[column]]));
  const before = Object.fromEntries(changed.map((column) => [column, now[column] ?? null]));
  planned.writes.push({ kind: 'update', table: resolved.table.name, rowKey: after.rowKey, before, values: changes });
}

/** Generated secrets, keys and credentials are written once; the documents don't say what they are. A reference they do say. */
function isCompared({ row, table, credentialColumns }: ResolvedRow, column: string): boolean {
  if (credentialColumns.has(column) || table.primaryKey.includes(column)) return false;
  return tokensIn(valueIn(row, column)).length === 0 || table.foreignKeys.some((key) => key.column === column);
}

/** A reference to a row that comes later is left empty and made afterwards. @param order names of the tables, as they are inserted */
function planInsert(planned: PlannedWrites, row: PlannableRow, references: References, order: readonly string[]): void {
  const { resolved, texts } = row;
  const { table } = resolved;
  const values = { ...row.values };
  const deferred: Record<string, unknown> = {};
  for (const key of table.foreignKeys) {
    const value = texts[key.column];
    if (!value || references.isThere(key.table, key.target, value)) continue;
    if (!isRequired(table, key)) {
      deferred[key.column] = values[key.column];
      delete values[key.column];
    } else if (order.indexOf(key.table) > order.indexOf(table.name)) {
      planned.problems.push(problemOf(resolved.row, `${table.name} and ${key.table} require each other`));
    }
  }
  references.insert(table, texts);
  const record = newRecord(row, rowKeyOf(table, texts), (column) => texts[column] ?? null);
  planned.counts.inserted++;
  planned.writes.push({ kind: 'insert', table: table.name, values });
  planned.records.push(record);
  planned.places.set(resolved, { record, before: undefined });
  const columns = Object.keys(deferred);
  if (columns.length === 0) return;
  // Until then the row lies under the key that it has without them.
  const rowKey = rowKeyOf(table, { ...texts, ...Object.fromEntries(columns.map((column) => [column, null])) });
  planned.deferredUpdates.push({ kind: 'update', table: table.name, rowKey, values: deferred });
}

/** What a seed has written into a column; undefined: what is there is someone else's. */
type Written = (column: string) => string | null | undefined;

/**
 * Of a row that was there first: only what is as the documents have it counts as written by a seed, and nothing that Kasm may have encrypted: a
 * document made from rows of a database has them as they are stored. What a Secret says, too, is plain: its other readers decrypt nothing.
 */
function firstRecord(row: PlannableRow, now: Texts): SeedRecord {
  const { table, credentialColumns } = row.resolved;
  const isEncrypted = (name: string) => {
    const column = table.columns.get(name);
    if (!column || credentialColumns.has(name)) return false;
    return mayBeEncrypted(table.name, column) && looksEncrypted(now[name], column.type);
  };
  return newRecord(row, row.found as string, (name) =>
    now[name] === row.texts[name] && !isEncrypted(name) ? (now[name] ?? null) : undefined,
  );
}

function newRecord({ resolved, values }: PlannableRow, rowKey: string, written: Written): SeedRecord {
  const { table, docKey } = resolved;
  const empty = { table: table.name, rowKey, docKey, salt: newSalt(), columns: {} };
  return recording(empty, resolved, Object.keys(values), written);
}

/** A record with what is written into some of its columns. */
function recording(record: SeedRecord, { row }: ResolvedRow, columns: readonly string[], written: Written): SeedRecord {
  const recorded = columns.map((column): [string, RecordedColumn] => {
    const text = written(column);
    const print = text === undefined ? null : fingerprint(record.salt, text);
    const token = valueIn(row, column);
    return [column, looksLikeToken(token) ? { print, token } : { print }];
  });
  return { ...record, columns: { ...record.columns, ...Object.fromEntries(recorded) } };
}
