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
