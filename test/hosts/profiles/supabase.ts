import type { Profile } from '../profile.js';

/** Supabase: one database, with schemas, event triggers, default privileges and a publication of its own; uuid-ossp is there, in schema extensions. */
export const supabase: Profile = {
  mark: 'supabase',
  version: 15,
  superuser: 'supabase_admin',
  settings: ['wal_level=logical', 'search_path="$user", public, extensions'],
  made: (password) => [
    [
      'postgres',
      `CREATE ROLE anon; CREATE ROLE authenticated; CREATE ROLE service_role BYPASSRLS;
      CREATE ROLE authenticator LOGIN NOINHERIT; GRANT anon, authenticated, service_role TO authenticator;
      CREATE ROLE postgres LOGIN CREATEROLE CREATEDB REPLICATION BYPASSRLS PASSWORD '${password}';
      GRANT anon, authenticated, service_role, pg_monitor, pg_read_all_data TO postgres WITH ADMIN OPTION;
      ALTER DATABASE postgres OWNER TO postgres;
      CREATE SCHEMA extensions; CREATE EXTENSION "uuid-ossp" SCHEMA extensions; CREATE EXTENSION pgcrypto SCHEMA extensions;
      CREATE SCHEMA auth; CREATE TABLE auth.users (id uuid PRIMARY KEY); CREATE SCHEMA storage; CREATE SCHEMA realtime; CREATE SCHEMA graphql;
      GRANT USAGE ON SCHEMA public, extensions TO anon, authenticated, service_role;
      ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON TABLES TO postgres, anon, authenticated, service_role;
      ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON SEQUENCES TO postgres, anon, authenticated, service_role;
      ALTER ROLE anon SET statement_timeout = '3s'; ALTER ROLE authenticated SET statement_timeout = '8s';
      CREATE FUNCTION extensions.pgrst_ddl_watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ DECLARE cmd record; BEGIN
        FOR cmd IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP
          IF cmd.command_tag IN ('CREATE SCHEMA', 'CREATE TABLE', 'ALTER TABLE', 'COMMENT') THEN NOTIFY pgrst, 'reload schema'; END IF;
        END LOOP; END $$;
      CREATE EVENT TRIGGER pgrst_ddl_watch ON ddl_command_end EXECUTE FUNCTION extensions.pgrst_ddl_watch();
      CREATE FUNCTION extensions.grant_pg_cron_access() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
        IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() AS ev JOIN pg_extension AS ext ON ev.objid = ext.oid WHERE ext.extname = 'pg_cron')
          THEN GRANT USAGE ON SCHEMA cron TO postgres WITH GRANT OPTION; END IF; END $$;
      CREATE EVENT TRIGGER issue_pg_cron_access ON ddl_command_end WHEN TAG IN ('CREATE EXTENSION') EXECUTE FUNCTION extensions.grant_pg_cron_access();
      CREATE PUBLICATION supabase_realtime`,
    ],
  ],
};
