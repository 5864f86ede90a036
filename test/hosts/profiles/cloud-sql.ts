import type { Profile } from '../profile.js';

/** Google Cloud SQL: schema public belongs to cloudsqlsuperuser, and a schema of the service's stands in every database. */
export const cloudSql: Profile = {
  mark: 'cloud-sql',
  version: 15,
  superuser: 'cloudsqladmin',
  settings: ['cloudsql.iam_authentication=on', 'temp_file_limit=1GB'],
  made: (password) => [
    [
      'postgres',
      `CREATE ROLE cloudsqlsuperuser CREATEROLE CREATEDB; CREATE ROLE cloudsqlagent; CREATE ROLE cloudsqlimportexport;
      GRANT pg_monitor, pg_signal_backend TO cloudsqlsuperuser;
      CREATE ROLE postgres LOGIN CREATEROLE CREATEDB PASSWORD '${password}' IN ROLE cloudsqlsuperuser`,
    ],
    ['postgres', 'CREATE DATABASE kasm OWNER cloudsqlsuperuser'],
    [
      'kasm',
      `ALTER SCHEMA public OWNER TO cloudsqlsuperuser; CREATE SCHEMA google_vacuum_mgmt;
      CREATE FUNCTION google_vacuum_mgmt.oldest() RETURNS int LANGUAGE sql AS 'SELECT 1';
      CREATE EXTENSION pg_stat_statements`,
    ],
  ],
  // To cloudsqlsuperuser the database belongs.
  warnings: ['ownership'],
};
