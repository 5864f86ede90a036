import { createHash, hash, randomUUID } from 'node:crypto';
import { escapeIdentifier, escapeLiteral } from 'pg';
import { KasmDbError } from '../app/errors.js';
import { isServerError } from '../postgres/server-error.js';
import type { Session } from '../postgres/session.js';
import type { Table } from './catalog.js';

/** What a seed remembers of a row: whose it is, and how each value was when it was written. */
export interface Remembered {
  table: string;
  /** Its primary key as text; of a table without one, all its values. */
  rowKey: string;
  /** How the documents name it. */
  docKey: string;
  /** Hex, of this row alone. */
  salt: string;
  columns: Record<string, RememberedColumn>;
}

export interface RememberedColumn {
  /** Salted SHA-256 of the stored value's text; null: not written by a seed. */
  print: string | null;
  /** The token that made it. */
  token?: string;
}

/** What earlier seeds have written, from kasm_db.seeds. */
export async function readRemembered(session: Session): Promise<Remembered[]> {
  return session.query(
    'SELECT table_name AS "table", row_key AS "rowKey", doc_key AS "docKey", salt, columns FROM kasm_db.seeds',
  );
}

/** Salted, so that equal values in two rows don't show, and none can be looked up in a table of hashes. */
export function fingerprint(salt: string, value: string | null): string {
  return hash('sha256', value === null ? `${salt}n` : `${salt}v${value}`);
}

/** 122 random bits as hex; node:crypto makes UUIDs from a pool, ten times as fast as single random bytes. */
export const newSalt = () => randomUUID().replaceAll('-', '');

/** A row to be written; the values are JSON as json_populate_record takes it. */
export interface Write {
  kind: 'insert' | 'update';
  table: string;
  /** Of the row to update. */
  rowKey?: string;
  values: Record<string, unknown>;
  /** Number of the documents' row that says exactly this, and was sent already. */
  sent?: number;
}

/** Where the rows of the documents are sent. */
export const DOCUMENTS = 'kasm_db_documents';

/**
 * Sends rows to temporary tables by COPY, which no log_statement setting shows; base64, so that COPY itself can't fail on a value
 * and print a secret into the server log.
 */
export async function sendRows(
  session: Session,
  table: string,
  rows: { n: number; target: string; rowKey?: string; values: unknown }[],
): Promise<void> {
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

const decoded = (column: string) => `convert_from(decode(${column}, 'base64'), 'UTF8')`;

/**
 * Runs statements in a block that catches their errors: what is caught reaches neither the server's log nor its DETAIL, which would show
 * the row. What comes out names only the place. Deferred constraints are checked inside it too: at COMMIT nobody would catch them. OTHERS
 * leaves out two errors that a trigger may raise (PostgreSQL's manual, 43.6.8).
 */
async function guarded(session: Session, doing: string, statements: string): Promise<void> {
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
    if (!isServerError(error)) throw error;
    const { table, column, constraint } = error as unknown as { table?: string; column?: string; constraint?: string };
    const where = [
      table && `table ${table}`,
      column && `column ${column}`,
      constraint && `constraint ${constraint}`,
    ].filter(Boolean);
    // Losing the connection or a lock is not the documents' fault.
    if (/^(08|53|55|57|40)/.test(error.code)) {
      error.message = `${doing} was cut off`;
      throw error;
    }
    if (error.code === '42501') {
      throw new KasmDbError('environment', `${doing}: permission denied, SQLSTATE ${error.code}`, {
        sqlstate: error.code,
        hint: 'run as the owner of the tables in schema public, or with --role',
      });
    }
    throw new KasmDbError(
      'seed',
      `${doing}: the database refused a row${where.length > 0 ? ` (${where.join(', ')})` : ''}, SQLSTATE ${error.code}`,
      {
        sqlstate: error.code,
        hint: 'compare the seed documents with what this database additionally demands; nothing was written',
      },
    );
  }
}

/**
 * How the server writes each value of the rows in `source` as text, so that it can be compared with what is stored.
 * @returns by n: column → text
 */
export async function canonical(
  session: Session,
  source: string,
  tables: readonly { table: Table; columns: string[] }[],
): Promise<Map<number, Record<string, string | null>>> {
  await session.query('CREATE TEMPORARY TABLE kasm_db_text (n integer, texts jsonb) ON COMMIT DROP');
  const statements = tables.map(({ table, columns }) => {
    const pairs = columns.map((column) => `${escapeLiteral(column)}, r.${escapeIdentifier(column)}::text`);
    return `INSERT INTO pg_temp.kasm_db_text SELECT i.n, ${jsonObject(pairs)}
  FROM pg_temp.${source} i, json_populate_record(NULL::public.${escapeIdentifier(table.name)}, ${decoded('i.doc')}::json) r
  WHERE ${decoded('i.target')} = ${escapeLiteral(table.name)};`;
  });
  await guarded(session, 'reading the documents', statements.join('\n  '));
  const rows = await session.query('SELECT n, texts FROM pg_temp.kasm_db_text');
  return new Map(rows.map(({ n, texts }) => [n, texts]));
}

