import { isRequired } from './catalog.js';
import type { Problem } from './problems.js';
import type { References } from './references.js';
import { rowKeyOfTexts } from './row-keys.js';
import { newRecord, type PlannableRow, type RowPlan } from './row-plan.js';
import type { Write } from './write-rows.js';

/**
 * How to insert a row that was never there. A reference to a row that comes later is left empty and made afterwards. Pure but for new salts.
 * @param references knows of the row from now on
 * @param position of a table among the inserts
 */
export function insertRow(row: PlannableRow, references: References, position: (table: string) => number): RowPlan {
  const { resolved, texts } = row;
  const { table } = resolved;
  const values = { ...row.values };
  const deferred: Record<string, unknown> = {};
  const problems: Problem[] = [];
  for (const key of table.foreignKeys) {
    const value = texts[key.column];
    if (!value || references.isThere(key.table, key.target, value)) continue;
    if (!isRequired(table, key)) {
      deferred[key.column] = values[key.column];
      delete values[key.column];
    } else if (key.table !== table.name && position(key.table) >= position(table.name)) {
      const { file, line } = resolved.row;
      problems.push({ file, line, message: `${table.name} and ${key.table} require each other` });
    }
  }
  references.insert(table, texts);
  const record = newRecord(row, rowKeyOfTexts(table, texts), (column) => texts[column] ?? null);
  return {
    count: 'inserted',
    write: { kind: 'insert', table: table.name, values },
    ...(Object.keys(deferred).length > 0 ? { deferredUpdate: updateOf(row, deferred) } : {}),
    record,
    place: { rowKey: record.rowKey, inserted: true, texts: undefined, record },
    problems,
  };
}

/** Until then the row lies under the key that it has without them. */
function updateOf({ resolved: { table }, texts }: PlannableRow, deferred: Record<string, unknown>): Write {
  const empty = Object.fromEntries(Object.keys(deferred).map((column) => [column, null]));
  return { kind: 'update', table: table.name, rowKey: rowKeyOfTexts(table, { ...texts, ...empty }), values: deferred };
}
