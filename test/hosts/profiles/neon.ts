import type { Profile } from '../profile.js';

/** Neon: the owner of the database may make roles and passes by row security, as a member of neon_superuser. */
export const neon: Profile = {
  mark: 'neon',
  version: 17,
  superuser: 'cloud_admin',
  settings: ['neon.timeline_id=0', 'wal_level=logical', 'max_connections=112'],
  made: (password) => [
    [
      'postgres',
      `CREATE ROLE neon_superuser CREATEDB CREATEROLE REPLICATION BYPASSRLS;
      GRANT pg_read_all_data, pg_write_all_data, pg_monitor TO neon_superuser WITH ADMIN OPTION;
      CREATE ROLE neondb_owner LOGIN CREATEDB CREATEROLE REPLICATION BYPASSRLS PASSWORD '${password}' IN ROLE neon_superuser`,
    ],
    ['postgres', 'CREATE DATABASE neondb OWNER neondb_owner'],
    ['neondb', 'CREATE SCHEMA neon; GRANT ALL ON SCHEMA public TO neon_superuser WITH GRANT OPTION'],
  ],
  // neon_superuser may create in public.
  warnings: ['privilege'],
};
