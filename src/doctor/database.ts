import { describeHolder } from '../app/lock-holder.js';
import type { MigrationState } from '../history/state.js';
import type { Migration } from '../migrations/files.js';
import { notOwnedSql, notOwnedTables, ownershipWarning } from '../migrator/ownership.js';
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
  (SELECT bool_and(has_table_privilege(c.oid, w.privilege)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN (VALUES ('migrations', 'INSERT'), ('run', 'INSERT'), ('run', 'UPDATE')) w(name, privilege) ON w.name = c.relname
    WHERE n.nspname = 'kasm_db' AND c.relkind = 'r') AS history,
  ${notOwnedSql('$1')} AS "notOwned",
  ${otherCreatorsSql('session_user, current_user, (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database())')} AS creators,
  ARRAY(SELECT json_build_object('name', n.nspname, 'owner', ${strangeOwnerSql("''")}) FROM pg_namespace n CROSS JOIN ${ME} me
    WHERE n.nspname IN ('public', 'kasm_db') ORDER BY n.nspname) AS schemas,
  ${UNREPLICATED_SQL} AS unreplicated,
  current_setting('server_version') AS version, current_user AS "user", current_database() AS database`;

/** What PRIVILEGES_SQL tells. */
interface Privileges {
  create: boolean;
  temp: boolean;
  public: boolean;
  /** null: the schema is not there. */
  kasm_db: boolean | null;
  /** May its tables be written? null: there are none. */
  history: boolean | null;
  /** Tables of the migrations that belong to others. */
  notOwned: number;
  /** Others who may create in schema public. */
  creators: string[];
  /** owner: a stranger; null: somebody whom we trust. */
  schemas: { name: string; owner: string | null }[];
  /** Tables of publications that have no replica identity. */
  unreplicated: string[];
  version: string;
  user: string;
  database: string;
}

/** Version, primary, privileges, owners, lock: what migrations need of the server and of the role. */
export async function checkDatabase(
  report: Report,
  session: Session,
  state: MigrationState,
  migrations: readonly Migration[],
): Promise<void> {
  // Beside them another application may have its own, of another role.
  const tables = migrations.flatMap(({ creates }) => [...creates]);
  const [found] = (await session.query<Privileges>(PRIVILEGES_SQL, [tables])) as [Privileges];
  checkServer(report, state, found);
  checkPrivileges(report, state, found);
  checkTables(report, found);
  for (const name of session.refusedSettings)
    report.warning(
      'protection',
      `the server does not take ${name}, so it may notice late that a client is gone, and the lock is free only then`,
      'nothing has to be done; a run that was killed keeps the lock until its statement ends or its keepalives run out',
    );
  await checkLock(report, session, state, found.user);
}

function checkServer(report: Report, state: MigrationState, { version, user, database }: Privileges): void {
  const note = kasmServerNote(state.serverVersion);
  if (state.serverVersion < MIN_SERVER_VERSION)
    report.failed('version', 'environment', `PostgreSQL ${version} is too old`, 'use 13 or newer; Kasm 1.19 wants 16');
  else if (note) report.warning('version', note.text, note.fix);
  else report.ok('version', `PostgreSQL ${version}`);
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
}

function checkPrivileges(report: Report, state: MigrationState, found: Privileges): void {
  const { user, database, creators } = found;
  const privilege = (has: boolean, what: string, fix: string) =>
    has
      ? report.ok('privilege', `${user} ${what}`)
      : report.failed('privilege', 'environment', `${user} lacks: ${what}`, fix);
  privilege(found.public, 'may create tables in schema public', `GRANT CREATE, USAGE ON SCHEMA public TO "${user}"`);
  if (found.kasm_db === null)
    privilege(found.create, 'may create schema kasm_db', `CREATE SCHEMA kasm_db AUTHORIZATION "${user}"`);
  else privilege(found.kasm_db, 'may create tables in schema kasm_db', `ALTER SCHEMA kasm_db OWNER TO "${user}"`);
  if (found.history !== null)
    privilege(found.history, 'may write the history', `GRANT ALL ON ALL TABLES IN SCHEMA kasm_db TO "${user}"`);
  const ownership = ownershipWarning(state.owner, database);
  if (ownership) report.warning('ownership', ownership.text, ownership.fix);
  else report.ok('ownership', `${state.owner.owner} owns database ${database}`);
  privilege(
    found.temp,
    'may make temporary tables (for seeding)',
    `GRANT TEMPORARY ON DATABASE "${database}" TO "${user}"`,
  );
  if (creators.length > 0)
    report.warning(
      'privilege',
      `others may create functions and operators in schema public: ${creators.join(', ')}`,
      `as the owner of the schema, where nobody but Kasm uses this database: ${revokeSql(creators)}`,
    );
  for (const { name, owner: stranger } of found.schemas) {
    if (stranger === null) continue;
    const { text, fix } = strangeOwner(name, stranger, state.owner.owner);
    // As migrate does: no history is made where its owner could change it.
    if (name === 'kasm_db' && !state.history) report.failed('ownership', 'integrity', text, fix);
    else report.warning('ownership', text, fix);
  }
}

function checkTables(report: Report, { notOwned, unreplicated, user }: Privileges): void {
  if (notOwned > 0) {
    const { text, fix } = notOwnedTables(notOwned, user);
    report.failed('ownership', 'environment', text, fix);
  }
  if (unreplicated.length > 0)
    report.warning(
      'publication',
      `a publication holds tables without a primary key, whose UPDATE and DELETE PostgreSQL then refuses: ${unreplicated.join(', ')}`,
      'as the owner of each: ALTER TABLE … REPLICA IDENTITY FULL, or take the table out of the publication',
    );
}

async function checkLock(report: Report, session: Session, state: MigrationState, user: string): Promise<void> {
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
