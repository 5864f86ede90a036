import { looksEncrypted, mayBeEncrypted } from './encrypted.js';
import { isAsWritten, type SeedRecord } from './records.js';
import type { ResolvedRow } from './resolve-rows.js';
import { newRecord, type PlannableRow, type RowPlan, recordedColumn } from './row-plan.js';
import type { Texts } from './texts.js';
import { tokensIn } from './tokens.js';

/**
 * What to do for a row that the database has: it is updated only where the value is still the one that a seed wrote. Pure but for new salts.
 * @param now as it is
 */
export function compareRow(row: PlannableRow, now: Texts): RowPlan {
  const { resolved, record } = row;
  const place = { rowKey: row.found as string, inserted: false, texts: now };
  const { changes, kept } = compareValues(row, now);
  const count = kept ? 'kept' : 'unchanged';
  if (record === undefined) {
    const first = firstRecord(row, now);
    return { count, record: first, place: { ...place, record: first } };
  }
  if (Object.keys(changes).length === 0) return { count, place: { ...place, record } };
  const changed = changedRecord(row, record, Object.keys(changes));
  return {
    count: 'updated',
    write: { kind: 'update', table: resolved.table.name, rowKey: place.rowKey, values: changes },
    record: changed,
    place: { ...place, record: changed },
  };
}

/** @returns kept: a value differs that somebody else has written */
function compareValues({ resolved, values, texts, record }: PlannableRow, now: Texts) {
  const changes: Record<string, unknown> = {};
  let kept = false;
  for (const [column, value] of Object.entries(values)) {
    if (!isCompared(resolved, column) || (texts[column] ?? null) === (now[column] ?? null)) continue;
    if (isAsWritten(record, column, now[column] ?? null)) changes[column] = value;
    else kept = true;
  }
  return { changes, kept };
}

/** Generated secrets, keys and credentials are written once; the documents don't say what they are. A reference they do say. */
function isCompared({ row, table, credentialColumns }: ResolvedRow, column: string): boolean {
  if (credentialColumns.has(column) || table.primaryKey.includes(column)) return false;
  if (tokensIn(row.cells.get(column)?.value).length === 0) return true;
  return table.foreignKeys.some((key) => key.column === column);
}

/** Of a row that was there first: only what is as the documents have it counts as written by a seed, and nothing that Kasm may have encrypted. */
function firstRecord(row: PlannableRow, now: Texts): SeedRecord {
  const { resolved, texts, found } = row;
  return newRecord(row, found as string, (column) =>
    now[column] === texts[column] && !isEncrypted(resolved, column, now[column]) ? (now[column] ?? null) : undefined,
  );
}

/** A document made from rows of a database has them as they are stored. What a Secret says, too, is plain: its other readers decrypt nothing. */
function isEncrypted(
  { table, credentialColumns }: ResolvedRow,
  name: string,
  value: string | null | undefined,
): boolean {
  const column = table.columns.get(name);
  if (!column || credentialColumns.has(name)) return false;
  return mayBeEncrypted(table.name, column) && looksEncrypted(value, column.type);
}

function changedRecord({ resolved, texts }: PlannableRow, record: SeedRecord, changed: readonly string[]): SeedRecord {
  const columns = { ...record.columns };
  for (const column of changed) columns[column] = recordedColumn(resolved, column, record.salt, texts[column] ?? null);
  return { ...record, columns };
}
