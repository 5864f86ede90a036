import { escapeLiteral } from 'pg';
import type { Session } from '../postgres/session.js';
import { type HistoryEntry, isOnce, type RunRow } from './state.js';
import { findHistoryTable } from './tables.js';

/** A lock that a migration had at its end, on what was there before it and others use too. */
export interface LockInfo {
  /** schema.name */
  relation: string;
  /** As LOCK TABLE writes it: ACCESS EXCLUSIVE. */
  mode: string;
}

const LOCKS_SQL =
  'SELECT migration, relation, mode FROM kasm_db.locks ORDER BY migration COLLATE "C", relation COLLATE "C"';

/** A run has begun: what the one before it has locked is no longer told. */
export const FORGET_LOCKS_SQL = 'DELETE FROM kasm_db.locks';

/** SQL that records what a migration has locked, within its transaction; none where that is nothing. */
export function recordLocksSql(migration: string, locks: readonly LockInfo[]): string[] {
  if (locks.length === 0) return [];
  const rows = locks.map((lock) => `(${[migration, lock.relation, lock.mode].map(escapeLiteral).join(', ')})`);
  return [`INSERT INTO kasm_db.locks (migration, relation, mode) VALUES ${rows.join(', ')}`];
}

/**
 * What the last run has locked, where it is recorded and this role may see it; in a transaction of its own.
 * @returns by the migration's name
 * @throws KasmDbError integrity when the table is not kasm-db's own
 */
export function readLocks(session: Session): Promise<Map<string, LockInfo[]>> {
  return session.reading(
    async () => {
      const locks = new Map<string, LockInfo[]>();
      const found = await findHistoryTable(session, 'kasm_db.locks');
      const rows = found?.readable ? await session.query<LockInfo & { migration: string }>(LOCKS_SQL) : [];
      for (const { migration, ...lock } of rows) locks.set(migration, [...(locks.get(migration) ?? []), lock]);
      return locks;
    },
    { statementTimeoutMs: 5000 },
  );
}

/**
 * Of what is recorded, what the last run that migrated has locked. A run that cannot write the table (an older build, a role without the right) leaves there
 * what was locked before it. Pure.
 * @param locks by the migration's name
 */
export function locksOfLastRun(
  locks: ReadonlyMap<string, LockInfo[]>,
  history: readonly HistoryEntry[],
  run: RunRow | undefined,
): Map<string, LockInfo[]> {
  const appliedAt = new Map(history.map((row) => [row.name, row.appliedAt]));
  const began = run?.startedAt ?? '';
  const isSince = (at: string | undefined) => at !== undefined && at >= began;
  // A seed and a program are runs of their own, which come after one that migrated.
  const isAtMigration = run !== undefined && run.current !== null && !isOnce(run);
  const migrates =
    run?.rollback || isAtMigration || history.some(({ kind, appliedAt: at }) => kind === 'sql' && isSince(at));
  return new Map([...locks].filter(([name]) => (migrates ? isSince(appliedAt.get(name)) : appliedAt.has(name))));
}
