import type pg from 'pg';

const DOOR = 4242;

/**
 * PL/pgSQL that waits until the door of its database is opened: for a migration that has to be at work just as long as a test needs, on a
 * machine of any speed.
 */
export const UNTIL_OPEN = `WHILE EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND objid = ${DOOR}
  AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))
  LOOP PERFORM pg_catalog.pg_sleep(0.05); END LOOP;`;

/** A statement that does. */
export const WAIT_FOR_DOOR = `DO $door$ BEGIN ${UNTIL_OPEN} END $door$;`;

/** Closes the door of a database. @param client a connection for that @returns opens it */
export async function closeDoor(client: pg.Client): Promise<() => Promise<void>> {
  await client.query(`SELECT pg_advisory_lock(${DOOR})`);
  return () => client.end();
}
