import { escapeIdentifier, escapeLiteral } from 'pg';
import { KasmDbError } from '../app/errors.js';
import { lockHolders } from '../postgres/lock.js';
import { isServerError, shownOf } from '../postgres/server-error.js';
import { type Session, TO_PRIMARY } from '../postgres/session.js';
import { sqlstateOf, toKasmDbError } from '../postgres/sqlstate.js';
import { type FoundTable, findTablesSql, foundTables, NO_VIEW, requireSafe, SAFE_TO_READ } from '../postgres/tables.js';
import { ME } from '../postgres/trusted.js';
import { isRollback } from './run-row.js';
import {
  type DatabaseOwner,
  HEAD_OBJECT,
  type HistoryEntry,
  isAtWork,
  type MigrationState,
  type RunRow,
} from './state.js';
import { DIFFERENCES_TABLE, RUN_TABLES, requireOurs } from './tables.js';

export interface StateRequest {
  /** Also read public.alembic_version. */
  vendor: boolean;
  /** Without a history: also look which tables in public hold a row. Default: true. */
  rows?: boolean;
  /** How long the answer may take, in milliseconds; default 5 s. */
  withinMs?: number | undefined;
}

const WITHIN_MS = 5000;
const VENDOR_TABLE = 'public.alembic_version';

/** Who has set default_transaction_read_only to on. What is behind pg_settings, which hardened servers keep for themselves; it takes a while. */
export const READ_ONLY_BY_SQL = `CASE WHEN current_setting('default_transaction_read_only') = 'on'
  THEN (SELECT source FROM pg_show_all_settings() WHERE name = 'default_transaction_read_only') END`;

const SERVER_SQL = `SELECT pg_backend_pid() AS pid, current_setting('server_version_num')::int AS version, pg_is_in_recovery() AS standby,
  ${READ_ONLY_BY_SQL} AS "readOnlyBy",
  has_table_privilege('pg_catalog.pg_locks', 'SELECT') AND has_table_privilege('pg_catalog.pg_stat_activity', 'SELECT') AS "seesLocks",
  current_user AS "user", pg_get_userbyid(datdba) AS owner, pg_has_role(datdba, current_user, 'USAGE') AS "ownerMayUse"
FROM pg_database WHERE datname = current_database()`;

interface ServerRow extends DatabaseOwner {
  pid: number;
  version: number;
  standby: boolean;
  readOnlyBy: string | null;
  seesLocks: boolean;
}

function serverFacts(
  session: Session,
  { pid, version, standby, readOnlyBy, seesLocks, ...owner }: ServerRow,
): ServerFacts {
  return {
    serverVersion: version,
    standby,
    readOnlyBy: readOnlyBy ?? undefined,
    seesLocks: seesLocks && !standby,
    pooled: session.client.processID !== pid,
    owner,
  };
}

const HISTORY_SQL = `SELECT name, checksum, kind, min_compatible AS "minCompatible", statements_done AS "statementsDone",
  statements_total AS "statementsTotal", app_version AS "appVersion", applied_at AS "appliedAt", duration_ms AS "durationMs"
FROM kasm_db.migrations ORDER BY name COLLATE "C"`;

const RUN_SQL = `SELECT run_id AS "runId", pid, application_name AS "applicationName", client_addr AS "clientAddr", app_version AS "appVersion",
  started_at AS "startedAt", phase, current, done, total, error, seed_digest AS "seedDigest" FROM kasm_db.run WHERE id = 1`;

const VENDOR_SQL = `SELECT min(version_num::text) AS version FROM ${VENDOR_TABLE} ${NO_VIEW}`;

/** Another build's head under the same release, that `adopt` was told to accept. */
const ACCEPTED_SQL = `SELECT actual AS version FROM ${DIFFERENCES_TABLE} WHERE object = '${HEAD_OBJECT}'`;

const PUBLIC_TABLES_SQL = `SELECT c.relname AS name, c.relkind = 'r' AS plain FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') ORDER BY 1`;

interface PublicTable {
  name: string;
  plain: boolean;
}

/** Which of them can be looked into; planning it takes the server long, so it is asked only where there are tables. */
const READABLE_TABLES_SQL = `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN ${ME} me
WHERE n.nspname = 'public' AND c.relkind = 'r' AND has_table_privilege(c.oid, 'SELECT') AND NOT row_security_active(c.oid) AND ${SAFE_TO_READ}`;

/** Of so many tables at once: PostgreSQL has room for some 6,400 locks, and each table needs one for itself and for each of its indexes. */
const TABLES_AT_ONCE = 200;

