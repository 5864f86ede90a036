import type { Session } from '../postgres/session.js';

/** A row on its way to the server. */
interface SentRow {
  /** Of a row that is there. */
  rowKey?: string | undefined;
  /** As json_populate_record takes them. */
  values: unknown;
}

/**
 * Sends rows to a temporary table by COPY, which no log_statement setting shows; base64, so that COPY itself can't fail on a value
 * and print a secret into the server log. They are numbered from 0.
 */
export async function sendRows(session: Session, table: string, rows: readonly SentRow[]): Promise<void> {
  await session.query(`CREATE TEMPORARY TABLE ${table} (n integer PRIMARY KEY, row_key text, doc text) ON COMMIT DROP`);
  const encode = (value: string) => Buffer.from(value, 'utf8').toString('base64');
  const lines = rows.map(
    ({ rowKey, values }, n) =>
      `${n}\t${rowKey === undefined ? '\\N' : encode(rowKey)}\t${encode(JSON.stringify(values))}\n`,
  );
  await session.copyIn(`COPY pg_temp.${table} FROM STDIN`, batches(lines));
}

/** A write a row would cost more than the row. */
function* batches(lines: readonly string[]): Generator<string> {
  for (let i = 0; i < lines.length; i += 500) yield lines.slice(i, i + 500).join('');
}

/** SQL that reads a column of what was sent. */
export const decoded = (column: string) => `convert_from(decode(${column}, 'base64'), 'UTF8')`;
