import type { FullHistoryRow } from './state.js';

/** Another in each row, never null, and written by us without a line end: cheaper for both sides than JSON. */
const TEXTS = ['name', 'checksum'];
/** The same in most rows. */
const OTHERS = [
  'kind',
  'app_version',
  'min_compatible',
  'statements_done::int',
  'statements_total::int',
  'duration_ms::int',
];

/**
 * The history as one row, each column in one value: thousands of rows take the client longer to read than all else that a check does,
 * and the moment of each, which only a report needs, costs the server a quarter of it.
 * @param times also read when each was applied
 */
export const historySql = (times: boolean) =>
  `SELECT ${[
    ...TEXTS.map((column) => `pg_catalog.string_agg(${column}::text, E'\\n') AS ${column}`),
    ...[...OTHERS, ...(times ? ['applied_at'] : [])].map(
      (column) => `pg_catalog.json_agg(${column}) AS ${column.replace('::int', '')}`,
    ),
  ].join(', ')} FROM kasm_db.migrations`;

/** What historySql() gives. */
export interface HistoryColumns {
  name: string | null;
  checksum: string | null;
  kind: FullHistoryRow['kind'][];
  app_version: string[];
  min_compatible: (string | null)[];
  statements_done: (number | null)[];
  statements_total: (number | null)[];
  duration_ms: (number | null)[];
  applied_at?: string[];
}

/** @returns the rows by name; undefined where there is none, or a text holds a line end and only a row can say whose it is */
export function historyOf(columns: HistoryColumns | undefined): FullHistoryRow[] | undefined {
  if (!columns || columns.name === null || columns.checksum === null) return undefined;
  const { kind, app_version, min_compatible, statements_done, statements_total, duration_ms, applied_at } = columns;
  const names = columns.name.split('\n');
  const checksums = columns.checksum.split('\n');
  if (names.length !== kind.length || checksums.length !== kind.length) return undefined;
  const rows = names.map(
    (name, i): FullHistoryRow => ({
      name,
      checksum: checksums[i] as string,
      kind: kind[i] as FullHistoryRow['kind'],
      minCompatible: min_compatible[i] as string | null,
      statementsDone: statements_done[i] as number | null,
      statementsTotal: statements_total[i] as number | null,
      appVersion: app_version[i] as string,
      durationMs: duration_ms[i] as number | null,
    }),
  );
  for (const [i, time] of (applied_at ?? []).entries()) (rows[i] as FullHistoryRow).appliedAt = time;
  return rows.sort((a, b) => (a.name < b.name ? -1 : 1));
}
