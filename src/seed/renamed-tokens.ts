import { idColumn, type Table } from './catalog.js';
import { type SeedRow, valueIn } from './document.js';
import { type RecordedColumn, recordId, type SeedRecord } from './records.js';
import { docKeyOf } from './row-keys.js';

/** Tokens of the documents that ship: no other document gives these names. */
const OUR_TOKENS = /\$\{uuid:kasm-db\/[^{}]*\}/g;
/** Earlier builds gave the names that Kasm's own documents number their rows with: ${uuid:setting_id:1}. */
const earlierName = (token: string) => token.replace('${uuid:kasm-db/', '${uuid:');

/**
 * A database that an earlier build has seeded has records by that build's tokens. They get today's names, so that the same rows are found, and
 * what was deleted stays so. Only rows that the documents name with one of ours, and that earlier had its name: a document of Kasm's may have given
 * it to another row. Pure.
 * @returns the records that have other names now: as they were, and as they are
 */
export function renameTokens(
  records: readonly SeedRecord[],
  rows: readonly SeedRow[],
  catalog: ReadonlyMap<string, Table>,
): Map<SeedRecord, SeedRecord> {
  const ours = rows.flatMap((row) => {
    const table = catalog.get(row.table);
    const id = table && idColumn(table);
    const token = id === undefined ? undefined : valueIn(row, id);
    return table && id !== undefined && typeof token === 'string' && earlierName(token) !== token
      ? [{ table: row.table, id, token, docKey: docKeyOf(row, table) }]
      : [];
  });
  const byDocKey = new Map(records.map((record) => [recordId(record), record]));
  const names = new Map<string, string>();
  const docKeys = new Map<SeedRecord, string>();
  // Rows whose key names other rows are found once those are.
  for (let found = -1; found !== docKeys.size; ) {
    found = docKeys.size;
    for (const { table, id, token, docKey } of ours) {
      const others = (docKey.match(OUR_TOKENS) ?? []).filter((other) => other !== token);
      if (others.some((other) => !names.has(earlierName(other)))) continue;
      const record = byDocKey.get(recordId({ table, docKey: docKey.replace(OUR_TOKENS, earlierName) }));
      if (!record || record.columns[id]?.token !== earlierName(token)) continue;
      names.set(earlierName(token), token);
      docKeys.set(record, docKey);
    }
  }
  const renamed = new Map<SeedRecord, SeedRecord>();
  for (const before of records) {
    const columns = Object.entries(before.columns).map(([column, recorded]): [string, RecordedColumn] => {
      const token = names.get(recorded.token ?? '');
      return [column, token ? { ...recorded, token } : recorded];
    });
    const docKey = docKeys.get(before) ?? before.docKey;
    if (docKey !== before.docKey || columns.some(([column, recorded]) => recorded !== before.columns[column]))
      renamed.set(before, { ...before, docKey, columns: Object.fromEntries(columns) });
  }
  return renamed;
}