/** Which of them hold a row; gives the locks back. */
function filledTablesSql(names: readonly string[]): string {
  const selects = names.map(
    (name) =>
      `SELECT ${escapeLiteral(name)} AS name WHERE EXISTS (SELECT FROM ONLY public.${escapeIdentifier(name)} ${NO_VIEW})`,
  );
  return `SAVEPOINT looked; ${selects.join(' UNION ALL ')}; ROLLBACK TO SAVEPOINT looked; RELEASE SAVEPOINT looked`;
}

/** Who has a table of the history for himself, so that nobody can read it. */
const KEEPERS_SQL = `SELECT l.pid, n.nspname || '.' || c.relname AS name FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
  JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.granted AND l.mode = 'AccessExclusiveLock' AND l.pid <> pg_backend_pid() AND (n.nspname = 'kasm_db' OR c.relname = 'alembic_version')`;

/** What answers: the server itself or a pooler before it, and what it can do. */
export type ServerFacts = Pick<
  MigrationState,
  'serverVersion' | 'standby' | 'readOnlyBy' | 'seesLocks' | 'pooled' | 'owner'
>;

/** Asks only that, in a transaction of its own. @throws KasmDbError */
export async function readServer(session: Session): Promise<ServerFacts> {
  const [row] = await session.reading(() => session.query(TO_PRIMARY + SERVER_SQL), { statementTimeoutMs: WITHIN_MS });
  return serverFacts(session, row);
}

/**
 * Reads the history, the run row and what else decides the plan, in one read-only snapshot. Takes no lock but ACCESS SHARE, writes nothing, works
 * on a standby and with a role that may only SELECT, and ends within its time whatever the server does.
 * @throws KasmDbError integrity when a table is not what it should be; environment, locked, unreachable
 */
export async function readState(session: Session, request: StateRequest): Promise<MigrationState> {
  const withinMs = request.withinMs ?? WITHIN_MS;
  const bounds = { lockTimeoutMs: withinMs / 2, statementTimeoutMs: withinMs };
  return session
    .reading(() => selectState(session, request), bounds)
    .catch(async (error) => {
      throw await readError(session, error);
    });
}

/** The same within a transaction of the caller's, such as one that holds the migration lock. */
export async function selectState(session: Session, { vendor, rows = true }: StateRequest): Promise<MigrationState> {
  const names = vendor ? [...RUN_TABLES, DIFFERENCES_TABLE, VENDOR_TABLE] : RUN_TABLES;
  const there = await session.ask({ server: SERVER_SQL, tables: findTablesSql(names) });
  const tables = await foundTables(session, there.tables ?? []);
  for (const name of [...RUN_TABLES, DIFFERENCES_TABLE]) requireHistoryTable(tables.get(name));
  const vendorTable = requireVendorTable(tables.get(VENDOR_TABLE));
  const differences = tables.get(DIFFERENCES_TABLE);
  // Who may not read what was accepted cannot judge what he reads there.
  const vendorRead = vendorTable?.readable && differences?.readable !== false;
  const found = await session.ask({
    ...(tables.has('kasm_db.migrations') ? { history: HISTORY_SQL } : {}),
    ...(tables.has('kasm_db.run') ? { run: RUN_SQL } : {}),
    ...(vendorRead ? { vendor: VENDOR_SQL } : {}),
    ...(vendorRead && differences ? { accepted: ACCEPTED_SQL } : {}),
  });
  const [row] = there.server as [ServerRow];
  const server = serverFacts(session, row);
  const history = found.history?.map(historyRow);
  const run = found.run?.map(runRowOf)[0];
  const holders = isAtWork(run) && server.seesLocks ? await lockHolders(session) : undefined;
  return {
    ...server,
    server: { host: session.client.host, port: session.client.port },
    history,
    run,
    vendorVersion: found.vendor?.[0]?.version ?? undefined,
    acceptedVersion: found.accepted?.[0]?.version ?? undefined,
    ...(history?.length ? { publicTables: [] } : await readPublicTables(session, rows)),
    lockHeld: holders && holders.length > 0,
    lockHolder: holders?.[0],
  };
}

