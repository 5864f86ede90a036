import { createHash } from 'node:crypto';
import { escapeIdentifier } from 'pg';
import type { Table } from './catalog.js';
import { type SeedRow, valueIn } from './document.js';
import { NATURAL_KEYS } from './natural-keys.js';
import type { Texts } from './texts.js';

/** How the documents name a row, which doesn't change while its tokens do. */
export function docKeyOf(row: SeedRow, table: Table): string {
  for (const columns of [NATURAL_KEYS[table.name] ?? [], table.primaryKey]) {
    const values = columns.map((column) => valueIn(row, column));
    if (values.some((value) => value !== null)) return JSON.stringify(values);
  }
  // Neither a key nor an id: a row is what it says.
  return rowKeyOf({ ...table, primaryKey: [] }, (column) => {
    const value = valueIn(row, column);
    return value === null ? null : JSON.stringify(value);
  });
}

/** By what a row of the database is known that somebody else has made. @returns undefined: by its primary key alone */
export function naturalKeyOf(table: Table, texts: Texts): string | undefined {
  const columns = NATURAL_KEYS[table.name];
  if (!columns || (columns.length > 0 && columns.every((column) => (texts[column] ?? null) === null))) return undefined;
  return JSON.stringify(columns.map((column) => texts[column] ?? null));
}

/**
 * A row's key: its id as text, or all columns of its primary key; of a table without one, a hash over all its values.
 * @returns '' when the server is to make the id
 */
export function rowKeyOf(table: Table, value: (column: string) => string | null): string {
  if (table.primaryKey.length === 1) return value(table.primaryKey[0] as string) ?? '';
  if (table.primaryKey.length > 1) return JSON.stringify(table.primaryKey.map(value));
  return createHash('sha256')
    .update(JSON.stringify([...table.columns.keys()].map(value)))
    .digest('hex');
}

/** The same, of a row's texts. */
export function rowKeyOfTexts(table: Table, texts: Texts): string {
  return rowKeyOf(table, (column) => texts[column] ?? null);
}

/** The same as SQL. */
export function rowKeySql(table: Table, alias: string): string {
  if (table.primaryKey.length === 1) return `${alias}.${escapeIdentifier(table.primaryKey[0] as string)}::text`;
  const columns = table.primaryKey.length > 0 ? table.primaryKey : [...table.columns.keys()];
  const list = `to_json(ARRAY[${columns.map((column) => `${alias}.${escapeIdentifier(column)}::text`).join(', ')}])::text`;
  return table.primaryKey.length > 0 ? list : `encode(sha256(convert_to(${list}, 'UTF8')), 'hex')`;
}
