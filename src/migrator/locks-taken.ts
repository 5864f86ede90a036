import type { LockInfo } from '../history/locks.js';
import { othersSql } from '../history/record.js';
import type { Migration } from '../migrations/files.js';
import type { Session } from '../postgres/session.js';

/** What there was before a migration's file. */
export interface Before {
  /** A relation with a larger OID is made by the file itself: nobody else waits for it. */
  newestOid: number;
  /** Other migrations in the history. */
  others: number;
  /** Names of tables by their OID, where the file may drop some. */
  names: ReadonlyMap<number, string>;
}

/** Stronger than SHARE UPDATE EXCLUSIVE, so that they stop more than other schema changes; the strongest first (PostgreSQL manual, 13.3.1). */
const STRONG = ['AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock'];
const TABLES = "c.relkind IN ('r', 'p', 'm', 'f', 'v') AND n.nspname NOT LIKE 'pg\\_%'";
const FROM_TABLES = 'FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace';

const NEWEST_SQL = '(SELECT oid::bigint::float8 FROM pg_class ORDER BY oid DESC LIMIT 1)';
const NAMES_SQL = `SELECT c.oid::bigint::float8 AS oid, n.nspname || '.' || c.relname AS name ${FROM_TABLES} WHERE ${TABLES}`;

/** SQL that looks what is locked, within a transaction of ours; `named` reads its rows. */
export const takenSql = (newestOid: number) => `SELECT l.relation::bigint::float8 AS oid, l.mode FROM pg_locks l
WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.granted AND l.mode IN ('${STRONG.join("', '")}')
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND l.relation::bigint <= ${newestOid}`;

/** What there is, within a transaction of ours. @param sql of the migration's file */
export async function lookBefore(session: Session, { name }: Migration, sql: string): Promise<Before> {
  const names = /\bdrop\b/i.test(sql) ? await session.query<Named>(NAMES_SQL) : [];
  const [row] = await session.query(`SELECT ${NEWEST_SQL} AS newest, ${othersSql(name)} AS others`);
  return { newestOid: row.newest, others: row.others, names: new Map(names.map(({ oid, name }) => [oid, name])) };
}

/** Looks at the end of a statement's transaction, of a file that runs statement by statement; what the file has set stays. */
export async function takenByStatement(session: Session, before: Before): Promise<LockInfo[]> {
  return named(session, await session.query(`${session.forUsInStatement()}; ${takenSql(before.newestOid)}`), before);
}

/** A row of takenSql. */
interface Taken {
  oid: number;
  mode: string;
}

/** A row of NAMES_SQL. */
interface Named {
  oid: number;
  name: string;
}

/** Locks on tables by their names, within a transaction of ours. Most migrations lock nothing that was there. */
export async function named(session: Session, taken: readonly Taken[], before: Before): Promise<LockInfo[]> {
  if (taken.length === 0) return [];
  const found = await session.query<Named>(`${NAMES_SQL} AND c.oid IN (${taken.map(({ oid }) => oid).join(', ')})`);
  const names = new Map([...before.names, ...found.map(({ oid, name }) => [oid, name] as const)]);
  return taken.flatMap(({ oid, mode }) => {
    const relation = names.get(oid);
    return relation === undefined ? [] : [{ relation, mode: modeName(mode) }];
  });
}

/** Of each relation the strongest, by name. Pure. */
export function strongest(locks: readonly LockInfo[]): LockInfo[] {
  const byStrength = STRONG.map(modeName).flatMap((mode) => locks.filter((lock) => lock.mode === mode));
  const found = new Map(byStrength.toReversed().map((lock) => [lock.relation, lock]));
  return [...found.values()].sort((a, b) => (a.relation < b.relation ? -1 : 1));
}

/** AccessExclusiveLock is ACCESS EXCLUSIVE. */
function modeName(mode: string): string {
  return mode
    .replace(/Lock$/, '')
    .replace(/(?!^)([A-Z])/g, ' $1')
    .toUpperCase();
}