async function readPublicTables(
  session: Session,
  rows: boolean,
): Promise<Pick<MigrationState, 'publicTables' | 'rows'>> {
  const tables = await session.query<PublicTable>(PUBLIC_TABLES_SQL);
  const publicTables = tables.map(({ name }) => name);
  if (!rows) return { publicTables };
  const plain = tables.filter((table) => table.plain).map(({ name }) => name);
  const may = new Set(
    plain.length === 0 ? [] : (await session.query<{ name: string }>(READABLE_TABLES_SQL)).map(({ name }) => name),
  );
  const readable = plain.filter((name) => may.has(name));
  const filled: string[] = [];
  for (let at = 0; at < readable.length; at += TABLES_AT_ONCE) {
    const some = await session.query<{ name: string }>(filledTablesSql(readable.slice(at, at + TABLES_AT_ONCE)));
    filled.push(...some.map(({ name }) => name));
  }
  return { publicTables, rows: { filled, unseen: plain.filter((name) => !may.has(name)) } };
}

function requireHistoryTable(found: FoundTable | undefined): void {
  if (found) requireOurs(found);
}

/** @throws KasmDbError integrity when it is not Kasm's */
function requireVendorTable(found: FoundTable | undefined): FoundTable | undefined {
  if (!found) return undefined;
  requireSafe(found);
  return found;
}

// biome-ignore lint/suspicious/noExplicitAny: a row of SQL above.
function historyRow(row: any): HistoryEntry {
  return { ...row, appliedAt: isoTime(row.appliedAt) };
}

// biome-ignore lint/suspicious/noExplicitAny: a row of SQL above.
function runRowOf(row: any): RunRow {
  return { ...row, startedAt: isoTime(row.startedAt), rollback: isRollback(row.runId) };
}

/** The driver gives no Date for times that JavaScript has none for. */
function isoTime(time: unknown): string {
  return time instanceof Date ? time.toISOString() : String(time);
}

/** The database's owner finds a history that somebody else has made. */
const OWNER_OF_OTHERS_SQL = `SELECT current_user AS "user", pg_get_userbyid(c.relowner) AS owner, d.datname AS database FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_database d ON d.datname = current_database()
WHERE n.nspname = 'kasm_db' AND c.relname = 'migrations' AND pg_has_role(d.datdba, 'USAGE') AND NOT pg_has_role(c.relowner, 'USAGE')`;

function ownedByOthers({ user, owner, database }: Record<string, string>, cause: unknown): KasmDbError {
  return new KasmDbError(
    'environment',
    `the tables of database ${database} belong to ${owner}, so ${user} cannot use them: kasm-db migrate was run with another login`,
    {
      hint: `as ${owner}: give the tables to ${user}, with the statements of docs/TROUBLESHOOTING.md, "Tables that belong to the wrong login"; from then on run kasm-db as ${user}, or with --role ${user}`,
      sqlstate: '42501',
      cause,
    },
  );
}

/** The role may read the history itself, or there is none. */
const MAY_READ_SQL = `SELECT coalesce(bool_and(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')), true) AS may
FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid WHERE n.nspname = 'kasm_db' AND c.relname IN ('migrations', 'run')`;

/** Somebody has a table of the history for himself. */
export class HistoryLocked extends KasmDbError {}

async function readError(session: Session, error: unknown): Promise<KasmDbError> {
  const code = sqlstateOf(error);
  if (code === '42501') {
    const [others] = await session.reading(() => session.query(OWNER_OF_OTHERS_SQL)).catch(() => []);
    if (others) throw ownedByOthers(others, error);
    const [own] = await session.reading(() => session.query(MAY_READ_SQL)).catch(() => []);
    // A hardened server may keep views of the catalog for itself; its message names what is missing.
    if (own?.may) return toKasmDbError(error, 'reading the history');
    return toKasmDbError(error, 'reading the history', {
      hint: 'as the owner of the history: GRANT USAGE ON SCHEMA kasm_db TO <role>; GRANT SELECT ON kasm_db.migrations, kasm_db.run TO <role>',
    });
  }
  if (code !== '55P03' && code !== '57014') return toKasmDbError(error, 'reading the history');
  const keepers = () => session.query(KEEPERS_SQL);
  const [keeper] = await session.reading(keepers, { statementTimeoutMs: WITHIN_MS }).catch(() => []);
  return new HistoryLocked(
    'locked',
    keeper
      ? `PID ${keeper.pid} holds ACCESS EXCLUSIVE on ${keeper.name}, so the history cannot be read`
      : `the history could not be read in time (SQLSTATE ${code})`,
    {
      ...(isServerError(error) ? shownOf(error) : { sqlstate: code }),
      hint: 'wait until that session has ended (pg_stat_activity shows what it does), then run the same command again',
      cause: error,
    },
  );
}
