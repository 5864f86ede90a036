import { KasmDbError } from '../errors.js';
import type { Client } from '../postgres/connect.js';
import { LOCK_CLASSID, LOCK_OBJID } from '../postgres/lock-key.js';
import { toKasmDbError } from '../postgres/sqlstate.js';
import { MIN_SERVER_VERSION } from './history.js';
import { historyOf, historySql } from './history-columns.js';
import type { Look } from './state.js';

/**
 * A query on a table that may not be there yet, without an error in the server's log and without a second round trip:
 * query_to_xml plans its text only when it is called. Hex keeps XML from escaping the JSON.
 */
const ifExists = (table: string, query: string) => `CASE WHEN pg_catalog.to_regclass('${table}') IS NOT NULL
  THEN substring(pg_catalog.query_to_xml($q$SELECT pg_catalog.encode(pg_catalog.convert_to((${query})::text, 'UTF8'), 'hex') AS j$q$, false, true, '')::text FROM '<j>([0-9a-f]*)</j>') END`;

const HISTORY_SQL = `SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('name', name, 'checksum', checksum, 'kind', kind,
  'minCompatible', min_compatible, 'statementsDone', statements_done::int, 'statementsTotal', statements_total::int,
  'appVersion', app_version, 'appliedAt', applied_at, 'durationMs', duration_ms::int) ORDER BY name COLLATE "C"), '[]') FROM kasm_db.migrations`;

const RUN_SQL = `SELECT pg_catalog.json_build_object('runId', run_id, 'pid', pid::int, 'applicationName', application_name, 'clientAddr', client_addr,
  'appVersion', app_version, 'startedAt', started_at, 'phase', phase, 'current', current, 'done', done::int, 'total', total::int,
  'error', error, 'seedDigest', seed_digest) FROM kasm_db.run WHERE id = 1`;

const VENDOR_SQL = `CASE WHEN pg_catalog.has_table_privilege(pg_catalog.to_regclass('public.alembic_version'), 'SELECT')
  THEN ${ifExists('public.alembic_version', 'SELECT pg_catalog.to_json(pg_catalog.min(version_num)) FROM public.alembic_version')} END`;

/** No history, or one without a row. */
const NO_HISTORY_SQL = `CASE WHEN pg_catalog.to_regclass('kasm_db.migrations') IS NULL THEN true
    ELSE pg_catalog.query_to_xml('SELECT 1 FROM kasm_db.migrations LIMIT 1', false, true, '')::text = '' END`;

const OWN_DATABASE = '(SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())';

const LOCK_SQL = `EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted AND classid = ${LOCK_CLASSID}::oid AND objid = ${LOCK_OBJID}::oid
    AND objsubid = 1 AND database = ${OWN_DATABASE})`;

/** What a gate's pace depends on: sessions since PostgreSQL 14, before that transactions. */
const sessionsSql = (version: number) =>
  `pg_catalog.pg_stat_get_db_${version >= 140_000 ? 'sessions' : 'xact_commit'}(${OWN_DATABASE})::float8`;

/** What a look asks besides history and run row. */
const context = (
  { vendor, gate, version }: Asked,
  vendorSql: string,
  lockSql = LOCK_SQL,
) => `pg_catalog.pg_backend_pid() AS pid, pg_catalog.current_setting('server_version_num')::int AS version,
  pg_catalog.pg_is_in_recovery() AS standby, ${vendor ? vendorSql : 'NULL'} AS vendor, ${
    gate ? `${lockSql} AS locked, ${sessionsSql(version)} AS sessions` : 'NULL AS locked, NULL AS sessions'
  }`;

/** Only a run that says it is at work makes the lock interesting, and the view of all locks is dear. */
const WORKING_LOCK_SQL = `CASE WHEN (SELECT phase FROM kasm_db.run WHERE id = 1) IN ('migrate', 'seed') THEN ${LOCK_SQL} END`;

/**
 * The usual case, half as dear to the server as the careful one, whose JSON of rows costs it more to plan than columns do. One message, one
 * snapshot: in a message of several statements SET TRANSACTION holds to its end. Fails where a table is not there, or not ours to read.
 */
const usualSql = (options: Asked) => `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
SELECT ${context(options, '(SELECT pg_catalog.min(version_num) FROM public.alembic_version)', WORKING_LOCK_SQL)};
${historySql(options.times ?? false)};
SELECT run_id AS "runId", pid::int, application_name AS "applicationName", client_addr AS "clientAddr", app_version AS "appVersion",
  pg_catalog.to_json(started_at) AS "startedAt", pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - started_at) * 1000 AS "ageMs", phase, current, done::int, total::int, error, seed_digest AS "seedDigest"
  FROM kasm_db.run WHERE id = 1`;

