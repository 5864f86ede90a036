import type { Profile } from '../profile.js';

/** Crunchy Postgres for Kubernetes: the user has all rights on a database that belongs to postgres, and none in its schema public. */
export const crunchy: Profile = {
  mark: 'crunchy',
  version: 16,
  superuser: 'postgres',
  settings: ['archive_mode=on', 'archive_command=true', 'huge_pages=off', 'jit=off'],
  made: (password) => [
    [
      'postgres',
      `CREATE ROLE _crunchyrepl LOGIN REPLICATION; CREATE ROLE _crunchypgbouncer LOGIN; CREATE ROLE kasmapp LOGIN PASSWORD '${password}'`,
    ],
    ['postgres', 'CREATE DATABASE kasm'],
    [
      'kasm',
      `GRANT ALL ON DATABASE kasm TO kasmapp; CREATE SCHEMA pgbouncer; REVOKE ALL ON SCHEMA pgbouncer FROM PUBLIC; GRANT USAGE ON SCHEMA pgbouncer TO _crunchypgbouncer;
      CREATE FUNCTION pgbouncer.get_auth(username text) RETURNS TABLE (username text, password text) LANGUAGE sql SECURITY DEFINER
        AS 'SELECT rolname::text, rolpassword FROM pg_catalog.pg_authid WHERE rolname = $1';
      REVOKE ALL ON FUNCTION pgbouncer.get_auth(text) FROM PUBLIC`,
    ],
  ],
};
