import { escapeIdentifier } from 'pg';
import type { ConnectionSettings } from '../config/settings.js';
import { poolerHint } from './pooler-words.js';
import { type ServerError, withServerHint } from './server-error.js';

/**
 * What to do about a login that the server refuses, by SQLSTATE; where one has several causes, by the server's routine (src/backend: postmaster,
 * utils/init, libpq), which no language changes.
 */
export function loginHint(error: ServerError, settings: ConnectionSettings): string {
  const own = poolerHint(error) ?? ownHint(error, settings);
  return withServerHint(own, error) ?? 'read the server log';
}

function ownHint({ code, routine }: ServerError, settings: ConnectionSettings): string | undefined {
  const role = escapeIdentifier(settings.user);
  const database = escapeIdentifier(settings.dbname);
  switch (code) {
    case '57P03':
      return 'wait for it';
    case '53300':
      if (routine === 'InitializeSessionUserId')
        return `this role's own limit is reached: ALTER ROLE ${role} CONNECTION LIMIT -1 (or a higher one), or end idle sessions of it`;
      if (routine === 'CheckMyDatabase')
        return `this database's own limit is reached: ALTER DATABASE ${database} CONNECTION LIMIT -1 (or a higher one), or end idle sessions in it`;
      return 'raise max_connections, or end idle sessions';
    case '28P01':
      return passwordHint(settings);
    case '28000':
      if (routine === 'InitializeSessionUserId')
        return `there is no such role, or it may not log in: ALTER ROLE ${role} LOGIN, or correct POSTGRES_USER`;
      if (routine === 'ClientAuthentication') return hbaHint(settings);
      return passwordHint(settings);
    case '3D000':
      return settings.dbname === '*' ? ANY_DATABASE : 'correct POSTGRES_DB, or create it: CREATE DATABASE';
    case '42501':
      return `as the owner of the database: GRANT CONNECT ON DATABASE ${database} TO ${role}`;
    case '55000':
      return `as a superuser or its owner: ALTER DATABASE ${database} ALLOW_CONNECTIONS true (\`\\l\` of psql shows an invalid one); or correct POSTGRES_DB`;
    case '58P01':
      return `a library of session_preload_libraries or local_preload_libraries is not on the server: install it there, or take it out (as a superuser: ALTER DATABASE ${database} RESET session_preload_libraries; the same for ALTER ROLE ${role} and ALTER SYSTEM)`;
    case '08P01':
      return settings.options
        ? 'a pooler takes no server options at login: unset PGOPTIONS, or set KASM_DB_DIRECT_URL to PostgreSQL itself'
        : undefined;
    default:
      return undefined;
  }
}

/** What CloudNativePG and others write into a superuser's Secret. */
export const ANY_DATABASE =
  '"*" is what a superuser\'s Secret says for any database (CloudNativePG): name the one of Kasm with POSTGRES_DB or --dbname (chart: database.name)';

function passwordHint({ password, sources }: ConnectionSettings): string {
  const check = 'check user and password (POSTGRES_USER, POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE) and pg_hba.conf';
  if (password === undefined || !/\s$/.test(password)) return check;
  const what = /[\r\n]$/.test(password) ? 'a line break' : 'blank space';
  return `the password (${sources.password ?? 'as given'}) ends with ${what}, which counts: make the Secret without it (printf %s, not echo); else ${check}`;
}

function hbaHint({ sslmode }: ConnectionSettings): string {
  const line = 'pg_hba.conf has no line that lets this user into this database from here, or one that refuses it';
  return sslmode === 'disable' || sslmode === 'allow'
    ? `${line}: if it has hostssl lines only, set PGSSLMODE=require (better: verify-full)`
    : `${line}: its administrator has to add one (hostssl for TLS; a line "hostnossl" needs PGSSLMODE=disable)`;
}
