import { escapeLiteral } from 'pg';
import { KasmDbError } from '../app/errors.js';
import { isServerError, type ServerError } from '../postgres/server-error.js';
import type { Session } from '../postgres/session.js';

/** Losing the connection or a lock is not the documents' fault. */
const CUT_OFF = /^(08|53|55|57|40)/;
const PERMISSION_DENIED = '42501';

/**
 * Runs statements in a block that catches their errors: what is caught reaches neither the server's log nor its DETAIL, which would show
 * the row. What comes out names only the place. Deferred constraints are checked inside it too: at COMMIT nobody would catch them. OTHERS
 * leaves out two errors that a trigger may raise (PostgreSQL's manual, 43.6.8).
 * @param doing for messages, in the form "writing the rows"
 */
export async function guarded(session: Session, doing: string, statements: string): Promise<void> {
  const body = `DECLARE state text; what text; col text; rel text;
BEGIN
  ${statements}
  SET CONSTRAINTS ALL IMMEDIATE;
EXCEPTION WHEN OTHERS OR ASSERT_FAILURE OR QUERY_CANCELED THEN
  GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, what = CONSTRAINT_NAME, col = COLUMN_NAME, rel = TABLE_NAME;
  RAISE EXCEPTION USING ERRCODE = state, MESSAGE = 'a row was refused', CONSTRAINT = what, COLUMN = col, TABLE = rel;
END`;
  try {
    await session.query(`DO ${escapeLiteral(body)}`);
  } catch (error) {
    throw isServerError(error) ? refusedRow(error, doing) : error;
  }
}

function refusedRow(error: ServerError, doing: string): Error {
  const { table, column, constraint } = error;
  if (CUT_OFF.test(error.code)) {
    error.message = `${doing} was cut off`;
    return error;
  }
  if (error.code === PERMISSION_DENIED) {
    return new KasmDbError('environment', `${doing}: permission denied, SQLSTATE ${error.code}`, {
      sqlstate: error.code,
      hint: 'run as the owner of the tables in schema public, or with --role',
    });
  }
  const where = Object.entries({ table, column, constraint })
    .flatMap(([what, name]) => (name ? [`${what} ${name}`] : []))
    .join(', ');
  const place = where && ` (${where})`;
  return new KasmDbError('seed', `${doing}: the database refused a row${place}, SQLSTATE ${error.code}`, {
    sqlstate: error.code,
    hint: 'compare the seed documents with what this database additionally demands; nothing was written',
  });
}

/** A row on its way to the server. */
interface SentRow {
  /** Of a row that is there. */
  rowKey?: string | undefined;
  /** Some of its values as they were read. */
  before?: unknown;
  /** As json_populate_record takes them. */
  values: unknown;
}

/**
 * Sends rows to a temporary table by COPY, which no log_statement setting shows; base64, so that COPY itself can't fail on a value
 * and print a secret into the server log. They are numbered from 0.
 */
export async function sendRows(session: Session, table: string, rows: readonly SentRow[]): Promise<void> {
  await session.query(
    `CREATE TEMPORARY TABLE ${table} (n integer PRIMARY KEY, row_key text, before text, doc text) ON COMMIT DROP`,
  );
  const encode = (text: string | undefined) =>
    text === undefined ? '\\N' : Buffer.from(text, 'utf8').toString('base64');
  const lines = rows.map(({ rowKey, before, values }, n) =>
    [n, encode(rowKey), encode(JSON.stringify(before)), `${encode(JSON.stringify(values))}\n`].join('\t'),
  );
  await session.copyIn(`COPY pg_temp.${table} FROM STDIN`, batches(lines));
}

/** A write a row would cost more than the row. */
function* batches(lines: readonly string[]): Generator<string> {
  for (let i = 0; i < lines.length; i += 500) yield lines.slice(i, i + 500).join('');
}

/** SQL that reads a column of what was sent. */
export const decoded = (column: string) => `convert_from(decode(${column}, 'base64'), 'UTF8')`;
