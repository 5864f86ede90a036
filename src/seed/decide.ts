import { insertOrder, isRequired, type Table } from './catalog.js';
import type { Cell, Problem, SeedRow } from './documents.js';
import { NATURAL_KEYS } from './natural-keys.js';
import { fingerprint, newSalt, type Remembered, type RememberedColumn, type Write } from './store.js';
import { looksLikeToken } from './tokens.js';

export type Texts = Record<string, string | null>;

/** A row of the documents with its tokens resolved, and what the database knows of it. */
export interface ResolvedRow {
  row: SeedRow;
  table: Table;
  docKey: string;
  /** As json_populate_record takes them; null values are left to the column's default. */
  values: Record<string, unknown>;
  /** Columns that a credential fills. */
  credentialColumns: Set<string>;
}

export interface Decided {
  writes: Write[];
  /** References that could only be made after all rows were there. */
  late: Write[];
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
  const natural = NATURAL_KEYS[table.name];
  const value = (column: string) => row.cells.get(column)?.value ?? null;
  if (natural?.some((column) => value(column) !== null)) return JSON.stringify(natural.map(value));
  const columns = table.primaryKey.length > 0 ? table.primaryKey : [...table.columns.keys()];
  return JSON.stringify(columns.map(value));
}

/**
 * What to write: pure. A remembered row is updated only where the value is still the one that a seed wrote; one that is not there any more
 * was deleted by someone and stays so. A row that nobody remembers is matched by its natural key, else inserted.
 * @param texts how the server writes each row's values, by the row
 */
