import type { Profile } from '../profile.js';

/** Amazon RDS and Aurora: the master user makes roles and databases, but is no superuser. */
export const rds: Profile = {
  mark: 'rds',
  version: 16,
  superuser: 'rdsadmin',
  settings: ['rds.force_ssl=0', 'log_statement=ddl', 'idle_in_transaction_session_timeout=86400000'],
  made: (password) => [
    [
      'postgres',
      `CREATE ROLE rds_superuser; GRANT pg_monitor, pg_signal_backend, pg_checkpoint TO rds_superuser WITH ADMIN OPTION;
      CREATE ROLE rds_password; CREATE ROLE rds_iam; CREATE ROLE rds_replication;
      CREATE ROLE postgres LOGIN CREATEROLE CREATEDB PASSWORD '${password}' VALID UNTIL 'infinity' IN ROLE rds_superuser;
      ALTER DATABASE postgres OWNER TO postgres`,
    ],
    ['postgres', 'CREATE DATABASE rdsadmin'],
    ['postgres', 'REVOKE CONNECT ON DATABASE rdsadmin FROM PUBLIC'],
  ],
};
