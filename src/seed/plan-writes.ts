import { type Breathe, breather } from '../app/time.js';
import { insertOrder, isRequired, type Table } from './catalog.js';
import type { SeedRow } from './document.js';
import { looksEncrypted, mayBeEncrypted } from './encrypted.js';
import { NATURAL_KEYS } from './natural-keys.js';
import type { Problem } from './problems.js';
import { fingerprint, newSalt, type Remembered, type RememberedColumn, rowKeyOf, type Write } from './store.js';
import { looksLikeToken, tokensIn } from './tokens.js';

export type Texts = Record<string, string | null>;

/** A row of the documents with its tokens resolved, and what the database knows of it. */
export interface ResolvedRow {
  /** Its place among all rows of the documents. */
  n: number;
  row: SeedRow;
  table: Table;
  docKey: string;
  /** As json_populate_record takes them; what the documents leave out is left to the column's default. */
  values: Record<string, unknown>;
  /** Columns that a credential fills. */
  credentialColumns: Set<string>;
}

export interface PlannedWrites {
  writes: Write[];
  /** References that could only be made after all rows were there. */
  deferredUpdates: Write[];
  remember: Remembered[];
  counts: { inserted: number; updated: number; unchanged: number; kept: number };
  /** Row key of every document row that is in the database afterwards, or now. */
  located: Map<
    ResolvedRow,
    { rowKey: string; inserted: boolean; texts: Texts | undefined; memory: Remembered | undefined }
  >;
  problems: Problem[];
}

export interface DatabaseRows {
  remembered: readonly Remembered[];
  /** By table, then row key. */
  current: ReadonlyMap<string, ReadonlyMap<string, Texts>>;
  /** Everything in the database counts as seeded: nothing is inserted (an adopted database). */
  adopting: boolean;
}

/** How the documents name a row, which doesn't change while its tokens do. */
export function docKeyOf(row: SeedRow, table: Table): string {
  const value = (column: string) => row.cells.get(column)?.value ?? null;
  for (const columns of [NATURAL_KEYS[table.name] ?? [], table.primaryKey]) {
    if (columns.some((column) => value(column) !== null)) return JSON.stringify(columns.map(value));
  }
  // Neither a key nor an id: a row is what it says.
  return rowKeyOf({ ...table, primaryKey: [] }, (column) => {
    const cell = value(column);
    return cell === null ? null : JSON.stringify(cell);
  });
}

/** A row while its write is planned: its references lead to the keys that the database has. */
interface Draft {
  resolved: ResolvedRow;
  values: Record<string, unknown>;
  texts: Texts;
  known: Remembered | undefined;
  /** Key of the row in the database; undefined: it was never there. */
  found: string | undefined;
  /** It needs a row that is not there any more. */
  gone: boolean;
}

/**
 * What to write: pure. A remembered row is updated only where the value is still the one that a seed wrote; one that is not there any more
 * was deleted by someone and stays so. A row that nobody remembers is matched by its natural key, else inserted.
 * @param texts how the server writes each row's values, by the row
 */
