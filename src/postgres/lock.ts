import { KasmDbError } from '../app/errors.js';
import type { Client } from './client.js';
import type { LockHolder } from './lock-holder.js';
import { LOCK_CLASSID, LOCK_KEY, LOCK_OBJID } from './lock-key.js';

/**
 * Functions are named with their schema and operators get operands of their own types, here and wherever the path holds `public`: what
 * somebody made there must not be taken for PostgreSQL's own (CVE-2018-1058).
 */
export const HOLDERS_SQL = `SELECT l.pid, coalesce(a.application_name, '') AS "applicationName", pg_catalog.host(a.client_addr) AS "clientAddr",
  extract(epoch FROM pg_catalog.now() - a.backend_start)::float8 AS "connectedSeconds"
FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.classid = ${LOCK_CLASSID}::oid AND l.objid = ${LOCK_OBJID}::oid AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())`;

/** Holders of the migration lock other than this connection. */
export async function lockHolders(client: Client): Promise<LockHolder[]> {
  const { rows } = await client.query(`${HOLDERS_SQL} AND l.pid <> pg_catalog.pg_backend_pid()`);
  return rows;
}

/** `pid`: the session that got it, as the server counts it; behind a pooler that holds for the transaction only. */
export type LockOutcome = { locked: true; pid: number } | { locked: false; holder: LockHolder | undefined };

/**
 * Tries to get the migration lock for the session. Never waits inside the server: a waiter there would hold a snapshot that the
 * holder's CREATE INDEX CONCURRENTLY waits for, a deadlock (TRAPS 1).
 * @param asksWho look up the holder when someone else has it, which costs the server more than all the rest
 * @returns the holder when someone else has it
 * @throws KasmDbError environment when two sessions hold it at once (TRAPS 20)
 */
export async function tryLock(client: Client, asksWho = true): Promise<LockOutcome> {
  return outcome(
    client,
    `SELECT pg_catalog.pg_try_advisory_lock(${LOCK_KEY}) AS locked, pg_catalog.pg_backend_pid() AS pid`,
    asksWho,
  );
}

/** The same for the current transaction: all that is safe behind a pooler (TRAPS 2). */
export async function tryTransactionLock(client: Client): Promise<LockOutcome> {
  return outcome(
    client,
    `SELECT pg_catalog.pg_try_advisory_xact_lock(${LOCK_KEY}) AS locked, pg_catalog.pg_backend_pid() AS pid`,
  );
}

async function outcome(client: Client, trySql: string, asksWho = true): Promise<LockOutcome> {
  const { rows } = await client.query(trySql);
  if (!rows[0].locked && !asksWho) return { locked: false, holder: undefined };
  const others = await lockHolders(client);
  if (!rows[0].locked) return { locked: false, holder: others[0] };
  if (others.length > 0) {
    throw new KasmDbError(
      'environment',
      `advisory locks do not exclude each other here: process ${others[0]?.pid} holds the migration lock too`,
      {
        hint: 'this server (or what stands before it) only pretends to lock; migrate against PostgreSQL itself',
      },
    );
  }
  return { locked: true, pid: rows[0].pid };
}

export async function unlock(client: Client): Promise<void> {
  await client.query(`SELECT pg_catalog.pg_advisory_unlock(${LOCK_KEY})`);
}
