import { hash } from 'node:crypto';
import { escapeIdentifier, escapeLiteral } from 'pg';
import { dictionary } from '../app/dictionary.js';
import { idColumn, type Table } from './catalog.js';
import { type SeedRow, valueIn } from './document.js';

/**
 * By what a row is recognised that was made by someone else, or whose id the documents don't say. Only where two rows with the same
 * values would be a fault of the configuration; other tables are recognised by their primary key alone. A table with no column here has one
 * row, whatever it says.
 */
export const NATURAL_KEYS = dictionary<readonly string[]>({
  api_configs: ['api_key'],
  group_images: ['group_id', 'image_id'],
  group_permissions: ['group_id', 'api_id', 'permission_id'],
  group_settings: ['group_id', 'name'],
  groups: ['name'],
  installation: [],
  registries: ['registry_url'],
  server_pools: ['server_pool_name'],
  settings: ['category', 'name'],
  user_groups: ['user_id', 'group_id'],
  users: ['username', 'realm'],
  zones: ['zone_name'],
});

/** Values of a row as the server writes them, by column. */
export type Texts = Record<string, string | null>;

/** How the documents name a row, which doesn't change while its tokens do. */
export function docKeyOf(row: SeedRow, table: Table): string {
  for (const columns of [NATURAL_KEYS[table.name] ?? [], table.primaryKey]) {
    const values = columns.map((column) => valueIn(row, column));
    if (values.some((value) => value !== null)) return JSON.stringify(values);
  }
  // Neither a key nor an id: a row is what it says.
  const texts = [...row.cells].map(([column, { value }]) => [column, value === null ? null : JSON.stringify(value)]);
  return rowKeyOf({ ...table, primaryKey: [] }, Object.fromEntries(texts));
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
export function rowKeyOf(table: Table, texts: Texts): string {
  const id = idColumn(table);
  if (id !== undefined) return texts[id] ?? '';
  const key = JSON.stringify(keyColumns(table).map((column) => texts[column] ?? null));
  return table.primaryKey.length > 0 ? key : hash('sha256', key);
}

/** The same as SQL, of a row `t`. */
export function rowKeySql(table: Table): string {
  const id = idColumn(table);
  if (id !== undefined) return `t.${escapeIdentifier(id)}::text`;
  const texts = keyColumns(table).map((column) => `t.${escapeIdentifier(column)}::text`);
  const key = `to_json(ARRAY[${texts.join(', ')}])::text`;
  return table.primaryKey.length > 0 ? key : `encode(sha256(convert_to(${key}, 'UTF8')), 'hex')`;
}

const keyColumns = ({ primaryKey, columns }: Table) => (primaryKey.length > 0 ? primaryKey : [...columns.keys()]);

/** A function call takes at most 100 arguments. */
const PAIRS_A_CALL = 40;

/** SQL that makes Texts, as jsonb. @param alias of the row */
export function textsSql(alias: string, columns: readonly string[]): string {
  const pairs = columns.map((column) => `${escapeLiteral(column)}, ${alias}.${escapeIdentifier(column)}::text`);
  const parts: string[] = [];
  for (let i = 0; i < pairs.length; i += PAIRS_A_CALL)
    parts.push(`jsonb_build_object(${pairs.slice(i, i + PAIRS_A_CALL).join(', ')})`);
  return parts.join(' || ');
}