export async function planWrites(
  rows: readonly ResolvedRow[],
  texts: ReadonlyMap<ResolvedRow, Texts>,
  database: DatabaseRows,
  breathe: Breathe = breather(),
): Promise<PlannedWrites> {
  const result: PlannedWrites = {
    writes: [],
    deferredUpdates: [],
    remember: [],
    counts: { inserted: 0, updated: 0, unchanged: 0, kept: 0 },
    located: new Map(),
    problems: [],
  };
  const byTable = new Map<Table, ResolvedRow[]>();
  for (const row of rows) {
    const list = byTable.get(row.table);
    if (list) list.push(row);
    else byTable.set(row.table, [row]);
  }
  const order = insertOrder([...byTable.keys()]);
  const references = new References(database);
  const memory = new Memory(database.remembered);

  // All rows are looked for first: a reference may lead to a table that comes later.
  const drafts: Draft[] = [];
  for (const table of order) {
    const there = database.current.get(table.name);
    const claimed = new Map<string, ResolvedRow>();
    const natural = naturalIndex(table, there);
    for (const resolved of byTable.get(table) ?? []) {
      await breathe();
      const made = texts.get(resolved) as Texts;
      const { gone, ...followed } = references.follow(resolved, made);
      const known = memory.find(resolved, followed.texts);
      const found = known?.rowKey ?? locate(table, followed.texts, there, natural);
      drafts.push({ resolved, ...followed, known, found, gone });
      if (found !== undefined && there?.has(found)) references.rename(table, made, found);
      else if (found !== undefined || gone || database.adopting) references.remove(table, made);
      const identity = found || naturalKey(table, followed.texts);
      const other = identity ? claimed.get(identity) : undefined;
      if (other) result.problems.push(sameRow(resolved, other));
      else if (identity) claimed.set(identity, resolved);
    }
  }
  const position = new Map(order.map((table, i) => [table.name, i]));
  for (const draft of drafts) {
    await breathe();
    const { resolved } = draft;
    Object.assign(draft, references.follow(resolved, texts.get(resolved) as Texts));
    if (draft.found !== undefined) compare(draft, database.current.get(resolved.table.name)?.get(draft.found), result);
    else if (draft.gone || database.adopting) {
      result.counts.kept++;
      result.remember.push(remembered(draft, NOT_THERE, () => undefined));
    } else insert(draft, position, references, result);
  }
  return result;
}

function sameRow(resolved: ResolvedRow, other: ResolvedRow): Problem {
  return {
    file: resolved.row.file,
    line: resolved.row.line,
    message: `${resolved.table.name}: this is the same row of the database as ${other.row.file}:${other.row.line}`,
  };
}

/** What document rows refer to, while rows are renamed to the keys that the database has for them. */
class References {
  private readonly renamed = new Map<string, string>();
  private readonly removed = new Set<string>();
  private readonly insertedIds = new Set<string>();
  private readonly present = new Map<string, Set<string>>();

  constructor(private readonly database: DatabaseRows) {}

  /** Puts the keys that rows really have in place of those the documents made. */
  follow(resolved: ResolvedRow, made: Texts): Pick<Draft, 'texts' | 'values' | 'gone'> {
    const texts = { ...made };
    const values = { ...resolved.values };
    let gone = false;
    for (const key of resolved.table.foreignKeys) {
      const value = made[key.column];
      if (value === null || value === undefined) continue;
      const id = `${key.table}\0${value}`;
      const actual = this.renamed.get(id);
      if (this.removed.has(id)) {
        if (isRequired(resolved.table, key) || (NATURAL_KEYS[resolved.table.name] ?? []).includes(key.column))
          gone = true;
        else {
          texts[key.column] = null;
          delete values[key.column];
        }
      } else if (actual !== undefined) {
        texts[key.column] = actual;
        values[key.column] = actual;
      }
    }
    return { texts, values, gone };
  }

  rename(table: Table, made: Texts, rowKey: string): void {
    const id = idOf(table, made);
    if (id && made[table.primaryKey[0] as string] !== rowKey) this.renamed.set(id, rowKey);
  }

  remove(table: Table, made: Texts): void {
    const id = idOf(table, made);
    if (id) this.removed.add(id);
  }

  inserted(table: Table, made: Texts): void {
    const id = idOf(table, made);
    if (id) this.insertedIds.add(id);
  }

  /** Is the row that is referred to there already when this one is inserted? */
  isThere(table: string, column: string, value: string): boolean {
    return this.insertedIds.has(`${table}\0${value}`) || this.inDatabase(table, column, value);
  }

  private inDatabase(table: string, column: string, value: string): boolean {
    const id = `${table}.${column}`;
    let values = this.present.get(id);
    if (!values) {
      values = new Set([...(this.database.current.get(table)?.values() ?? [])].map((texts) => texts[column] ?? ''));
      this.present.set(id, values);
    }
    return values.has(value);
  }
}

