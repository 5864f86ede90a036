import { LOCK_CLASSID, LOCK_OBJID } from '../postgres/lock-key.js';

/** What a look reads and asks, besides history and run row. */
export interface LookOptions {
  /** Also read public.alembic_version. */
  vendor: boolean;
  /** Also look whether someone holds the migration lock: at once, or in a second message where the run row says that a run is at work. */
  lock?: 'at-once' | 'if-working';
  /**
   * Also count the sessions that the database has served; with the OID that such a look has told, this is cheap. Or only where there is
   * no history: many may be waiting for a first install.
   */
  sessions?: true | { databaseOid: number } | 'if-absent' | undefined;
  /** Also read when each migration was applied. */
  times?: boolean;
  /** The last look found no history. */
  absent?: boolean;
  /** Where there is no history, don't look for other people's tables: another look follows, under the lock. */
  brief?: boolean;
  /** How many rows there may be. */
  expected?: number;
}

/** A row of contextSql(). */
export interface Context {
  /** Of the session that answered. */
  pid: number;
  version: number;
  standby: boolean;
  locked: boolean | null;
  sessions: number | null;
  oid: number | null;
}

const OWN_OID = '(SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())';

// The function instead of its view pg_locks, which a new session would have to read first.
export const LOCKED_SQL = `EXISTS (SELECT FROM pg_catalog.pg_lock_status() WHERE locktype = 'advisory' AND granted AND classid = ${LOCK_CLASSID}::oid
  AND objid = ${LOCK_OBJID}::oid AND objsubid = 1 AND database = ${OWN_OID})`;

/** What a look asks besides tables. Sessions since PostgreSQL 14, before that transactions. */
export function contextSql({ lock, sessions, version }: LookOptions & { version: number }): string {
  const counter = version >= 140_000 ? 'pg_stat_get_db_sessions' : 'pg_stat_get_db_xact_commit';
  const counts = sessions !== undefined && sessions !== 'if-absent';
  const oid = !counts ? 'NULL' : sessions === true ? OWN_OID : String(sessions.databaseOid);
  return `pg_catalog.pg_backend_pid() AS pid, pg_catalog.current_setting('server_version_num')::int AS version,
  pg_catalog.pg_is_in_recovery() AS standby, ${lock === 'at-once' ? LOCKED_SQL : 'NULL'} AS locked, ${
    counts ? `pg_catalog.${counter}(${oid})::float8` : 'NULL'
  } AS sessions, ${oid}::oid AS oid`;
}
