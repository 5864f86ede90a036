import type { ServerError } from './server-error.js';

const AROUND = 'or lead kasm-db around the pooler with KASM_DB_DIRECT_URL';

/** What poolers say for themselves, always in English, and what to do about it. */
const SAID: readonly (readonly [words: RegExp, hint: string])[] = [
  [
    /query_wait_timeout|could not get connection from the pool|waiting to acquire database connection|failed to get remote server/i,
    `no server connection of the pooler became free in time: give it a larger pool (PgBouncer: default_pool_size, query_wait_timeout), ${AROUND}`,
  ],
  [/query[_ ]timeout/i, `the pooler ends statements that take long: raise its query_timeout, ${AROUND}`],
  [
    /transaction[_ ]timeout/i,
    `the pooler ends transactions that take long: raise its idle_transaction_timeout, ${AROUND}`,
  ],
  [
    /max_client_conn|no more connections allowed|max client(s|_conn| connections)? ?reached|too many clients/i,
    `the pooler takes no more clients: raise its own limit (PgBouncer: max_client_conn), not the server's max_connections, ${AROUND}`,
  ],
  [
    /max_user_connections|max_db_connections|max_user_client_connections|max_db_client_connections/i,
    `the pooler's limit for this user or database is reached: raise it, ${AROUND}`,
  ],
  [/PQexec disallowed/i, `the pooler refuses simple queries: turn its disable_pqexec off, ${AROUND}`],
  [/client_(login|idle)_timeout/i, `the pooler's own time for clients was over: raise it, ${AROUND}`],
  [
    /no such database|no such user|tenant or user not found/i,
    `the pooler itself does not know this: correct its list of databases and users, ${AROUND}`,
  ],
  [
    /unsupported startup parameter/i,
    'a pooler takes no server options at login: unset PGOPTIONS, or set KASM_DB_DIRECT_URL to PostgreSQL itself',
  ],
  [
    /server_login_retry|server login has been failing|cannot connect to server|server conn crashed|pgbouncer|server_lifetime/i,
    `the pooler has no connection to its server: is that running? Look into the pooler's log, ${AROUND}`,
  ],
];

/**
 * What to do where a pooler speaks for itself and not for its server. PostgreSQL names the routine that reports an error; a pooler has none.
 * @returns undefined: it is PostgreSQL that speaks, or something that nobody knows
 */
export function poolerHint(error: Pick<ServerError, 'message' | 'routine'>): string | undefined {
  if (error.routine) return undefined;
  return SAID.find(([words]) => words.test(error.message))?.[1];
}

/** Nothing but another setting of the pooler, or the way around it, helps. */
export function refusesSimpleQueries(error: Pick<ServerError, 'message' | 'routine'>): boolean {
  return !error.routine && /PQexec disallowed/i.test(error.message);
}
