import { escapeLiteral } from 'pg';
import { KasmDbError } from '../errors.js';
import type { Client } from '../postgres/connect.js';
import { LOCK_CLASSID, LOCK_OBJID } from '../postgres/lock-key.js';
import { toKasmDbError } from '../postgres/sqlstate.js';
import type { Look } from './state.js';

/** PostgreSQL 13 is the first that has gen_random_uuid() of its own and trusted extensions. */
export const MIN_SERVER_VERSION = 130_000;

/**
 * A query on a table that may not be there yet, without an error in the server's log and without a second round trip:
 * query_to_xml plans its text only when it is called. Hex keeps XML from escaping the JSON.
 */
const ifExists = (table: string, query: string) => `CASE WHEN to_regclass('${table}') IS NOT NULL
  THEN substring(query_to_xml($q$SELECT encode(convert_to((${query})::text, 'UTF8'), 'hex') AS j$q$, false, true, '')::text FROM '<j>([0-9a-f]*)</j>') END`;

const HISTORY_SQL = `SELECT coalesce(json_agg(json_build_object('name', name, 'checksum', checksum, 'kind', kind,
  'minCompatible', min_compatible, 'statementsDone', statements_done::int, 'statementsTotal', statements_total::int,
  'appVersion', app_version, 'appliedAt', applied_at, 'durationMs', duration_ms::int) ORDER BY name COLLATE "C"), '[]') FROM kasm_db.migrations`;

const RUN_SQL = `SELECT json_build_object('runId', run_id, 'pid', pid::int, 'applicationName', application_name, 'clientAddr', client_addr,
  'appVersion', app_version, 'startedAt', started_at, 'phase', phase, 'current', current, 'done', done::int, 'total', total::int,
  'error', error, 'seedDigest', seed_digest) FROM kasm_db.run WHERE id = 1`;

const VENDOR_SQL = `CASE WHEN has_table_privilege(to_regclass('public.alembic_version'), 'SELECT')
  THEN ${ifExists('public.alembic_version', 'SELECT to_json(min(version_num)) FROM public.alembic_version')} END`;

/** No history, or one without a row. */
const NO_HISTORY_SQL = `CASE WHEN to_regclass('kasm_db.migrations') IS NULL THEN true
    ELSE query_to_xml('SELECT 1 FROM kasm_db.migrations LIMIT 1', false, true, '')::text = '' END`;

/** What a gate's pace and its words depend on. */
const GATE_SQL = `EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted AND classid = ${LOCK_CLASSID} AND objid = ${LOCK_OBJID} AND objsubid = 1
    AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())) AS locked,
  (SELECT coalesce((to_jsonb(d) ->> 'sessions')::float8, d.xact_commit) FROM pg_catalog.pg_stat_database d WHERE d.datname = current_database()) AS sessions`;

const LOOK_SQL = ({
  vendor,
  gate,
}: LookOptions) => `SELECT pg_backend_pid() AS pid, current_setting('server_version_num')::int AS version,
  pg_is_in_recovery() AS standby,
  ${ifExists('kasm_db.migrations', HISTORY_SQL)} AS history,
  ${ifExists('kasm_db.run', RUN_SQL)} AS run,
  ${vendor ? VENDOR_SQL : 'NULL'} AS vendor, ${gate ? GATE_SQL : 'NULL AS locked, NULL AS sessions'},
  CASE WHEN ${NO_HISTORY_SQL} THEN (SELECT json_agg(c.relname ORDER BY c.relname)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')) END AS tables`;

export interface LookOptions {
  /** Also read public.alembic_version. */
  vendor: boolean;
  /** Also look at the lock and the server's counters. */
  gate?: boolean;
}

/**
 * Reads the history, the run row and what else decides the plan. Takes no lock but ACCESS SHARE, writes nothing, and works on a
 * standby, in a read-only transaction and with a role that may only SELECT.
 * @throws KasmDbError
 */
