import { escapeIdentifier, escapeLiteral } from 'pg';
import type { Session } from '../postgres/session.js';
import { findTables, isReadable } from '../postgres/tables.js';
import { type Column, lookUpTables, type Table } from './catalog.js';
import { BLOCK, looksEncrypted, mayBeEncrypted } from './encrypted.js';
import { isAsWritten, type SeedRecord } from './records.js';
import { rowKeySql } from './row-keys.js';

/** A column in which values look encrypted that no seed of kasm-db has written. */
export interface EncryptedColumn {
  /** `settings.value` */
  name: string;
  /** It also has values that kasm-db has written, or found to be what the documents say: plain text. */
  plain: boolean;
}

/** Of each table, so that neither many rows nor large ones take memory: one value is enough to know a column by. */
const MOST_ROWS = 500;
const MOST_BYTES = 16_384;

/**
 * Columns of schema public that hold values which look encrypted, as far as this login may read them. Within a transaction of our own; tells no value.
 * @param records what seeds have written: that is known to be plain, whatever it looks like
 */
export async function findEncrypted(session: Session, records: readonly SeedRecord[]): Promise<EncryptedColumn[]> {
  const asked = await readableSecrets(session);
  if (asked.length === 0) return [];
  const rows = await session.query<{ name: string; key: string; texts: Record<string, string | null> }>(
    asked.map(({ table, columns }) => candidatesSql(table, columns)).join('\nUNION ALL '),
  );
  const byRowKey = new Map(records.map((record) => [`${record.table}\0${record.rowKey}`, record]));
  const columns = asked.flatMap(({ table, columns }) =>
    columns.flatMap(({ name: column, type }) => {
      const found = rows.some(({ name, key, texts }) => {
        const text = name === table.name ? texts[column] : null;
        return (
          text != null && looksEncrypted(text, type) && !isAsWritten(byRowKey.get(`${name}\0${key}`), column, text)
        );
      });
      const plain = records.some((record) => record.table === table.name && record.columns[column]?.print != null);
      return found ? [{ name: `${table.name}.${column}`, plain }] : [];
    }),
  );
  return columns.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Has somebody else written into a column that Kasm may encrypt? Pure. */
export function hasOthersValues(records: readonly SeedRecord[], catalog: ReadonlyMap<string, Table>): boolean {
  return records.some(({ table, columns }) =>
    Object.entries(columns).some(([name, { print }]) => {
      const column = catalog.get(table)?.columns.get(name);
      return print === null && column !== undefined && mayBeEncrypted(table, column);
    }),
  );
}

/** Tables with columns that may be encrypted. */
async function readableSecrets(session: Session): Promise<{ table: Table; columns: Column[] }[]> {
  const names = await session.query<{ name: string }>(
    "SELECT relname AS name FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'public') AND relkind = 'r' ORDER BY 1",
  );
  const catalog = await lookUpTables(
    session,
    names.map(({ name }) => name),
  );
  const asked = [...catalog.values()].flatMap((table) => {
    const columns = [...table.columns.values()].filter((column) => mayBeEncrypted(table.name, column));
    return columns.length > 0 ? [{ table, columns }] : [];
  });
  const found = await findTables(
    session,
    asked.map(({ table }) => `public.${table.name}`),
  );
  return asked.filter(({ table }) => isReadable(found.get(`public.${table.name}`)));
}

/** Values whose length may be that of whole blocks, in base64 or not. */
function candidatesSql(table: Table, columns: readonly Column[]): string {
  const fits = columns.map(({ name }) => {
    const column = `t.${escapeIdentifier(name)}`;
    return `octet_length(${column}) % 4 = 0 AND octet_length(${column}) BETWEEN ${BLOCK} AND ${MOST_BYTES}`;
  });
  const pairs = columns.map(
    ({ name }, i) => `${escapeLiteral(name)}, CASE WHEN ${fits[i]} THEN t.${escapeIdentifier(name)}::text END`,
  );
  return `(SELECT ${escapeLiteral(table.name)} AS name, ${rowKeySql(table, 't')} AS key, jsonb_build_object(${pairs.join(', ')}) AS texts
FROM public.${escapeIdentifier(table.name)} t WHERE ${fits.map((fit) => `(${fit})`).join(' OR ')} LIMIT ${MOST_ROWS})`;
}
