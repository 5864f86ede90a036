import { escapeIdentifier } from 'pg';
import type { Session } from '../postgres/session.js';
import { findTables, isReadable } from '../postgres/tables.js';
import { CREDENTIAL_COLUMNS } from './assign.js';
import { idColumn, type Table } from './catalog.js';
import type { SeedRow } from './document.js';
import { isAsWritten, type SeedRecord } from './records.js';
import { NATURAL_KEYS, rowKeySql, type Texts, textsSql } from './row-keys.js';

/** By table, then row key. */
export type CurrentRows = ReadonlyMap<string, ReadonlyMap<string, Texts>>;

/** Of the tables in the documents the columns that are compared, of those they refer to the keys. */
export async function readCurrent(
  session: Session,
  rows: readonly SeedRow[],
  catalog: ReadonlyMap<string, Table>,
): Promise<CurrentRows> {
  const wanted = new Map<string, Set<string>>();
  const want = (table: string, columns: Iterable<string>) => {
    const set = wanted.get(table) ?? new Set();
    for (const column of columns) if (catalog.get(table)?.columns.has(column)) set.add(column);
    wanted.set(table, set);
  };
  for (const row of rows) want(row.table, row.cells.keys());
  for (const name of [...wanted.keys()]) {
    want(name, catalog.get(name)?.primaryKey ?? []);
    want(name, NATURAL_KEYS[name] ?? []);
    want(name, CREDENTIAL_COLUMNS[name] ?? []);
    for (const key of catalog.get(name)?.foreignKeys ?? []) want(key.table, [key.target]);
  }
  const current = new Map<string, Map<string, Texts>>();
  for (const [name, columns] of wanted) {
    const table = catalog.get(name);
    if (!table || columns.size === 0) continue;
    const found = await session.query<{ key: string; texts: Texts }>(
      `SELECT ${rowKeySql(table)} AS key, ${textsSql('t', [...columns])} AS texts FROM public.${escapeIdentifier(name)} t`,
    );
    current.set(name, new Map(found.map(({ key, texts }) => [key, texts])));
  }
  return current;
}

/** Is there anybody who could log in? @returns undefined: there is no such table, or this login may not see it */
export async function hasUsers(session: Session): Promise<boolean | undefined> {
  const found = await findTables(session, ['public.users']);
  if (!isReadable(found.get('public.users'))) return undefined;
  const [users] = await session.query<{ some: boolean }>('SELECT EXISTS (SELECT FROM public.users) AS some');
  return users?.some;
}

/** Answers whether a column of a table has a value, as the server writes it. */
export function valueFinder(current: CurrentRows): (table: string, column: string, value: string) => boolean {
  const columns = new Map<string, Set<string>>();
  return (table, column, value) => {
    const id = `${table}.${column}`;
    const values =
      columns.get(id) ?? new Set([...(current.get(table)?.values() ?? [])].map((row) => row[column] ?? ''));
    columns.set(id, values);
    return values.has(value);
  };
}

/**
 * Values that the database already has for tokens: a token has one value throughout a database's life. An id that a row has decides before
 * other columns; a reference never does, since someone may have led it elsewhere.
 */
export function knownTokens(
  records: readonly SeedRecord[],
  current: CurrentRows,
  catalog: ReadonlyMap<string, Table>,
): Map<string, string> {
  const ids = new Map<string, string>();
  const others = new Map<string, string>();
  for (const record of records) {
    const table = catalog.get(record.table);
    const texts = current.get(record.table)?.get(record.rowKey);
    for (const [column, { token, print }] of Object.entries(record.columns)) {
      if (!token || token.startsWith('${datetime:')) continue;
      if (table && idColumn(table) === column) {
        if (record.rowKey) ids.set(token, record.rowKey);
        continue;
      }
      const text = texts?.[column];
      const isReference = table?.foreignKeys.some((key) => key.column === column);
      if (!text || isReference || (print !== null && !isAsWritten(record, column, text))) continue;
      const isBytes = table?.columns.get(column)?.type === 'bytea';
      others.set(token, isBytes ? Buffer.from(text.slice(2), 'hex').toString('utf8') : text);
    }
  }
  return new Map([...others, ...ids]);
}
