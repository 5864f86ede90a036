import { SSL_MODES, TARGET_SESSION_ATTRS } from '../config/parameters.js';
import type { OptionGroup } from './spec.js';

/** What every command takes. */
export const GLOBAL_OPTIONS: readonly OptionGroup[] = [
  {
    title: 'Connection options',
    options: [
      ['--url <url>', 'postgres://USER@HOST:PORT/DB, without password'],
      ['--host <host>', 'server; several with commas, tried in order'],
      ['--port <port>', 'its port (default 5432)'],
      ['--dbname <name>', 'database'],
      ['--user <name>', 'login'],
      ['--sslmode <mode>', 'TLS, as in libpq (default prefer)', SSL_MODES],
      ['--target-session-attrs <kind>', 'which of several hosts will do, as in libpq', TARGET_SESSION_ATTRS],
      ['--direct-url <url>', 'way around a pooler, for commands that write'],
      ['--role <name>', 'role to work as (SET ROLE)'],
      ['--connect-timeout <duration>', 'keep trying to connect (default 10s)'],
      [
        '--embedded [dir]',
        'run on a private PostgreSQL 16 in this folder (default .kasm-db/postgres) instead',
        'folder',
      ],
    ],
  },
  {
    title: 'File options',
    options: [
      ['--env-file <file>', 'settings as NAME=value, a line each; the environment counts more', 'file'],
      [
        '--migrations <dir>',
        'folder of migrations (default: KASM_DB_MIGRATIONS, else those that ship with kasm-db)',
        'folder',
      ],
      ['--seeds <path>', 'seed document or folder of them (default: those that ship with kasm-db)', 'path'],
      ['--secrets <dir>', 'mounted Secret, a file a key (default: KASM_DB_SECRETS_DIR)', 'folder'],
    ],
  },
  {
    title: 'Output options',
    options: [
      ['--json', 'print one JSON object'],
      ['--quiet', 'print no progress'],
      ['--verbose', 'print notices and stacks'],
      ['--no-color', 'no colours (as with NO_COLOR)'],
    ],
  },
];
