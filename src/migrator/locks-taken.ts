import { HOLDS_LOCK_SQL } from '../postgres/lock.js';
import type { Session } from '../postgres/session.js';

/** A lock that a migration had at its end, on what was there before it and others use too. */
export interface LockInfo {
  /** schema.name */
  relation: string;
  /** As LOCK TABLE writes it: ACCESS EXCLUSIVE. */
  mode: string;
}

/** What there was before a migration's file. */
export interface Before {
  /** A relation with a larger OID is made by the file itself: nobody else waits for it. */
  newestOid: number;
  /** Names of tables by their OID, where the file may drop some. */
  names: ReadonlyMap<number, string>;
}

/** Stronger than SHARE UPDATE EXCLUSIVE, so that they stop more than other schema changes; the strongest first (PostgreSQL manual, 13.3.1). */
const STRONG = ['AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock'];
const TABLES = "c.relkind IN ('r', 'p', 'm', 'f', 'v') AND n.nspname NOT LIKE 'pg\\_%'";
const FROM_TABLES = 'FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace';

const NEWEST_SQL = 'SELECT oid::bigint::float8 AS oid FROM pg_class ORDER BY oid DESC LIMIT 1';
const NAMES_SQL = `SELECT c.oid::bigint::float8 AS oid, n.nspname || '.' || c.relname AS name ${FROM_TABLES} WHERE ${TABLES}`;

const takenSql = (
  newestOid: number,
) => `SELECT l.relation::bigint::float8 AS oid, n.nspname || '.' || c.relname AS name, l.mode
FROM pg_locks l LEFT JOIN pg_class c ON c.oid = l.relation LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.granted AND l.mode IN ('${STRONG.join("', '")}')
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.relation::bigint <= ${newestOid} AND (c.oid IS NULL OR ${TABLES})`;

/** Looks, and gives the transaction to the file. */
export async function giveToFile(session: Session, sql: string): Promise<Before> {
  const names = /\bdrop\b/i.test(sql) ? await session.query(NAMES_SQL) : [];
  const [newest] = await session.query(`${NEWEST_SQL}; ${session.forFile()}`);
  return { newestOid: newest.oid, names: new Map(names.map(({ oid, name }) => [oid, name])) };
}

/** Takes the transaction back, and looks. @returns is the migration lock still held by this session, and what else is locked */
export async function takeFromFile(session: Session, before: Before): Promise<{ held: boolean; locks: LockInfo[] }> {
  const holds = `SELECT ${HOLDS_LOCK_SQL} AS held`;
  const [first, ...taken] = await session.query(`${session.forUs()}; ${holds}; ${takenSql(before.newestOid)}`);
  const strongest = new Map<string, string>();
  for (const mode of STRONG) {
    for (const row of taken.filter((lock) => lock.mode === mode)) {
      const name = row.name ?? before.names.get(row.oid);
      if (name !== undefined && !strongest.has(name)) strongest.set(name, mode);
    }
  }
  const locks = [...strongest].sort(([a], [b]) => (a < b ? -1 : 1));
  return { held: first.held, locks: locks.map(([relation, mode]) => ({ relation, mode: modeName(mode) })) };
}

/** AccessExclusiveLock is ACCESS EXCLUSIVE. */
function modeName(mode: string): string {
  return mode
    .replace(/Lock$/, '')
    .replace(/(?!^)([A-Z])/g, ' $1')
    .toUpperCase();
}
