import { describeHolder } from '../app/lock-holder.js';
import { plural } from '../app/plural.js';
import type { MigrationState } from '../history/state.js';
import { ownershipWarning } from '../migrator/ownership.js';
import { readOnlyGuard, readOnlyLogin } from '../migrator/read-only.js';
import { MIN_SERVER_VERSION } from '../migrator/with-lock.js';
import { lockHolders } from '../postgres/lock.js';
import { otherCreatorsSql, revokeSql, strangeOwner, strangeOwnerSql } from '../postgres/public-schema.js';
import type { Session } from '../postgres/session.js';
import { ME } from '../postgres/trusted.js';
import { kasmServerNote } from './kasm-server.js';
import type { Report } from './report.js';

/** Tables of schema public that a publication of updates or deletes holds, and that have no replica identity (manual, CREATE PUBLICATION). */
const UNREPLICATED_SQL = `ARRAY(SELECT DISTINCT c.relname::text FROM pg_publication p
  JOIN pg_publication_tables t ON t.pubname = p.pubname JOIN pg_class c ON c.relname = t.tablename AND c.relnamespace = 'public'::regnamespace
  WHERE t.schemaname = 'public' AND (p.pubupdate OR p.pubdelete) AND (c.relreplident = 'n'
    OR c.relreplident = 'd' AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)) ORDER BY 1)`;

const PRIVILEGES_SQL = `SELECT has_database_privilege(current_user, current_database(), 'CREATE') AS "create",
  has_database_privilege(current_user, current_database(), 'TEMPORARY') AS temp,
  coalesce((SELECT has_schema_privilege(current_user, oid, 'CREATE') FROM pg_namespace WHERE nspname = 'public'), false) AS public,
  (SELECT has_schema_privilege(current_user, oid, 'CREATE') FROM pg_namespace WHERE nspname = 'kasm_db') AS kasm_db,
  (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind = 'r' AND NOT pg_has_role(current_user, c.relowner, 'USAGE'))::int AS "notOwned",
  ${otherCreatorsSql('session_user, current_user, (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database())')} AS creators,
  ARRAY(SELECT json_build_object('name', n.nspname, 'owner', ${strangeOwnerSql("''")}) FROM pg_namespace n CROSS JOIN ${ME} me
    WHERE n.nspname IN ('public', 'kasm_db') ORDER BY n.nspname) AS schemas,
  ${UNREPLICATED_SQL} AS unreplicated,
  current_setting('server_version') AS version, current_user AS "user", current_database() AS database`;

/** Version, primary, privileges, owners, lock: what a migration needs of the server and of the role. */
export async function checkDatabase(report: Report, session: Session, state: MigrationState): Promise<void> {
  const [p] = await session.query(PRIVILEGES_SQL);
  const { user, database } = p as { user: string; database: string };
  if (state.serverVersion < MIN_SERVER_VERSION)
    report.failed(
      'version',
      'environment',
      `PostgreSQL ${p.version} is too old`,
      'use 13 or newer; Kasm 1.19 wants 16',
    );
  else {
    const note = kasmServerNote(state.serverVersion);
    if (note) report.warning('version', note.text, note.fix);
    else report.ok('version', `PostgreSQL ${p.version}`);
  }
  if (state.standby)
    report.failed(
      'primary',
      'unreachable',
      'this server is a standby; it takes no writes',
      'connect to the primary, or list all hosts (POSTGRES_HOST=a,b): then it is found',
    );
  else report.ok('primary', 'this server takes writes');
  const guard = readOnlyGuard(state, database);
  if (guard) report.fail('read-only', guard);
  const login = readOnlyLogin(state);
  if (login) report.warning('read-only', login, `ALTER ROLE "${user}" RESET default_transaction_read_only`);
  if (state.pooled)
    report.warning(
      'pooler',
      'a connection pooler stands before the server; migrations run one transaction each',
      'set KASM_DB_DIRECT_URL for migrations that cannot run in a transaction',
    );
  else report.ok('pooler', 'the connection leads to PostgreSQL itself');
  const privilege = (name: string, has: boolean, what: string, fix: string) =>
    has ? report.ok(name, `${user} ${what}`) : report.failed(name, 'environment', `${user} lacks: ${what}`, fix);
  privilege(
    'privilege',
    p.public,
    'may create tables in schema public',
    `GRANT CREATE, USAGE ON SCHEMA public TO "${user}"`,
  );
  privilege(
    'privilege',
    p.kasm_db ?? p.create,
    p.kasm_db === null ? 'may create schema kasm_db' : 'may create tables in schema kasm_db',
    p.kasm_db === null ? `CREATE SCHEMA kasm_db AUTHORIZATION "${user}"` : `ALTER SCHEMA kasm_db OWNER TO "${user}"`,
  );
  const ownership = ownershipWarning(state.owner, database);
  if (ownership) report.warning('ownership', ownership.text, ownership.fix);
  else report.ok('ownership', `${state.owner.owner} owns database ${database}`);
  privilege(
    'privilege',
    p.temp,
    'may make temporary tables (for seeding)',
    `GRANT TEMPORARY ON DATABASE "${database}" TO "${user}"`,
  );
  if (p.creators.length > 0)
    report.warning(
      'privilege',
      `others may create functions and operators in schema public: ${p.creators.join(', ')}`,
      `as the owner of the schema, where nobody but Kasm uses this database: ${revokeSql(p.creators)}`,
    );
  for (const { name, owner: stranger } of p.schemas as { name: string; owner: string | null }[]) {
    if (stranger === null) continue;
    const { text, fix } = strangeOwner(name, stranger, state.owner.owner);
    // As migrate does: no history is made where its owner could change it.
    if (name === 'kasm_db' && !state.history) report.failed('ownership', 'integrity', text, fix);
    else report.warning('ownership', text, fix);
  }
  if (p.notOwned > 0)
    report.failed(
      'ownership',
      'environment',
      `${plural(p.notOwned, 'table')} in schema public ${p.notOwned === 1 ? 'belongs' : 'belong'} to roles that ${user} is not a member of`,
      'give them to this login (ALTER TABLE … OWNER TO), or set KASM_DB_ROLE to their owner',
    );
  if (p.unreplicated.length > 0)
    report.warning(
      'publication',
      `a publication holds tables without a primary key, whose UPDATE and DELETE PostgreSQL then refuses: ${p.unreplicated.join(', ')}`,
      'as the owner of each: ALTER TABLE … REPLICA IDENTITY FULL, or take the table out of the publication',
    );
  for (const name of session.refusedSettings)
    report.warning(
      'protection',
      `the server does not take ${name}, so it may notice late that a client is gone, and the lock is free only then`,
      'nothing has to be done; a run that was killed keeps the lock until its statement ends or its keepalives run out',
    );
  if (!state.seesLocks && !state.standby)
    return report.failed(
      'lock',
      'environment',
      `${user} may not see who holds the migration lock`,
      `as a superuser: GRANT SELECT ON pg_catalog.pg_locks, pg_catalog.pg_stat_activity TO "${user}"`,
    );
  const [holder] = state.seesLocks ? await lockHolders(session) : [];
  if (holder)
    report.warning(
      'lock',
      `the migration lock is held by ${describeHolder(holder)}`,
      'wait; kasm-db status shows what it is doing',
    );
  else report.ok('lock', state.standby ? 'a standby does not show who holds it' : 'the migration lock is free');
}
