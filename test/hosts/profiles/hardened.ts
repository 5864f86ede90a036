import type { Profile } from '../profile.js';

/** A server that was hardened by a benchmark's list: nothing for PUBLIC, short timeouts, an owner that nobody inherits, DDL audited by a trigger. */
export const hardened: Profile = {
  mark: 'hardened',
  version: 17,
  superuser: 'postgres',
  settings: ['log_statement=all', 'log_connections=on', 'log_error_verbosity=verbose', 'statement_timeout=30s'],
  made: (password) => [
    [
      'postgres',
      `CREATE ROLE kasm_owner; CREATE ROLE kasmapp LOGIN NOINHERIT CONNECTION LIMIT 10 PASSWORD '${password}';
      GRANT kasm_owner TO kasmapp WITH INHERIT FALSE, SET TRUE;
      ALTER ROLE kasmapp SET statement_timeout = '5s'; ALTER ROLE kasmapp SET lock_timeout = '500ms';
      ALTER ROLE kasmapp SET idle_in_transaction_session_timeout = '5s'; ALTER ROLE kasmapp SET idle_session_timeout = '5s';
      ALTER ROLE kasmapp SET transaction_timeout = '5s'; ALTER ROLE kasmapp SET search_path = ''`,
    ],
    ['postgres', 'CREATE DATABASE kasm OWNER kasm_owner'],
    [
      'kasm',
      `REVOKE ALL ON DATABASE kasm FROM PUBLIC; GRANT CONNECT ON DATABASE kasm TO kasmapp;
      REVOKE ALL ON SCHEMA public FROM PUBLIC; REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
      ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
      ALTER DATABASE kasm SET default_transaction_isolation = 'serializable'; ALTER DATABASE kasm SET DateStyle = 'German';
      ALTER DATABASE kasm SET standard_conforming_strings = off; ALTER DATABASE kasm SET bytea_output = 'escape';
      CREATE SCHEMA audit; CREATE TABLE audit.ddl (at timestamptz DEFAULT now(), who name DEFAULT session_user, tag text);
      CREATE FUNCTION audit.log_ddl() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
        AS $$ BEGIN INSERT INTO audit.ddl (tag) VALUES (tg_tag); END $$;
      CREATE EVENT TRIGGER audit_ddl ON ddl_command_end EXECUTE FUNCTION audit.log_ddl()`,
    ],
  ],
};
