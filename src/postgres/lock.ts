import { KasmDbError } from '../app/errors.js';
import type { LockHolder } from '../app/lock-holder.js';
import { LOCK_CLASSID, LOCK_KEY, LOCK_OBJID } from './lock-key.js';
import type { Session } from './session.js';

const IS_OURS = `l.locktype = 'advisory' AND l.granted AND l.classid = ${LOCK_CLASSID}::pg_catalog.oid AND l.objid = ${LOCK_OBJID}::pg_catalog.oid
  AND l.objsubid = 1 AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())`;

const HOLDERS_SQL = `SELECT l.pid, coalesce(a.application_name, '') AS "applicationName", pg_catalog.host(a.client_addr) AS "clientAddr",
  extract(epoch FROM pg_catalog.now() - a.backend_start)::float8 AS "connectedSeconds"
FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE ${IS_OURS} AND l.pid <> pg_catalog.pg_backend_pid()`;

/** SQL: does this very session hold the migration lock? */
export const HOLDS_LOCK_SQL = `EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE ${IS_OURS} AND l.pid = pg_catalog.pg_backend_pid())`;

/** Other sessions that hold the migration lock; within a transaction. A standby doesn't show its primary's. */
export async function lockHolders(session: Session): Promise<LockHolder[]> {
  return session.query(HOLDERS_SQL);
}

/** `pid`: the session that has it, as the server counts it; behind a pooler that holds for the transaction only. */
export type LockOutcome = { locked: true; pid: number } | { locked: false; holder: LockHolder | undefined };

/**
 * Tries to get the migration lock for the session; within a transaction, whose end does not give it back. Never waits inside the server: a waiter
 * there would hold a snapshot that the holder's CREATE INDEX CONCURRENTLY waits for, a deadlock.
 * @returns the holder when someone else has it
 * @throws KasmDbError environment when two sessions hold it at once
 */
export async function tryLock(session: Session): Promise<LockOutcome> {
  return outcome(session, 'pg_try_advisory_lock');
}

/** The same for the current transaction: all that is safe behind a pooler. */
export async function tryTransactionLock(session: Session): Promise<LockOutcome> {
  return outcome(session, 'pg_try_advisory_xact_lock');
}

async function outcome(session: Session, tryFunction: string): Promise<LockOutcome> {
  const [row] = await session.query(
    `SELECT pg_catalog.${tryFunction}(${LOCK_KEY}) AS locked, pg_catalog.pg_backend_pid() AS pid`,
  );
  const others = await lockHolders(session);
  if (!row.locked) return { locked: false, holder: others[0] };
  if (others.length > 0) {
    throw new KasmDbError(
      'environment',
      `advisory locks do not exclude each other here: process ${others[0]?.pid} holds the migration lock too`,
      { hint: 'this server (or what stands before it) only pretends to lock; migrate against PostgreSQL itself' },
    );
  }
  return { locked: true, pid: row.pid };
}

/** Gives the session's migration lock back. */
export async function unlock(session: Session): Promise<void> {
  await session.query(`SELECT pg_catalog.pg_advisory_unlock(${LOCK_KEY})`);
}
