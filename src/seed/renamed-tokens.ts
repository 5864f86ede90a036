import type { Table } from './catalog.js';
import type { SeedRow } from './document.js';
import { type RenamedRecord, recordId, type SeedRecord } from './records.js';
import { docKeyOf } from './row-keys.js';

/** Tokens of the documents that ship: no other document gives these names. */
const OURS = '${uuid:kasm-db/';
/** Earlier builds gave the names that Kasm's own documents number their rows with: ${uuid:setting_id:1}. */
const earlierName = (token: string) => token.replace(OURS, '${uuid:');
const OUR_TOKENS = /\$\{uuid:kasm-db\/[^{}]*\}/g;

export interface Renamed {
  /** All of them, with the names of today. */
  records: SeedRecord[];
  /** Those that have other names now, as they were and as they are. */
  renamed: RenamedRecord[];
}

/**
 * A database that an earlier build has seeded has records by that build's tokens. They get today's names, so that the same rows are found, and
 * what was deleted stays so. Only rows that the documents name with one of ours, and that earlier had its name: a document of Kasm's may have given
 * it to another row. Pure.
 */
export function renameTokens(
  records: readonly SeedRecord[],
  rows: readonly SeedRow[],
  catalog: ReadonlyMap<string, Table>,
): Renamed {
  const ours = rows.flatMap((row) => {
    const table = catalog.get(row.table);
    const [id] = table?.primaryKey ?? [];
    const token = id === undefined ? undefined : row.cells.get(id)?.value;
    return table && id !== undefined && typeof token === 'string' && token.startsWith(OURS)
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
  const renamed: RenamedRecord[] = [];
  const now = records.map((before) => {
    const columns = mapValues(before.columns, ({ token, ...rest }) =>
      token === undefined ? rest : { ...rest, token: names.get(token) ?? token },
    );
    const changed =
      docKeys.has(before) ||
      Object.entries(columns).some(([column, { token }]) => before.columns[column]?.token !== token);
    if (!changed) return before;
    const after = { ...before, docKey: docKeys.get(before) ?? before.docKey, columns };
    renamed.push({ before, after });
    return after;
  });
  return { records: now, renamed };
}

function mapValues<T>(map: Record<string, T>, change: (value: T) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, change(value)]));
}
