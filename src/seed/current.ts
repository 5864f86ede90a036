import { escapeIdentifier } from 'pg';
import type { Session } from '../postgres/session.js';
import { findTables, isReadable } from '../postgres/tables.js';
import { CREDENTIAL_COLUMNS } from './assign.js';
import type { Table } from './catalog.js';
import type { SeedRow } from './document.js';
import { NATURAL_KEYS } from './natural-keys.js';
import { fingerprint, type SeedRecord } from './records.js';
import { rowKeySql } from './row-keys.js';
import { type Texts, textsSql } from './texts.js';
import { looksLikeToken } from './tokens.js';

/** By table, then row key. */
export type CurrentRows = ReadonlyMap<string, ReadonlyMap<string, Texts>>;

/** Columns that credentials are compared with, whether the documents name them or not. */
const credentialColumns = (table: string) => [
  ...(table === 'settings' ? ['value'] : []),
  ...[...CREDENTIAL_COLUMNS].flatMap((name) => (name.startsWith(`${table}.`) ? [name.slice(table.length + 1)] : [])),
];

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
    want(name, [...(catalog.get(name)?.primaryKey ?? []), ...(NATURAL_KEYS[name] ?? []), ...credentialColumns(name)]);
    for (const key of catalog.get(name)?.foreignKeys ?? []) want(key.table, [key.target]);
  }
  const current = new Map<string, Map<string, Texts>>();
  for (const [name, columns] of wanted) {
    const table = catalog.get(name);
    if (table && columns.size > 0) current.set(name, await readRows(session, table, [...columns]));
  }
  return current;
}

/** Rows of a table as they are: key, and the texts of the columns that are asked for. */
async function readRows(session: Session, table: Table, columns: readonly string[]): Promise<Map<string, Texts>> {
  const rows = await session.query<{ key: string; texts: Texts }>(
    `SELECT ${rowKeySql(table, 't')} AS key, ${textsSql('t', columns)} AS texts FROM public.${escapeIdentifier(table.name)} t`,
  );
  return new Map(rows.map(({ key, texts }) => [key, texts]));
}

/** Is there anybody who could log in? @returns undefined: there is no such table, or this login may not see it */
export async function hasUsers(session: Session): Promise<boolean | undefined> {
  const found = await findTables(session, ['public.users']);
  if (!isReadable(found.get('public.users'))) return undefined;
  const [{ some }] = (await session.query('SELECT EXISTS (SELECT FROM public.users) AS some')) as [{ some: boolean }];
  return some;
}

/** Answers whether a column has a value, or the value that a token has in this database. */
export function valuesIn(
  current: CurrentRows,
  known: ReadonlyMap<string, string>,
): (table: string, column: string, value: string) => boolean {
  const sets = new Map<string, Set<string>>();
  return (table, column, value) => {
    const id = `${table}.${column}`;
    const set = sets.get(id) ?? new Set([...(current.get(table)?.values() ?? [])].map((texts) => texts[column] ?? ''));
    sets.set(id, set);
    const actual = looksLikeToken(value) ? known.get(value) : value;
    return actual !== undefined && (set.has(actual) || set.has(actual.toLowerCase()));
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
  for (const { table: name, rowKey, salt, columns } of records) {
    const table = catalog.get(name);
    for (const [column, { token, print }] of Object.entries(columns)) {
      if (!token || token.startsWith('${datetime:')) continue;
      if (table?.primaryKey.length === 1 && table.primaryKey[0] === column) {
        if (rowKey) ids.set(token, rowKey);
        continue;
      }
      if (table?.foreignKeys.some((key) => key.column === column)) continue;
      const text = current.get(name)?.get(rowKey)?.[column];
      if (!text || (print !== null && fingerprint(salt, text) !== print)) continue;
      others.set(
        token,
        table?.columns.get(column)?.type === 'bytea' ? Buffer.from(text.slice(2), 'hex').toString('utf8') : text,
      );
    }
  }
  return new Map([...others, ...ids]);
}
