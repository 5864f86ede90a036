import type { QueryResult } from 'pg';
import { KasmDbError } from '../app/errors.js';
import type { Client } from '../postgres/client.js';
import { toKasmDbError } from '../postgres/sqlstate.js';
import { MIN_SERVER_VERSION } from './history.js';
import { contextSql, LOCKED_SQL, type LookOptions } from './look-context.js';
import { isAtWork, type Look } from './state.js';
import { type Usual, usualLook } from './usual-look.js';

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

/** Answers whatever is there or is not. */
const carefulSql = (
  options: Asked,
) => `SELECT ${contextSql(options)}, ${options.vendor ? VENDOR_SQL : 'NULL'} AS vendor,
  ${ifExists('kasm_db.migrations', HISTORY_SQL)} AS history, ${ifExists('kasm_db.run', RUN_SQL)} AS run,
  CASE WHEN ${NO_HISTORY_SQL} THEN (SELECT pg_catalog.json_agg(c.relname ORDER BY c.relname)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass::oid AND d.objid = c.oid AND d.deptype = 'e')) END AS tables`;

/** For a gate that has seen that there is no history: is there one now? */
const absentSql = (options: Asked) =>
  `SELECT ${contextSql({ ...options, lock: undefined })}, pg_catalog.to_regclass('kasm_db.migrations') IS NOT NULL AS there`;

type Asked = LookOptions & { version: number };

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
    const usual = await usualOrNot(client, options);
    if (usual) return withLock(client, options, lookOf(client, { ...usual.context, ...usual }));
    if (options.brief) {
      const { rows: brief } = await ask(client, absentSql(options));
      if (!brief[0].there) return lookOf(client, brief[0]);
    }
  }
  const { rows } = await ask(
    client,
    carefulSql(options.sessions === 'if-absent' ? { ...options, sessions: true } : options),
  );
  const row = rows[0];
  const json = (hex: string | null) => (hex ? JSON.parse(Buffer.from(hex, 'hex').toString('utf8')) : undefined);
  const found = { ...row, history: json(row.history), run: json(row.run), vendor: json(row.vendor) };
  return withLock(client, options, lookOf(client, found));
}

async function usualOrNot(client: Client, options: Asked): Promise<Usual | undefined> {
  const attempt = (vendorTable: Parameters<typeof usualLook>[2]) =>
    usualLook(client, options, vendorTable).catch((error) => {
      if (!NOT_USUAL.includes(error.code)) throw lookError(error);
      return error.code as string;
    });
  let found = await attempt(options.vendor ? 'read' : 'ignore');
  // Where the schema is there, it may be Kasm's own table that is missing: the last migration of all makes it.
  if (found === NO_TABLE && options.vendor) found = await attempt('must-not-be-there');
  return typeof found === 'string' ? undefined : found;
}

/** Only a run that says it is at work makes the lock interesting, which is dear to look up. */
async function withLock(client: Client, { lock }: LookOptions, found: Look): Promise<Look> {
  if (lock !== 'if-working' || found.standby || !isAtWork(found.run)) return found;
  const { rows } = await ask(client, `SELECT ${LOCKED_SQL} AS locked`);
  return { ...found, lockHeld: rows[0].locked };
}

const NO_TABLE = '42P01';
/** Also: no such schema, not allowed, no plain table or one that can't be copied. */
const NOT_USUAL = [NO_TABLE, '3F000', '42501', '42809', '42P10', '0A000'];

async function ask(client: Client, sql: string): Promise<QueryResult> {
  return client.query(sql).catch((error) => {
    throw lookError(error);
  });
}

// biome-ignore lint/suspicious/noExplicitAny: a row of SQL above.
function lookOf(client: Client, row: any): Look {
  return {
    server: { host: client.host, port: client.port },
    serverVersion: row.version,
    standby: row.standby,
    lockHeld: row.standby ? undefined : (row.locked ?? undefined),
    sessions: row.sessions ?? undefined,
    databaseOid: row.oid ?? undefined,
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
