import type { Profile } from '../profile.js';

/** Aiven: avnadmin makes roles and databases; functions of the service run as its superuser. */
export const aiven: Profile = {
  mark: 'aiven',
  version: 14,
  superuser: 'postgres',
  settings: ['log_min_duration_statement=-1', 'wal_level=logical', 'max_wal_senders=20'],
  made: (password) => [
    [
      'postgres',
      `CREATE ROLE avnadmin LOGIN CREATEROLE CREATEDB REPLICATION PASSWORD '${password}'; GRANT pg_monitor, pg_signal_backend TO avnadmin WITH ADMIN OPTION;
      CREATE ROLE _aiven SUPERUSER`,
    ],
    ['postgres', 'CREATE DATABASE defaultdb OWNER avnadmin'],
    ['postgres', 'CREATE DATABASE _aiven OWNER _aiven'],
    ['postgres', 'REVOKE CONNECT ON DATABASE _aiven FROM PUBLIC'],
    [
      'defaultdb',
      `CREATE SCHEMA aiven_extras; CREATE FUNCTION aiven_extras.pg_list_all_subscriptions() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'`,
    ],
  ],
  // Before PostgreSQL 15 everybody may create in public.
  warnings: ['privilege'],
};
