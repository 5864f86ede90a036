import { escapeIdentifier } from 'pg';
import { applicationName } from './application-name.js';

export interface SessionOptions {
  /** How long one attempt may wait for a table lock, in milliseconds. */
  lockTimeoutMs: number;
  role: string | undefined;
  serverVersion: number;
  /** search_path, where it is not that of a migration. */
  path?: typeof OWN_PATH;
}

/** For statements of our own: nothing is looked for in a schema that others can write to (CVE-2018-1058). */
export const OWN_PATH = 'pg_catalog, pg_temp';

/** Of a migration. */
export const SEARCH_PATH = 'public, pg_temp';

/** Settings that a migration must not inherit from a role, a database or an earlier migration (TRAPS 10, 18, 38). */
function settings({ lockTimeoutMs, serverVersion, path }: SessionOptions): [name: string, value: string][] {
  return [
    ['search_path', path ?? SEARCH_PATH],
    // Behind a pooler RESET ALL gives its server connection the pooler's name; who waits has to see ours.
    ['application_name', applicationName()],
    ['statement_timeout', '0'],
    ['lock_timeout', String(Math.round(lockTimeoutMs))],
    ['idle_in_transaction_session_timeout', '0'],
    ['standard_conforming_strings', 'on'],
    // The server finds out within 30 s that the client's machine is gone, so that its lock goes too.
    ['tcp_keepalives_idle', '10'],
    ['tcp_keepalives_interval', '5'],
    ['tcp_keepalives_count', '4'],
    ['tcp_user_timeout', '30000'],
    // A killed client is noticed while its statement still runs (TRAPS 4).
    ...(serverVersion >= 140_000
      ? ([
          ['client_connection_check_interval', '1000'],
          ['idle_session_timeout', '0'],
        ] as [string, string][])
      : []),
    ...(serverVersion >= 170_000 ? ([['transaction_timeout', '0']] as [string, string][]) : []),
  ];
}

const quote = (value: string) => `'${value.replaceAll("'", "''")}'`;
const listed = (name: string, value: string) => (name === 'search_path' ? value : quote(value));

/** Whatever a role or a database has set as defaults. */
export const BEGIN_SQL = 'BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE';

/** Begins a migrator's transaction; everything is LOCAL, so that nothing outlives it behind a pooler (TRAPS 36). */
export function beginSql(options: SessionOptions): string {
  return [
    BEGIN_SQL,
    ...settings(options).map(([name, value]) => `SET LOCAL ${name} = ${listed(name, value)}`),
    ...(options.role ? [`SET LOCAL ROLE ${escapeIdentifier(options.role)}`] : []),
  ].join('; ');
}

/** The same settings for a whole session, for statements that cannot run in a transaction. */
export function sessionSql(options: SessionOptions): string {
  return [
    ...settings(options).map(([name, value]) => `SET ${name} = ${listed(name, value)}`),
    'SET default_transaction_read_only = off',
    "SET default_transaction_isolation = 'read committed'",
    ...(options.role ? [`SET ROLE ${escapeIdentifier(options.role)}`] : []),
  ].join('; ');
}

/** Forgets whatever a migration has SET for the session. Not DISCARD ALL: that would give the lock away. */
export const RESET_SQL = 'SET SESSION AUTHORIZATION DEFAULT; RESET ALL';