/** By what others refer to a row. */
function idOf(table: Table, made: Texts): string | undefined {
  const value = table.primaryKey.length === 1 ? made[table.primaryKey[0] as string] : undefined;
  return value ? `${table.name}\0${value}` : undefined;
}

class Memory {
  private readonly byDocKey = new Map<string, Remembered>();
  private readonly byToken = new Map<string, Remembered>();
  private readonly byRowKey = new Map<string, Remembered>();

  constructor(remembered: readonly Remembered[]) {
    for (const entry of remembered) {
      this.byDocKey.set(`${entry.table}\0${entry.docKey}`, entry);
      if (entry.rowKey) this.byRowKey.set(`${entry.table}\0${entry.rowKey}`, entry);
      for (const [column, { token }] of Object.entries(entry.columns)) {
        if (token) this.byToken.set(`${entry.table}\0${column}\0${token}`, entry);
      }
    }
  }

  /** By the name that documents had for it, by its id's token, or by its id itself (an export has ids where documents had tokens). */
  find({ table, docKey, row }: ResolvedRow, texts: Texts): Remembered | undefined {
    const key = table.primaryKey.length === 1 ? (table.primaryKey[0] as string) : undefined;
    const token = key === undefined ? undefined : row.cells.get(key)?.value;
    return (
      this.byDocKey.get(`${table.name}\0${docKey}`) ??
      (looksLikeToken(token) ? this.byToken.get(`${table.name}\0${key}\0${token}`) : undefined) ??
      this.byRowKey.get(`${table.name}\0${keyOf(table, texts)}`)
    );
  }
}

function naturalIndex(table: Table, rows: ReadonlyMap<string, Texts> | undefined): Map<string, string> {
  const index = new Map<string, string>();
  for (const [rowKey, texts] of rows ?? []) {
    const key = naturalKey(table, texts);
    if (key) index.set(key, rowKey);
  }
  return index;
}

function naturalKey(table: Table, texts: Texts): string | undefined {
  const columns = NATURAL_KEYS[table.name];
  if (!columns || (columns.length > 0 && columns.every((column) => (texts[column] ?? null) === null))) return undefined;
  return JSON.stringify(columns.map((column) => texts[column] ?? null));
}

function locate(
  table: Table,
  texts: Texts,
  rows: ReadonlyMap<string, Texts> | undefined,
  natural: ReadonlyMap<string, string>,
): string | undefined {
  const rowKey = keyOf(table, texts);
  if (rowKey && rows?.has(rowKey)) return rowKey;
  return natural.get(naturalKey(table, texts) ?? '');
}

/** The key under which a row will be found; '' when it has none yet. */
function keyOf(table: Table, texts: Texts): string {
  return rowKeyOf(table, (column) => texts[column] ?? null);
}

/** Row key of a remembered row that was not in the database when it was remembered. */
const NOT_THERE = '';

function compare(draft: Draft, now: Texts | undefined, result: PlannedWrites): void {
  const { resolved, texts, known } = draft;
  const rowKey = draft.found as string;
  if (now === undefined) {
    result.counts.kept++;
    return;
  }
  const changes: Record<string, unknown> = {};
  let kept = false;
  for (const [column, value] of Object.entries(draft.values)) {
    if (!isCompared(resolved, column) || (texts[column] ?? null) === (now[column] ?? null)) continue;
    const print = known?.columns[column]?.print;
    if (known && print && fingerprint(known.salt, now[column] ?? null) === print) changes[column] = value;
    else kept = true;
  }
  let memory = known;
  if (known && Object.keys(changes).length > 0) {
    result.writes.push({ kind: 'update', table: resolved.table.name, rowKey, values: changes });
    const columns = { ...known.columns };
    for (const column of Object.keys(changes))
      columns[column] = { ...tokenOf(resolved, column), print: fingerprint(known.salt, texts[column] ?? null) };
    memory = { ...known, columns };
    result.remember.push(memory);
    result.counts.updated++;
  } else if (kept) result.counts.kept++;
  else result.counts.unchanged++;
  if (!known) {
    // A row that was there first: only what is as the documents have it counts as written by a seed, and nothing that Kasm may have encrypted.
    memory = remembered(draft, rowKey, (column) =>
      now[column] === texts[column] && !isEncrypted(resolved, column, now[column]) ? (now[column] ?? null) : undefined,
    );
    result.remember.push(memory);
  }
  result.located.set(resolved, { rowKey, inserted: false, texts: now, memory });
}

