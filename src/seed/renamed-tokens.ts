import type { Table } from './catalog.js';
import type { SeedRow } from './document.js';
import { docKeyOf } from './plan-writes.js';
import type { Remembered } from './store.js';

/** Tokens of the documents that ship: no other document gives these names. */
const OURS = '${uuid:kasm-db/';
/** Earlier builds gave the names that Kasm's own documents number their rows with: ${uuid:setting_id:1}. */
const earlierName = (token: string) => token.replace(OURS, '${uuid:');
const OUR_TOKENS = /\$\{uuid:kasm-db\/[^{}]*\}/g;

export interface Renamed {
  /** All of them, with the names of today. */
  remembered: Remembered[];
  /** Those that have other names now, as they were and as they are. */
  changes: { before: Remembered; after: Remembered }[];
}

/**
 * A database that an earlier build has seeded remembers rows by that build's tokens. They get today's names, so that the same rows are found, and
 * what was deleted stays so. Only rows that the documents name with one of ours, and that earlier had its name: a document of Kasm's may have given
 * it to another row. Pure.
 */
export function renameTokens(
  remembered: readonly Remembered[],
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
  const byDocKey = new Map(remembered.map((entry) => [`${entry.table}\0${entry.docKey}`, entry]));
  const names = new Map<string, string>();
  const docKeys = new Map<Remembered, string>();
  // Rows whose key names other rows are found once those are.
  for (let found = -1; found !== docKeys.size; ) {
    found = docKeys.size;
    for (const { table, id, token, docKey } of ours) {
      const others = (docKey.match(OUR_TOKENS) ?? []).filter((other) => other !== token);
      if (others.some((other) => !names.has(earlierName(other)))) continue;
      const entry = byDocKey.get(`${table}\0${docKey.replace(OUR_TOKENS, earlierName)}`);
      if (!entry || entry.columns[id]?.token !== earlierName(token)) continue;
      names.set(earlierName(token), token);
      docKeys.set(entry, docKey);
    }
  }
  const changes: Renamed['changes'] = [];
  const now = remembered.map((before) => {
    const columns = mapValues(before.columns, ({ token, ...rest }) =>
      token === undefined ? rest : { ...rest, token: names.get(token) ?? token },
    );
    const changed =
      docKeys.has(before) ||
      Object.entries(columns).some(([column, { token }]) => before.columns[column]?.token !== token);
    if (!changed) return before;
    const after = { ...before, docKey: docKeys.get(before) ?? before.docKey, columns };
    changes.push({ before, after });
    return after;
  });
  return { remembered: now, changes };
}

function mapValues<T>(map: Record<string, T>, change: (value: T) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, change(value)]));
}
