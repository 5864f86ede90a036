import type { Profile } from '../profile.js';

/** CloudNativePG: the application's role owns its database and is nothing else; a Pooler brings a function into public. */
export const cloudNativePg: Profile = {
  mark: 'cloudnative-pg',
  version: 18,
  superuser: 'postgres',
  settings: [
    'archive_mode=on',
    'archive_command=true',
    'archive_timeout=5min',
    'wal_level=logical',
    'max_slot_wal_keep_size=1GB',
  ],
  made: (password) => [
    [
      'postgres',
      `CREATE ROLE streaming_replica LOGIN REPLICATION; CREATE ROLE cnpg_pooler_pgbouncer LOGIN;
      CREATE ROLE kasmapp LOGIN PASSWORD '${password}'`,
    ],
    ['postgres', 'CREATE DATABASE kasm OWNER kasmapp'],
    [
      'kasm',
      `CREATE FUNCTION public.user_search(uname text) RETURNS TABLE (usename name, passwd text) LANGUAGE sql SECURITY DEFINER
        AS 'SELECT usename, passwd FROM pg_catalog.pg_shadow WHERE usename = $1';
      REVOKE ALL ON FUNCTION public.user_search(text) FROM PUBLIC; GRANT EXECUTE ON FUNCTION public.user_search(text) TO cnpg_pooler_pgbouncer`,
    ],
  ],
};
