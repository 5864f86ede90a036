import { KasmDbError } from '../app/errors.js';
import type { LockHolder } from '../app/lock-holder.js';
import { type Session, TO_PRIMARY } from './session.js';
import { sqlstateOf, toKasmDbError } from './sqlstate.js';

/**
 * The key of the migration lock: the bytes of "kasm-db" as one big-endian integer, so that it is its own documentation.
 * It never changes between builds; two builds with different keys would migrate at the same time.
 */
export const LOCK_KEY = 0x6b61736d2d6462n;
/** The halves as pg_locks shows them (classid, objid; objsubid is 1 for a bigint key). */
export const LOCK_CLASSID = Number(LOCK_KEY >> 32n);
export const LOCK_OBJID = Number(LOCK_KEY & 0xffffffffn);

const IS_OURS = `l.locktype = 'advisory' AND l.granted AND l.classid = ${LOCK_CLASSID}::pg_catalog.oid AND l.objid = ${LOCK_OBJID}::pg_catalog.oid
  AND l.objsubid = 1 AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())`;

const HOLDERS_SQL = `${TO_PRIMARY}SELECT l.pid, coalesce(a.application_name, '') AS "applicationName", pg_catalog.host(a.client_addr) AS "clientAddr",
  extract(epoch FROM pg_catalog.now() - a.backend_start)::float8 AS "connectedSeconds"
FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE ${IS_OURS} AND l.pid <> pg_catalog.pg_backend_pid()`;

/** SQL: does this very session hold the migration lock? */
export const HOLDS_LOCK_SQL = `EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE ${IS_OURS} AND l.pid = pg_catalog.pg_backend_pid())`;

/**
 * Other sessions that hold the migration lock; within a transaction. A standby doesn't show its primary's.
 * @throws KasmDbError environment where the role may not look
 */
export async function lockHolders(session: Session): Promise<LockHolder[]> {
  return session.query(HOLDERS_SQL).catch((error) => {
    if (sqlstateOf(error) !== '42501') throw error;
    throw toKasmDbError(error, 'looking who holds the migration lock', {
      hint: 'as a superuser: GRANT SELECT ON pg_catalog.pg_locks, pg_catalog.pg_stat_activity TO <role>, as everybody has it by default',
    });
  });
}

/** `pid`: the session that has it, as the server counts it; behind a pooler that holds for the transaction only. */
export type LockOutcome = { locked: true; pid: number } | { locked: false; holder: LockHolder | undefined };

/**
 * Tries to get the migration lock for the session; within a transaction, whose end does not give it back. Never waits inside the server: a waiter
 * there would hold a snapshot that the holder's CREATE INDEX CONCURRENTLY waits for, a deadlock.
 * @returns the holder when someone else has it
 * @throws KasmDbError environment when two sessions hold it at once
 */
export const tryLock = (session: Session): Promise<LockOutcome> => outcome(session, 'pg_try_advisory_lock');

/** The same for the current transaction: all that is safe behind a pooler. */
export const tryTransactionLock = (session: Session): Promise<LockOutcome> =>
  outcome(session, 'pg_try_advisory_xact_lock');

const trySql = (tryFunction: string, key: bigint) =>
  `${TO_PRIMARY}SELECT pg_catalog.${tryFunction}(${key}) AS locked, pg_catalog.pg_backend_pid() AS pid, pg_catalog.pg_is_in_recovery() AS standby`;

async function outcome(session: Session, tryFunction: string): Promise<LockOutcome> {
  const [row] = await session.query(trySql(tryFunction, LOCK_KEY));
  if (row.standby) throw lockOnStandby();
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

/**
 * Where a lock would be taken, tried with a key that nobody uses; within a transaction that writes.
 * @throws KasmDbError environment when a standby answers
 */
export async function requireLockOnPrimary(session: Session): Promise<void> {
  const [row] = await session.query(trySql('pg_try_advisory_xact_lock', UNUSED_KEY));
  if (row.standby) throw lockOnStandby();
}

const UNUSED_KEY = LOCK_KEY + 1n;

/** A proxy that splits reads and writes takes the lock's function for a read: each standby has locks of its own. */
function lockOnStandby(): KasmDbError {
  return new KasmDbError('environment', 'what stands before the server sends the migration lock to a standby', {
    hint: "pgpool-II: write_function_list = '' (or add pg_try_advisory_lock,pg_try_advisory_xact_lock,pg_advisory_unlock), or allow_sql_comments = off; or set KASM_DB_DIRECT_URL to the primary itself",
  });
}

/** Gives the session's migration lock back, also after the signal has come: what was done is done. A session that is lost has none. */
export async function unlock(session: Session): Promise<void> {
  await session.runUninterrupted(`${TO_PRIMARY}SELECT pg_catalog.pg_advisory_unlock(${LOCK_KEY})`).catch(() => {});
}
