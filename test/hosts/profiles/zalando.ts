import type { Profile } from '../profile.js';

/** Zalando's operator with preparedDatabases: an owner that cannot log in, a login with search_path and role of its own, default privileges. */
export const zalando: Profile = {
  mark: 'zalando',
  version: 15,
  superuser: 'postgres',
  settings: ['log_statement=ddl', 'tcp_keepalives_idle=900'],
  made: (password) => [
    [
      'postgres',
      `CREATE ROLE zalandos CREATEDB; CREATE ROLE robot_zmon; CREATE ROLE standby LOGIN REPLICATION;
      CREATE ROLE kasm_owner; CREATE ROLE kasm_reader; CREATE ROLE kasm_writer IN ROLE kasm_reader; GRANT kasm_reader, kasm_writer TO kasm_owner;
      CREATE ROLE kasm_owner_user LOGIN PASSWORD '${password}' IN ROLE kasm_owner`,
    ],
    ['postgres', 'CREATE DATABASE kasm OWNER kasm_owner'],
    [
      'kasm',
      `CREATE EXTENSION pg_stat_statements; CREATE SCHEMA metric_helpers; CREATE SCHEMA user_management;
      CREATE FUNCTION metric_helpers.get_table_bloat() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
      CREATE FUNCTION user_management.create_user(username text) RETURNS void LANGUAGE sql SECURITY DEFINER AS 'SELECT';
      ALTER ROLE kasm_owner_user IN DATABASE kasm SET search_path = "$user", data, public;
      ALTER ROLE kasm_owner_user IN DATABASE kasm SET role = kasm_owner;
      CREATE SCHEMA data AUTHORIZATION kasm_owner;
      ALTER DEFAULT PRIVILEGES FOR ROLE kasm_owner GRANT SELECT ON TABLES TO kasm_reader;
      ALTER DEFAULT PRIVILEGES FOR ROLE kasm_owner GRANT INSERT, UPDATE, DELETE ON TABLES TO kasm_writer;
      ALTER DEFAULT PRIVILEGES FOR ROLE kasm_owner GRANT USAGE ON SCHEMAS TO kasm_reader`,
    ],
  ],
};
