import { escapeLiteral } from 'pg';

/** What a row of kasm_db.migrations says of a migration. */
export interface Recorded {
  name: string;
  checksum: string;
  /** Default: the age of the transaction. null: the next statement of a no-transaction migration is being run; the mark outlives whoever dies in it. */
  durationMs?: number | null;
  appVersion: string;
  minCompatible?: string | undefined;
  /** Default: it was run. */
  kind?: 'sql' | 'adopted';
  /** Of a no-transaction migration. */
  statements?: { done: number; total: number } | undefined;
}

/** SQL that records a migration, or how far a no-transaction one has come. */
export function recordSql(row: Recorded): string {
  const values = [
    escapeLiteral(row.name),
    escapeLiteral(row.checksum),
    durationSql(row.durationMs),
    'session_user',
    escapeLiteral(row.appVersion),
    `'${row.kind ?? 'sql'}'`,
    row.minCompatible ? escapeLiteral(row.minCompatible) : 'NULL',
    String(row.statements?.done ?? 'NULL'),
    String(row.statements?.total ?? 'NULL'),
  ];
  const insert = `INSERT INTO kasm_db.migrations AS m (name, checksum, duration_ms, applied_by, app_version, kind, min_compatible, statements_done, statements_total)
VALUES (${values.join(', ')})`;
  if (!row.statements) return insert;
  return `${insert} ON CONFLICT (name) DO UPDATE SET applied_at = now(), duration_ms = coalesce(m.duration_ms, 0) + excluded.duration_ms,
  applied_by = excluded.applied_by, app_version = excluded.app_version, statements_done = excluded.statements_done, statements_total = excluded.statements_total`;
}

function durationSql(ms: number | null | undefined): string {
  if (ms === undefined) return 'greatest((extract(epoch FROM clock_timestamp() - now()) * 1000)::int, 0)';
  return ms === null ? 'NULL' : String(Math.round(ms));
}

/** SQL: how many migrations the history has beside this one. */
export function othersSql(name: string): string {
  return `(SELECT count(*)::int FROM kasm_db.migrations WHERE name <> ${escapeLiteral(name)})`;
}

/** SQL that takes the mark of a begun statement back: it has failed, and the server said so. */
export function unmarkSql(name: string): string {
  return `UPDATE kasm_db.migrations SET duration_ms = 0 WHERE name = ${escapeLiteral(name)}`;
}

/** SQL that takes a migration out of the history. */
export function unrecordSql(name: string): string {
  return `DELETE FROM kasm_db.migrations WHERE name = ${escapeLiteral(name)}`;
}

/** SQL that says that a no-transaction down migration was begun: its migration counts as neither applied nor undone. */
export function halfUndoneSql(name: string): string {
  return `UPDATE kasm_db.migrations SET statements_done = 0, statements_total = greatest(statements_total, 1), duration_ms = NULL WHERE name = ${escapeLiteral(name)}`;
}
