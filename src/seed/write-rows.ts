import { escapeIdentifier } from 'pg';
import type { Session } from '../postgres/session.js';
import type { Table } from './catalog.js';
import { decoded, guarded, sendRows } from './guarded.js';
import { rowKeySql, type Texts, textsSql } from './row-keys.js';

/** A row to be written; the values are JSON as json_populate_record takes it. */
export interface Write {
  kind: 'insert' | 'update';
  table: string;
  /** Of the row to update. */
  rowKey?: string;
  /** What its columns had when it was read: whoever has changed one since keeps what he wrote. Not given: whatever they have. */
  before?: Texts;
  values: Record<string, unknown>;
}

/** Writes that one statement does: of one kind, into the same columns of one table. */
interface Batch {
  kind: Write['kind'];
  table: string;
  columns: string[];
  first: number;
  last: number;
}

/** Writes rows, in their order; statements name columns, values only ever travel by COPY. */
export async function writeRows(
  session: Session,
  writes: readonly Write[],
  catalog: ReadonlyMap<string, Table>,
): Promise<void> {
  if (writes.length === 0) return;
  await sendRows(session, 'kasm_db_write', writes);
  const statements = batchesOf(writes).map((batch) => statement(batch, catalog));
  await guarded(session, 'writing the rows', statements.join('\n  '));
}

function batchesOf(writes: readonly Write[]): Batch[] {
  const batches: Batch[] = [];
  for (const [n, { kind, table, values }] of writes.entries()) {
    const columns = Object.keys(values);
    const batch = batches.at(-1);
    if (batch?.kind === kind && batch.table === table && batch.columns.join() === columns.join()) batch.last = n;
    else batches.push({ kind, table, columns, first: n, last: n });
  }
  return batches;
}

function statement({ kind, table, columns, first, last }: Batch, catalog: ReadonlyMap<string, Table>): string {
  const name = `public.${escapeIdentifier(table)}`;
  const rows = `pg_temp.kasm_db_write i, json_populate_record(NULL::${name}, ${decoded('i.doc')}::json) r WHERE i.n BETWEEN ${first} AND ${last}`;
  const list = columns.map((column) => escapeIdentifier(column));
  if (kind === 'insert') {
    return `INSERT INTO ${name} (${list.join(', ')}) SELECT ${list.map((column) => `r.${column}`).join(', ')} FROM ${rows} ORDER BY i.n;`;
  }
  // Behind a lock that somebody had on the row, the server looks at this again.
  const isAsRead = `(i.before IS NULL OR ${decoded('i.before')}::jsonb = ${textsSql('t', columns)})`;
  return `UPDATE ${name} t SET ${list.map((column) => `${column} = r.${column}`).join(', ')} FROM ${rows} AND ${rowKeySql(catalog.get(table) as Table)} = ${decoded('i.row_key')} AND ${isAsRead};`;
}
