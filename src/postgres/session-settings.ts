import { hostname } from 'node:os';
import { escapeIdentifier, escapeLiteral } from 'pg';
import { VERSION } from '../app/version.js';

/** PostgreSQL cuts application_name at NAMEDATALEN - 1 bytes. */
const MAX_BYTES = 63;

/** `kasm-db/<version> <pod or host>`, so that an operator finds us in pg_stat_activity. */
export function applicationName(): string {
  const name = `kasm-db/${VERSION} ${process.env.HOSTNAME || hostname()}`.replace(/[^\x20-\x7e]/g, '?');
  return name.slice(0, MAX_BYTES);
}

/** How long a transaction's statements may take, in milliseconds; 0, the default: without end. */
export interface Bounds {
  lockTimeoutMs?: number;
  statementTimeoutMs?: number;
}

export type Setting = readonly [name: string, value: string];

/** What our own statements around a migration's file depend on; FILE_SETTINGS takes each of them back. */
export const AROUND_FILE_SETTINGS: readonly Setting[] = [
  ['search_path', 'pg_catalog, pg_temp'],
  ['row_security', 'off'],
  ['standard_conforming_strings', 'on'],
  ['quote_all_identifiers', 'off'],
  ['transform_null_equals', 'off'],
];

/**
 * Statements of our own look nothing up in a schema that others can write to (CVE-2018-1058), compute nobody's checks to plan a query
 * (constraint_exclusion), see every row or fail (row_security), and print and read values in one form whatever a role or database has set, as
 * pg_dump makes sure of too.
 */
export const OWN_SETTINGS: readonly Setting[] = [
  ...AROUND_FILE_SETTINGS,
  ['constraint_exclusion', 'off'],
  ['DateStyle', "'ISO, YMD'"],
  ['IntervalStyle', 'postgres'],
  ['TimeZone', "'UTC'"],
  ['bytea_output', 'hex'],
  ['extra_float_digits', '1'],
  ['xmloption', 'content'],
];

/** A file runs as in psql: public alone, so that a temporary table stands before one of the same name; else as role and database have it. */
export const FILE_SETTINGS: readonly Setting[] = [
  ['search_path', 'public'],
  ['standard_conforming_strings', 'on'],
  ['row_security', 'DEFAULT'],
  ['quote_all_identifiers', 'DEFAULT'],
  ['transform_null_equals', 'DEFAULT'],
];

/**
 * A server that finds out soon that its client is gone gives its locks back. All this only protects: who cannot have it does without.
 * @param serverVersion such as 160014
 */
export function protectiveSettings(serverVersion: number): readonly Setting[] {
  return [
    ['tcp_keepalives_idle', '10'],
    ['tcp_keepalives_interval', '5'],
    ['tcp_keepalives_count', '4'],
    ['tcp_user_timeout', '30000'],
    ...(serverVersion >= 140_000 ? ([['client_connection_check_interval', '1000']] as const) : []),
  ];
}

/** SQL. @param scope LOCAL: until the end of the transaction */
export function setSql(settings: readonly Setting[], scope: 'LOCAL' | 'SESSION' = 'LOCAL'): string {
  return settings.map(([name, value]) => `SET ${scope} ${name} = ${value}`).join('; ');
}

/** What settings depend on. */
interface Whose {
  /** Role to take on, beside the login's. */
  role: string | undefined;
  serverVersion: number;
  /** Protective settings that the server does not take. */
  refusedSettings: ReadonlySet<string>;
}

/** SQL that makes the settings of a transaction or a session. @param special of its kind */
export function settingsSql(
  special: readonly Setting[],
  { role, serverVersion, refusedSettings }: Whose,
  { lockTimeoutMs = 0, statementTimeoutMs = 0 }: Bounds = {},
  scope: 'LOCAL' | 'SESSION' = 'LOCAL',
): string {
  const settings: Setting[] = [
    ...special,
    // Behind a pooler RESET ALL gives its server connection the pooler's name; who waits has to see ours.
    ['application_name', escapeLiteral(applicationName())],
    ['statement_timeout', String(Math.round(statementTimeoutMs))],
    ['lock_timeout', String(Math.round(lockTimeoutMs))],
    ['idle_in_transaction_session_timeout', '0'],
    ...(serverVersion >= 140_000 ? ([['idle_session_timeout', '0']] as const) : []),
    ...(serverVersion >= 170_000 ? ([['transaction_timeout', '0']] as const) : []),
    ...protectiveSettings(serverVersion).filter(([name]) => !refusedSettings.has(name)),
  ];
  const ofRole = role === undefined ? '' : `; SET ${scope} ROLE ${escapeIdentifier(role)}`;
  return setSql(settings, scope) + ofRole;
}

/**
 * Puts away what a migration has left in the session, as DISCARD ALL would, but for advisory locks: the migration lock is one (PostgreSQL manual,
 * DISCARD). The first part belongs before the record, which must not be written with a migration's settings or role; the second needs no
 * transaction.
 */
export const RESET_SETTINGS = 'SET SESSION AUTHORIZATION DEFAULT; RESET ALL';
export const DISCARD_REST = 'CLOSE ALL; DEALLOCATE ALL; UNLISTEN *; DISCARD PLANS; DISCARD TEMP; DISCARD SEQUENCES';

/**
 * An autovacuum worker gives way to who waits longer than his own deadlock_timeout: who may set that makes it short, in milliseconds, others wait as
 * long as the server says. Looked up anew by each transaction, since a file may take another role; all of it qualified, since it may be the file's
 * search_path that holds.
 */
export function shortDeadlockTimeout(serverVersion: number): string {
  const condition =
    serverVersion >= 150_000
      ? "WHERE pg_catalog.has_parameter_privilege('deadlock_timeout', 'SET')"
      : 'FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) CURRENT_USER AND rolsuper';
  return `SELECT pg_catalog.set_config('deadlock_timeout', '50', true) ${condition}`;
}