/** A document made from rows of a database has them as they are stored. What a Secret says, too, is plain: its other readers decrypt nothing. */
function isEncrypted(
  { table, credentialColumns }: ResolvedRow,
  name: string,
  value: string | null | undefined,
): boolean {
  const column = table.columns.get(name);
  if (!column || credentialColumns.has(name)) return false;
  return mayBeEncrypted(table.name, column) && looksEncrypted(value, column.type);
}

/** Generated secrets, keys and credentials are written once; the documents don't say what they are. A reference they do say. */
function isCompared({ row, table, credentialColumns }: ResolvedRow, column: string): boolean {
  if (credentialColumns.has(column) || table.primaryKey.includes(column)) return false;
  if (tokensIn(row.cells.get(column)?.value).length === 0) return true;
  return table.foreignKeys.some((key) => key.column === column);
}

function insert(
  draft: Draft,
  position: ReadonlyMap<string, number>,
  references: References,
  result: PlannedWrites,
): void {
  const { resolved, texts } = draft;
  const { table } = resolved;
  const values = { ...draft.values };
  const deferred: Record<string, unknown> = {};
  for (const key of table.foreignKeys) {
    const value = texts[key.column];
    if (!value || references.isThere(key.table, key.target, value)) continue;
    if (isRequired(table, key)) {
      if ((position.get(key.table) ?? 0) >= (position.get(table.name) ?? 0) && key.table !== table.name) {
        result.problems.push({
          file: resolved.row.file,
          line: resolved.row.line,
          message: `${table.name} and ${key.table} require each other`,
        });
      }
      continue;
    }
    deferred[key.column] = values[key.column];
    delete values[key.column];
  }
  const rowKey = keyOf(table, texts);
  const asSent = isSame(values, resolved.values);
  result.writes.push({ kind: 'insert', table: table.name, values, ...(asSent ? { sent: resolved.n } : {}) });
  if (Object.keys(deferred).length > 0) {
    const inserted = keyOf(table, {
      ...texts,
      ...Object.fromEntries(Object.keys(deferred).map((column) => [column, null])),
    });
    result.deferredUpdates.push({ kind: 'update', table: table.name, rowKey: inserted, values: deferred });
  }
  references.inserted(table, texts);
  const memory = remembered(draft, rowKey, (column) => texts[column] ?? null);
  result.remember.push(memory);
  result.located.set(resolved, { rowKey, inserted: true, texts: undefined, memory });
  result.counts.inserted++;
}

function isSame(a: Record<string, unknown>, b: Record<string, unknown>): boolean {
  const columns = Object.keys(a);
  return columns.length === Object.keys(b).length && columns.every((column) => a[column] === b[column]);
}

/** @param stored the value that a seed has written; undefined: someone else's */
function remembered(
  { resolved, values }: Draft,
  rowKey: string,
  stored: (column: string) => string | null | undefined,
): Remembered {
  const salt = newSalt();
  const columns: Record<string, RememberedColumn> = {};
  for (const column of Object.keys(values)) {
    const value = stored(column);
    columns[column] = {
      print: value === undefined ? null : fingerprint(salt, value),
      ...tokenOf(resolved, column),
    };
  }
  return { table: resolved.table.name, rowKey, docKey: resolved.docKey, salt, columns };
}

function tokenOf({ row }: ResolvedRow, column: string): { token?: string } {
  const raw = row.cells.get(column)?.value;
  return looksLikeToken(raw) ? { token: raw } : {};
}
