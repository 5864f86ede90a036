import { escapeIdentifier } from 'pg';
import type { Session } from '../postgres/session.js';
import type { Table } from './catalog.js';
import { guarded } from './guarded.js';
import { rowKeySql } from './row-keys.js';
import { DOCUMENTS, decoded, sendRows } from './send-rows.js';

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

/** Where the rows are sent that the documents do not say exactly. */
const CHANGES = 'kasm_db_write';

/** Writes that one statement does: of one kind, into the same columns of one table. */
interface Batch {
  kind: Write['kind'];
  table: string;
  columns: string[];
  source: string;
  /** Their numbers there, ascending. */
  numbers: number[];
}

/** Writes rows, in their order; statements name columns, values only ever travel by COPY. */
export async function writeRows(
  session: Session,
  writes: readonly Write[],
  catalog: ReadonlyMap<string, Table>,
): Promise<void> {
  if (writes.length === 0) return;
  const changes = writes.filter(({ sent }) => sent === undefined);
  if (changes.length > 0) {
    await sendRows(
      session,
      CHANGES,
      changes.map(({ table, rowKey, values }, n) => ({
        n,
        target: table,
        ...(rowKey === undefined ? {} : { rowKey }),
        values,
      })),
    );
  }
  const batches = batchesOf(writes);
  // An export's rows differ in the columns they give, so that there may be a statement for each.
  for (const source of new Set(batches.map((batch) => batch.source)))
    await session.query(`CREATE INDEX ON pg_temp.${source} (n)`);
  await guarded(session, 'writing the rows', batches.map((batch) => statement(batch, catalog)).join('\n  '));
}

function batchesOf(writes: readonly Write[]): Batch[] {
  const batches: Batch[] = [];
  let changes = 0;
  for (const { kind, table, values, sent } of writes) {
    const source = sent === undefined ? CHANGES : DOCUMENTS;
    const columns = Object.keys(values);
    const number = sent ?? changes++;
    const last = batches.at(-1);
    if (last && last.kind === kind && last.table === table && last.source === source && isSame(last.columns, columns))
      last.numbers.push(number);
    else batches.push({ kind, table, columns, source, numbers: [number] });
  }
  return batches;
}

const isSame = (a: readonly string[], b: readonly string[]) => a.join() === b.join();

function statement({ kind, table, columns, source, numbers }: Batch, catalog: ReadonlyMap<string, Table>): string {
  const name = `public.${escapeIdentifier(table)}`;
  const rows = `pg_temp.${source} i, json_populate_record(NULL::${name}, ${decoded('i.doc')}::json) r WHERE ${among(numbers)}`;
  const list = columns.map((column) => escapeIdentifier(column));
  if (kind === 'insert') {
    return `INSERT INTO ${name} (${list.join(', ')}) SELECT ${list.map((column) => `r.${column}`).join(', ')} FROM ${rows} ORDER BY i.n;`;
  }
  return `UPDATE ${name} t SET ${list.map((column) => `${column} = r.${column}`).join(', ')} FROM ${rows} AND ${rowKeySql(catalog.get(table) as Table, 't')} = ${decoded('i.row_key')};`;
}

/** Rows come in ascending order, nearly always without gaps. */
function among(rows: readonly number[]): string {
  const [first = 0, last = 0] = [rows[0], rows.at(-1)];
  return last - first === rows.length - 1
    ? `i.n BETWEEN ${first} AND ${last}`
    : `i.n = ANY ('{${rows.join(',')}}'::int[])`;
}
