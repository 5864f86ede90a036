import type { Session } from '../postgres/session.js';

/** A row on its way to the server. */
interface SentRow {
  /** Its number, by which statements name it. */
  n: number;
  /** The table that it is meant for. */
  target: string;
  /** Of a row that is there. */
  rowKey?: string;
  /** As json_populate_record takes them. */
  values: unknown;
}

/** Where the rows of the documents are sent. */
export const DOCUMENTS = 'kasm_db_documents';

/**
 * Sends rows to a temporary table by COPY, which no log_statement setting shows; base64, so that COPY itself can't fail on a value
 * and print a secret into the server log.
 */
export async function sendRows(session: Session, table: string, rows: readonly SentRow[]): Promise<void> {
  await session.query(
    `CREATE TEMPORARY TABLE ${table} (n integer, target text, row_key text, doc text) ON COMMIT DROP`,
  );
  const encode = (value: string) => Buffer.from(value, 'utf8').toString('base64');
  const lines = rows.map(
    ({ n, target, rowKey, values }) =>
      `${n}\t${encode(target)}\t${rowKey === undefined ? '\\N' : encode(rowKey)}\t${encode(JSON.stringify(values))}\n`,
  );
  await session.copyIn(`COPY pg_temp.${table} FROM STDIN`, batches(lines));
}

/** A write a row would cost more than the row. */
function* batches(lines: readonly string[]): Generator<string> {
  for (let i = 0; i < lines.length; i += 500) yield lines.slice(i, i + 500).join('');
}

/** SQL that reads a column of what was sent. */
export const decoded = (column: string) => `convert_from(decode(${column}, 'base64'), 'UTF8')`;