/** Answers whatever is there or is not. */
const carefulSql = (options: Asked) => `SELECT ${context(options, VENDOR_SQL)},
  ${ifExists('kasm_db.migrations', HISTORY_SQL)} AS history, ${ifExists('kasm_db.run', RUN_SQL)} AS run,
  CASE WHEN ${NO_HISTORY_SQL} THEN (SELECT pg_catalog.json_agg(c.relname ORDER BY c.relname)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass::oid AND d.objid = c.oid AND d.deptype = 'e')) END AS tables`;

/** For a gate that has seen that there is no history: is there one now? */
const absentSql = (options: Asked) =>
  `SELECT ${context({ ...options, vendor: false }, '')}, pg_catalog.to_regclass('kasm_db.migrations') IS NOT NULL AS there`;

type Asked = LookOptions & { version: number };

export interface LookOptions {
  /** Also read public.alembic_version. */
  vendor: boolean;
  /** Also look at the lock and the server's counters. */
  gate?: boolean;
  /** Also read when each migration was applied. */
  times?: boolean;
  /** The last look found no history. */
  absent?: boolean;
  /** Where there is no history, don't look for other people's tables: another look follows, under the lock. */
  brief?: boolean;
}

/**
 * Reads the history, the run row and what else decides the plan. Takes no lock but ACCESS SHARE, writes nothing, and works on a
 * standby, in a read-only transaction and with a role that may only SELECT.
 * @throws KasmDbError
 */
export async function look(client: Client, request: LookOptions): Promise<Look> {
  const options = { ...request, version: client.announcedVersion ?? MIN_SERVER_VERSION };
  if (options.absent) {
    const { rows } = await ask(client, absentSql(options));
    const row = rows[0];
    if (!row.there) return lookOf(client, row);
  }
  // Inside a transaction an error would end it.
  if (client.getTransactionStatus() === 'I') {
    const [, asked, history, run] = (await ask(client, usualSql(options), NOT_THERE)) ?? [];
    const rows = historyOf(history?.rows[0]);
    if (rows) return lookOf(client, { ...asked.rows[0], history: rows, run: run.rows[0] });
    if (options.brief) {
      const { rows: brief } = await ask(client, absentSql(options));
      if (!brief[0].there) return lookOf(client, brief[0]);
    }
  }
  const { rows } = await ask(client, carefulSql(options));
  const row = rows[0];
  const json = (hex: string | null) => (hex ? JSON.parse(Buffer.from(hex, 'hex').toString('utf8')) : undefined);
  return lookOf(client, { ...row, history: json(row.history), run: json(row.run), vendor: json(row.vendor) });
}

/** No such table, no such schema, not allowed. */
const NOT_THERE = ['42P01', '3F000', '42501'];

// biome-ignore lint/suspicious/noExplicitAny: pg's result, or one for each statement.
async function ask(client: Client, sql: string, tolerated: readonly string[] = []): Promise<any> {
  try {
    return await client.query(sql);
  } catch (error) {
    if (tolerated.includes((error as { code?: string }).code ?? '')) return undefined;
    throw lookError(error);
  }
}

// biome-ignore lint/suspicious/noExplicitAny: a row of SQL above.
function lookOf(client: Client, row: any): Look {
  return {
    server: { host: client.host, port: client.port },
    serverVersion: row.version,
    standby: row.standby,
    lockHeld: row.standby ? undefined : (row.locked ?? undefined),
    sessions: row.sessions ?? undefined,
    pooled: client.processID !== row.pid,
    history: row.history ?? undefined,
    run: row.run ?? undefined,
    vendorVersion: row.vendor ?? undefined,
    publicTables: row.tables ?? [],
  };
}

function lookError(error: unknown): KasmDbError {
  const code = (error as { code?: string }).code;
  // undefined column, undefined function, no such cast, not a number
  if (['42703', '42883', '42846', '22P02'].includes(code ?? '')) {
    return new KasmDbError(
      'integrity',
      'the tables of schema kasm_db are not those of kasm-db (a column is missing or of another type)',
      {
        sqlstate: code,
        hint: 'find out who changed kasm_db.migrations or kasm_db.run; docs/TROUBLESHOOTING.md shows their definition',
        cause: error,
      },
    );
  }
  if (code === '42501') {
    return new KasmDbError('environment', `reading the history: ${(error as Error).message} (SQLSTATE 42501)`, {
      sqlstate: code,
      hint: 'as the owner of the history: GRANT USAGE ON SCHEMA kasm_db TO <role>; GRANT SELECT ON kasm_db.migrations, kasm_db.run TO <role>',
      cause: error,
    });
  }
  return toKasmDbError(error, 'reading the history');
}