export async function look(client: Client, options: LookOptions): Promise<Look> {
  const row = await client.query(LOOK_SQL(options)).then(
    (result) => result.rows[0],
    (error) => {
      throw lookError(error);
    },
  );
  const json = (hex: string | null) => (hex ? JSON.parse(Buffer.from(hex, 'hex').toString('utf8')) : undefined);
  return {
    serverVersion: row.version,
    standby: row.standby,
    lockHeld: row.standby ? undefined : (row.locked ?? undefined),
    sessions: row.sessions ?? undefined,
    pooled: client.processID !== row.pid,
    history: json(row.history),
    run: json(row.run) ?? undefined,
    vendorVersion: json(row.vendor) ?? undefined,
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

const CREATE_SCHEMA = 'CREATE SCHEMA kasm_db';
const CREATE_TABLES = `
CREATE TABLE IF NOT EXISTS kasm_db.migrations (
  name             text PRIMARY KEY,
  checksum         text NOT NULL,
  applied_at       timestamptz NOT NULL DEFAULT now(),
  duration_ms      integer,
  applied_by       text NOT NULL DEFAULT session_user,
  app_version      text NOT NULL,
  kind             text NOT NULL CHECK (kind IN ('sql', 'adopted', 'repaired')),
  min_compatible   text,
  statements_done  integer,
  statements_total integer
);
CREATE TABLE IF NOT EXISTS kasm_db.run (
  id               integer PRIMARY KEY DEFAULT 1 CHECK (id = 1),
  run_id           text NOT NULL,
  pid              integer NOT NULL,
  application_name text NOT NULL,
  client_addr      text,
  app_version      text NOT NULL,
  started_at       timestamptz NOT NULL,
  phase            text NOT NULL CHECK (phase IN ('migrate', 'seed', 'done', 'failed')),
  current          text,
  done             integer NOT NULL DEFAULT 0,
  total            integer NOT NULL DEFAULT 0,
  error            text,
  seed_digest      text
);
COMMENT ON TABLE kasm_db.migrations IS 'kasm-db: what was applied; a row is written in the transaction of its migration';
COMMENT ON TABLE kasm_db.run IS 'kasm-db: the migration run in progress, or the last one';`;

/** What kasm_db must consist of; anything else is someone else's work (TRAPS 31). */
const TABLES: Record<string, Record<string, string>> = {
  migrations: {
    name: 'text',
    checksum: 'text',
    applied_at: 'timestamp with time zone',
    duration_ms: 'integer',
    applied_by: 'text',
    app_version: 'text',
    kind: 'text',
    min_compatible: 'text',
    statements_done: 'integer',
    statements_total: 'integer',
  },
  run: {
    id: 'integer',
    run_id: 'text',
    pid: 'integer',
    application_name: 'text',
    client_addr: 'text',
    app_version: 'text',
    started_at: 'timestamp with time zone',
    phase: 'text',
    current: 'text',
    done: 'integer',
    total: 'integer',
    error: 'text',
    seed_digest: 'text',
  },
};

const CATALOG_SQL = `SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'kasm_db') AS schema,
  (SELECT json_object_agg(c.relname, json_build_object('kind', c.relkind, 'columns',
      (SELECT json_object_agg(a.attname, format_type(a.atttypid, a.atttypmod)) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)))
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'kasm_db' AND c.relname IN ('migrations', 'run')) AS tables`;

/**
 * Creates the history where it is missing. Runs inside the caller's transaction and under the migration lock, so no two runs race for it.
 * @throws KasmDbError integrity when tables of that name have another shape; environment when the role may not create them
 */
export async function ensureHistory(client: Client): Promise<void> {
  const { rows } = await client.query(CATALOG_SQL);
  const { schema, tables } = rows[0] as {
    schema: boolean;
    tables: Record<string, { kind: string; columns: Record<string, string> }> | null;
  };
  for (const [name, columns] of Object.entries(TABLES)) {
    const found = tables?.[name];
    if (!found) continue;
    const differences = [
      ...(found.kind === 'r' ? [] : ['it is not an ordinary table']),
      ...Object.keys(found.columns).flatMap((column) => (columns[column] ? [] : [`foreign column ${column}`])),
      ...Object.entries(columns).flatMap(([column, type]) => {
        const actual = found.columns[column];
        if (actual === undefined) return [`missing column ${column}`];
        return actual === type ? [] : [`column ${column} is ${actual}, not ${type}`];
      }),
    ];
    if (differences.length > 0) {
      throw new KasmDbError('integrity', `kasm_db.${name} is not kasm-db's table: ${differences.join('; ')}`, {
        hint: 'find out who changed it; kasm-db never alters it by itself',
      });
    }
  }
  if (tables?.migrations && tables.run) return;
  try {
    // CREATE SCHEMA IF NOT EXISTS asks for the privilege even where the schema exists (TRAPS 38).
    if (!schema) await client.query(CREATE_SCHEMA);
    await client.query(CREATE_TABLES);
  } catch (error) {
    throw toKasmDbError(error, 'creating the history (schema kasm_db)', {
      hint: 'as the owner of the database: GRANT CREATE ON DATABASE <database> TO <role>; or make the schema: CREATE SCHEMA kasm_db AUTHORIZATION <role>',
    });
  }
}

export interface Recorded {
  name: string;
  checksum: string;
  /** null: the next statement of a no-transaction migration is being run; the mark outlives whoever dies in it. */
  durationMs: number | null;
  appVersion: string;
  minCompatible?: string | undefined;
  /** Of a no-transaction migration. */
  statements?: { done: number; total: number } | undefined;
}

/** SQL that records a migration, or how far a no-transaction one has come. */
export function recordSql(row: Recorded): string {
  const values = [
    escapeLiteral(row.name),
    escapeLiteral(row.checksum),
    String(row.durationMs === null ? 'NULL' : Math.round(row.durationMs)),
    'session_user',
    escapeLiteral(row.appVersion),
    "'sql'",
    row.minCompatible ? escapeLiteral(row.minCompatible) : 'NULL',
    String(row.statements?.done ?? 'NULL'),
    String(row.statements?.total ?? 'NULL'),
  ];
  const insert = `INSERT INTO kasm_db.migrations AS m (name, checksum, duration_ms, applied_by, app_version, kind, min_compatible, statements_done, statements_total)
VALUES (${values.join(', ')})`;
  if (!row.statements) return insert;
  return `${insert} ON CONFLICT (name) DO UPDATE SET applied_at = now(), duration_ms = coalesce(m.duration_ms, 0) + excluded.duration_ms,
  applied_by = excluded.applied_by, app_version = excluded.app_version, statements_done = excluded.statements_done, statements_total = excluded.statements_total`;
}

/** SQL that takes the mark back: the statement has failed, and the server said so. */
export function unmarkSql(name: string): string {
  return `UPDATE kasm_db.migrations SET duration_ms = 0 WHERE name = ${escapeLiteral(name)}`;
}
