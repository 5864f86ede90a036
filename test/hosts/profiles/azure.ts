import type { Profile } from '../profile.js';

/** Azure Flexible Server: CREATE EXTENSION is refused, whatever it says, for what is not in azure.extensions. */
export const azure: Profile = {
  mark: 'azure',
  version: 16,
  superuser: 'azuresu',
  settings: ['azure.extensions=UUID-OSSP', 'log_checkpoints=on'],
  made: (password) => [
    [
      'postgres',
      `CREATE ROLE azure_pg_admin; GRANT pg_monitor, pg_signal_backend TO azure_pg_admin WITH ADMIN OPTION;
      CREATE ROLE kasmadmin LOGIN CREATEROLE CREATEDB PASSWORD '${password}' IN ROLE azure_pg_admin`,
    ],
    ['postgres', 'CREATE DATABASE azure_maintenance'],
    ['postgres', 'CREATE DATABASE azure_sys'],
    ['postgres', 'CREATE DATABASE kasm OWNER azure_pg_admin'],
    [
      'kasm',
      `CREATE SCHEMA azure; CREATE FUNCTION azure.allow_listed() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
        IF current_query() !~* ('create extension.*"?(' || replace(current_setting('azure.extensions'), ',', '|') || ')"?')
          AND current_query() ~* 'create extension' THEN
          RAISE EXCEPTION 'extension is not allow-listed for users in Azure Database for PostgreSQL' USING ERRCODE = '0A000',
            HINT = 'to learn how to allow an extension or see the list of allowed extensions, please refer to https://go.microsoft.com/fwlink/?linkid=2301063';
        END IF; END $$;
      GRANT USAGE ON SCHEMA azure TO PUBLIC;
      CREATE EVENT TRIGGER azure_extensions ON ddl_command_start WHEN TAG IN ('CREATE EXTENSION') EXECUTE FUNCTION azure.allow_listed()`,
    ],
  ],
  // To azure_pg_admin the database belongs.
  warnings: ['ownership'],
};
