import type { QueryResult } from 'pg';
import type { TargetSessionAttrs } from '../config/parameters.js';
import type { Client } from './client.js';

/**
 * Is this the kind of server that is wished for? As libpq decides it (PostgreSQL manual, 34.1.2, target_session_attrs): from what the
 * server announced, else by asking.
 * @param wish prefer-standby is two passes, `standby` and then `any`, so it never comes here
 * @returns undefined when it is, else what it is instead
 */
export async function mismatch(client: Client, wish: TargetSessionAttrs): Promise<string | undefined> {
  switch (wish) {
    case 'primary':
      return (await isStandby(client)) ? 'is a standby' : undefined;
    case 'standby':
      return (await isStandby(client)) ? undefined : 'is not a standby';
    case 'read-write':
      return (await isReadOnly(client)) ? 'takes no writes' : undefined;
    case 'read-only':
      return (await isReadOnly(client)) ? undefined : 'takes writes';
    default:
      return undefined;
  }
}

async function isStandby(client: Client): Promise<boolean> {
  const said = client.announced.inHotStandby;
  if (said !== undefined) return said;
  // A standby knows no serializable, which role or database may have set.
  const asked = 'BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_catalog.pg_is_in_recovery() AS standby; COMMIT';
  const [, answer] = (await client.query(asked)) as unknown as QueryResult[];
  return answer?.rows[0].standby;
}

async function isReadOnly(client: Client): Promise<boolean> {
  const { inHotStandby, readOnly } = client.announced;
  if (inHotStandby !== undefined && readOnly !== undefined) return inHotStandby || readOnly;
  return (await client.query('SHOW transaction_read_only')).rows[0].transaction_read_only === 'on';
}