export function decide(
  rows: readonly ResolvedRow[],
  texts: ReadonlyMap<ResolvedRow, Texts>,
  database: DatabaseRows,
): Decided {
  const result: Decided = {
    writes: [],
    late: [],
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
  const position = new Map(order.map((table, i) => [table.name, i]));
  const references = new References(rows, database);
  const memory = new Memory(database.remembered);

  for (const table of order) {
    const natural = naturalIndex(table, database.current.get(table.name));
    for (const resolved of byTable.get(table) ?? []) {
      const own = texts.get(resolved) as Texts;
      const { gone, dangling } = references.follow(resolved, own);
      result.problems.push(...dangling);
      const known = memory.find(resolved);
      const found = known?.rowKey ?? locate(resolved, own, database.current.get(table.name), natural);
      if (found !== undefined) {
        references.rename(table, own, found);
        compare(resolved, own, found, known, database.current.get(table.name)?.get(found), result);
      } else if (gone || database.adopting) {
        references.remove(table, own);
        result.counts.kept++;
        result.remember.push(remembered(resolved, NOT_THERE, () => undefined));
      } else insert(resolved, own, position, references, result);
    }
  }
  return result;
}

/** What document rows refer to, while rows are renamed to the keys that the database has for them. */
class References {
  private readonly offered = new Map<string, Set<string>>();
  private readonly renamed = new Map<string, string>();
  private readonly removed = new Set<string>();
  private readonly insertedIds = new Set<string>();
  private readonly present = new Map<string, Set<string>>();

  constructor(
    rows: readonly ResolvedRow[],
    private readonly database: DatabaseRows,
  ) {
    for (const { table, values } of rows) {
      for (const [column, value] of Object.entries(values)) {
        if (value !== null && table.primaryKey.includes(column))
          this.offer(table.name, column).add(String(value).toLowerCase());
      }
    }
  }

  private offer(table: string, column: string): Set<string> {
    const key = `${table}.${column}`;
    const set = this.offered.get(key) ?? new Set<string>();
    this.offered.set(key, set);
    return set;
  }

  /** Puts the keys that rows really have in place of those the documents made; says what leads nowhere. */
  follow(resolved: ResolvedRow, own: Texts): { gone: boolean; dangling: Problem[] } {
    const dangling: Problem[] = [];
    let gone = false;
    for (const key of resolved.table.foreignKeys) {
      const value = own[key.column];
      if (value === null || value === undefined) continue;
      const id = `${key.table}\0${value}`;
      if (this.removed.has(id)) {
        if (isRequired(resolved.table, key) || (NATURAL_KEYS[resolved.table.name] ?? []).includes(key.column))
          gone = true;
        else this.set(resolved, own, key.column, null);
        continue;
      }
      const actual = this.renamed.get(id);
      if (actual !== undefined) this.set(resolved, own, key.column, actual);
      else if (
        !this.offered.get(`${key.table}.${key.target}`)?.has(value) &&
        !this.inDatabase(key.table, key.target, value)
      ) {
        const cell = resolved.row.cells.get(key.column) as Cell;
        dangling.push({
          file: resolved.row.file,
          line: cell.line,
          message: `${resolved.table.name}.${key.column} refers to ${JSON.stringify(cell.value)}, and neither a document nor the database has that row of ${key.table}`,
        });
      }
    }
    return { gone, dangling };
  }

  private set(resolved: ResolvedRow, own: Texts, column: string, value: string | null): void {
    own[column] = value;
    if (value === null) delete resolved.values[column];
    else resolved.values[column] = value;
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

  rename(table: Table, own: Texts, rowKey: string): void {
    const column = table.primaryKey.length === 1 ? (table.primaryKey[0] as string) : undefined;
    const made = column === undefined ? undefined : own[column];
    if (!made) return;
    if (!this.database.current.get(table.name)?.has(rowKey)) this.removed.add(`${table.name}\0${made}`);
    else if (made !== rowKey) this.renamed.set(`${table.name}\0${made}`, rowKey);
  }

  remove(table: Table, own: Texts): void {
    const made = table.primaryKey.length === 1 ? own[table.primaryKey[0] as string] : undefined;
    if (made) this.removed.add(`${table.name}\0${made}`);
  }

  inserted(table: Table, own: Texts): void {
    const made = table.primaryKey.length === 1 ? own[table.primaryKey[0] as string] : undefined;
    if (made) this.insertedIds.add(`${table.name}\0${made}`);
  }

  /** Is the row that is referred to there already when this one is inserted? */
  isThere(table: string, column: string, value: string): boolean {
    return this.insertedIds.has(`${table}\0${value}`) || this.inDatabase(table, column, value);
  }
}

class Memory {
  private readonly byDocKey = new Map<string, Remembered>();
  private readonly byToken = new Map<string, Remembered>();

  constructor(remembered: readonly Remembered[]) {
    for (const entry of remembered) {
      this.byDocKey.set(`${entry.table}\0${entry.docKey}`, entry);
      for (const [column, { token }] of Object.entries(entry.columns)) {
        if (token) this.byToken.set(`${entry.table}\0${column}\0${token}`, entry);
      }
    }
  }

  find({ table, docKey, row }: ResolvedRow): Remembered | undefined {
    const key = table.primaryKey.length === 1 ? (table.primaryKey[0] as string) : undefined;
    const token = key === undefined ? undefined : row.cells.get(key)?.value;
    return (
      this.byDocKey.get(`${table.name}\0${docKey}`) ??
      (looksLikeToken(token) ? this.byToken.get(`${table.name}\0${key}\0${token}`) : undefined)
    );
  }
}

function naturalIndex(table: Table, rows: ReadonlyMap<string, Texts> | undefined): Map<string, string> {
  const columns = NATURAL_KEYS[table.name];
  const index = new Map<string, string>();
  if (!columns || !rows) return index;
  for (const [rowKey, texts] of rows) index.set(JSON.stringify(columns.map((column) => texts[column] ?? null)), rowKey);
  return index;
}

function locate(
  { table }: ResolvedRow,
  own: Texts,
  rows: ReadonlyMap<string, Texts> | undefined,
  natural: Map<string, string>,
): string | undefined {
  const rowKey = rowKeyOf(table, own);
  if (rowKey && rows?.has(rowKey)) return rowKey;
  const columns = NATURAL_KEYS[table.name];
  return columns ? natural.get(JSON.stringify(columns.map((column) => own[column] ?? null))) : undefined;
}

/** The key under which a row will be found, as store.ts's rowKeySql writes it; '' when the server makes it. */
function rowKeyOf(table: Table, own: Texts): string {
  if (table.primaryKey.length === 1) return own[table.primaryKey[0] as string] ?? '';
  const columns = table.primaryKey.length > 0 ? table.primaryKey : [...table.columns.keys()];
  return JSON.stringify(columns.map((column) => own[column] ?? null));
}

/** Row key of a remembered row that was not in the database when it was remembered. */
const NOT_THERE = '';

function compare(
  resolved: ResolvedRow,
  own: Texts,
  rowKey: string,
  known: Remembered | undefined,
  now: Texts | undefined,
  result: Decided,
): void {
  if (now === undefined) {
    result.counts.kept++;
    return;
  }
  result.located.set(resolved, { rowKey, inserted: false, texts: now, memory: known });
  const changes: Record<string, unknown> = {};
  let kept = false;
  for (const [column, value] of Object.entries(resolved.values)) {
    if (!isCompared(resolved, column) || own[column] === now[column]) continue;
    const print = known?.columns[column]?.print;
    if (known && print && fingerprint(known.salt, now[column] ?? null) === print) changes[column] = value;
    else kept = true;
  }
  if (Object.keys(changes).length > 0) {
    result.writes.push({ kind: 'update', table: resolved.table.name, rowKey, values: changes });
    const entry = known as Remembered;
    const columns = { ...entry.columns };
    for (const column of Object.keys(changes))
      columns[column] = { print: fingerprint(entry.salt, own[column] ?? null) };
    result.remember.push({ ...entry, columns });
    result.counts.updated++;
  } else if (kept) result.counts.kept++;
  else result.counts.unchanged++;
  // A row that was there first: only what is as the documents have it counts as written by a seed.
  if (!known)
    result.remember.push(
      remembered(resolved, rowKey, (column) => (now[column] === own[column] ? (now[column] ?? null) : undefined)),
    );
}

/** Generated material, keys and credentials are written once; the documents don't say what they are. */
function isCompared({ row, table, credentialColumns }: ResolvedRow, column: string): boolean {
  return (
    !credentialColumns.has(column) &&
    !table.primaryKey.includes(column) &&
    !looksLikeToken(row.cells.get(column)?.value)
  );
}

function insert(
  resolved: ResolvedRow,
  own: Texts,
  position: ReadonlyMap<string, number>,
  references: References,
  result: Decided,
): void {
  const { table } = resolved;
  const values = { ...resolved.values };
  const late: Record<string, unknown> = {};
  for (const key of table.foreignKeys) {
    const value = own[key.column];
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
    late[key.column] = values[key.column];
    delete values[key.column];
  }
  const rowKey = rowKeyOf(table, own);
  result.writes.push({ kind: 'insert', table: table.name, values });
  if (Object.keys(late).length > 0) result.late.push({ kind: 'update', table: table.name, rowKey, values: late });
  references.inserted(table, own);
  result.remember.push(remembered(resolved, rowKey, (column) => own[column] ?? null));
  result.located.set(resolved, { rowKey, inserted: true, texts: undefined, memory: undefined });
  result.counts.inserted++;
}

/** @param stored the value that a seed has written; undefined: someone else's */
function remembered(
  { row, table, docKey, values }: ResolvedRow,
  rowKey: string,
  stored: (column: string) => string | null | undefined,
): Remembered {
  const salt = newSalt();
  const columns: Record<string, RememberedColumn> = {};
  for (const column of Object.keys(values)) {
    const value = stored(column);
    const raw = row.cells.get(column)?.value;
    columns[column] = {
      print: value === undefined ? null : fingerprint(salt, value),
      ...(looksLikeToken(raw) ? { token: raw } : {}),
    };
  }
  return { table: table.name, rowKey, docKey, salt, columns };
}