/** A function call takes at most 100 arguments. */
function jsonObject(pairs: string[]): string {
  const parts: string[] = [];
  for (let i = 0; i < pairs.length; i += 40) parts.push(`jsonb_build_object(${pairs.slice(i, i + 40).join(', ')})`);
  return parts.join(' || ');
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

/** The same as SQL. */
export function rowKeySql(table: Table, alias: string): string {
  if (table.primaryKey.length === 1) return `${alias}.${escapeIdentifier(table.primaryKey[0] as string)}::text`;
  const columns = table.primaryKey.length > 0 ? table.primaryKey : [...table.columns.keys()];
  const list = `to_json(ARRAY[${columns.map((column) => `${alias}.${escapeIdentifier(column)}::text`).join(', ')}])::text`;
  return table.primaryKey.length > 0 ? list : `encode(sha256(convert_to(${list}, 'UTF8')), 'hex')`;
}

/** Rows of a table as they are: key, and the texts of the columns that are asked for. */
export async function currentRows(
  session: Session,
  table: Table,
  columns: readonly string[],
): Promise<Map<string, Record<string, string | null>>> {
  const pairs = columns.map((column) => `${escapeLiteral(column)}, t.${escapeIdentifier(column)}::text`);
  const rows = await session.query(
    `SELECT ${rowKeySql(table, 't')} AS key, ${jsonObject(pairs)} AS texts FROM public.${escapeIdentifier(table.name)} t`,
  );
  return new Map(rows.map(({ key, texts }) => [key, texts]));
}

/** Writes rows, in their order; statements name columns, values only ever travel by COPY. */
export async function writeRows(
  session: Session,
  writes: readonly Write[],
  catalog: ReadonlyMap<string, Table>,
): Promise<void> {
  if (writes.length === 0) return;
  const unsent = writes.filter(({ sent }) => sent === undefined);
  const numbers = new Map(unsent.map((write, n) => [write, n]));
  if (unsent.length > 0) {
    await sendRows(
      session,
      CHANGES,
      unsent.map(({ table, rowKey, values }, n) => ({
        n,
        target: table,
        ...(rowKey === undefined ? {} : { rowKey }),
        values,
      })),
    );
  }
  // An export's rows differ in the columns they give, so that there may be a statement for each.
  for (const source of [...(unsent.length > 0 ? [CHANGES] : []), ...(unsent.length < writes.length ? [DOCUMENTS] : [])])
    await session.query(`CREATE INDEX ON pg_temp.${source} (n)`);
  const statements: string[] = [];
  for (let from = 0; from < writes.length; ) {
    const first = writes[from] as Write;
    const columns = Object.keys(first.values);
    const source = sourceOf(first);
    const rows: number[] = [];
    let to = from;
    for (; to < writes.length; to++) {
      const write = writes[to] as Write;
      const same = write.kind === first.kind && write.table === first.table && sourceOf(write) === source;
      if (!same || Object.keys(write.values).join() !== columns.join()) break;
      rows.push(write.sent ?? (numbers.get(write) as number));
    }
    statements.push(statement(first, columns, source, rows, catalog));
    from = to;
  }
  await guarded(session, 'writing the rows', statements.join('\n  '));
}

const CHANGES = 'kasm_db_write';
const sourceOf = ({ sent }: Write) => (sent === undefined ? CHANGES : DOCUMENTS);

function statement(
  { kind, table }: Write,
  columns: string[],
  from: string,
  rows: readonly number[],
  catalog: ReadonlyMap<string, Table>,
): string {
  const name = `public.${escapeIdentifier(table)}`;
  const source = `pg_temp.${from} i, json_populate_record(NULL::${name}, ${decoded('i.doc')}::json) r WHERE ${among(rows)}`;
  const list = columns.map((column) => escapeIdentifier(column));
  if (kind === 'insert') {
    return `INSERT INTO ${name} (${list.join(', ')}) SELECT ${list.map((column) => `r.${column}`).join(', ')} FROM ${source} ORDER BY i.n;`;
  }
  return `UPDATE ${name} t SET ${list.map((column) => `${column} = r.${column}`).join(', ')} FROM ${source} AND ${rowKeySql(catalog.get(table) as Table, 't')} = ${decoded('i.row_key')};`;
}

/** Rows come in ascending order, nearly always without gaps. */
function among(rows: readonly number[]): string {
  const [first = 0, last = 0] = [rows[0], rows.at(-1)];
  return last - first === rows.length - 1
    ? `i.n BETWEEN ${first} AND ${last}`
    : `i.n = ANY ('{${rows.join(',')}}'::int[])`;
}

/** Remembers rows as they now are. */
export async function remember(session: Session, rows: readonly Remembered[], appVersion: string): Promise<void> {
  if (rows.length === 0) return;
  await sendRows(
    session,
    'kasm_db_remember',
    rows.map((row, n) => ({ n, target: row.table, values: row })),
  );
  await guarded(
    session,
    'remembering the rows',
    `INSERT INTO kasm_db.seeds (table_name, row_key, doc_key, salt, columns, app_version)
  SELECT d."table", d."rowKey", d."docKey", d.salt, d.columns, ${escapeLiteral(appVersion)}
  FROM pg_temp.kasm_db_remember i,
    json_to_record(${decoded('i.doc')}::json) AS d("table" text, "rowKey" text, "docKey" text, salt text, columns jsonb)
  ON CONFLICT (table_name, doc_key) DO UPDATE SET row_key = excluded.row_key, salt = excluded.salt, columns = excluded.columns,
    app_version = excluded.app_version, seeded_at = now();`,
  );
}

/** Takes rows out of the record, such as those that are remembered under another name from now on. */
export async function forget(session: Session, rows: readonly Remembered[]): Promise<void> {
  if (rows.length === 0) return;
  await session.query(
    `DELETE FROM kasm_db.seeds s USING unnest($1::text[], $2::text[]) AS d(name, key) WHERE s.table_name = d.name AND s.doc_key = d.key`,
    [rows.map(({ table }) => table), rows.map(({ docKey }) => docKey)],
  );
}
