import { escapeLiteral } from 'pg';
import { KasmDbError } from '../app/errors.js';
import type { Client } from '../postgres/client.js';
import { toKasmDbError } from '../postgres/sqlstate.js';

/** PostgreSQL 13 is the first that has gen_random_uuid() of its own and trusted extensions. */
export const MIN_SERVER_VERSION = 130_000;

const CREATE_SCHEMA = 'CREATE SCHEMA kasm_db';
const CREATE_TABLES = `
CREATE TABLE IF NOT EXISTS kasm_db.migrations (
  name             text PRIMARY KEY,
  checksum         text NOT NULL,
  applied_at       timestamptz NOT NULL DEFAULT pg_catalog.now(),
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

/** Database and server admins may own the history; anyone else who does could run code of his as us (a trigger, a default). */
const TRUSTED_OWNER = `(pg_catalog.pg_has_role(current_user, c.relowner, 'USAGE') OR o.rolsuper OR o.rolcreaterole OR o.rolcreatedb
  OR c.relowner = (SELECT datdba FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))`;

const CATALOG_SQL = `SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'kasm_db') AS schema,
  (SELECT pg_catalog.json_object_agg(c.relname, pg_catalog.json_build_object('kind', c.relkind, 'columns',
      (SELECT pg_catalog.json_object_agg(a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
      'owner', o.rolname, 'trusted', ${TRUSTED_OWNER}, 'policies', c.relrowsecurity,
      'triggers', (SELECT pg_catalog.json_agg(t.tgname ORDER BY t.tgname) FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal),
      'rules', (SELECT pg_catalog.json_agg(r.rulename ORDER BY r.rulename) FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN')))
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_roles o ON o.oid = c.relowner
    WHERE n.nspname = 'kasm_db' AND c.relname IN ('migrations', 'run')) AS tables`;

/** One of our tables, as the catalog has it. */
interface FoundTable {
  kind: string;
  columns: Record<string, string>;
  owner: string;
  trusted: boolean;
  policies: boolean;
  triggers: string[] | null;
  rules: string[] | null;
}

/** What makes a table more, or other, than what kasm-db made. */
function differencesOf(found: FoundTable, columns: Record<string, string>): string[] {
  return [
    ...(found.kind === 'r' ? [] : ['it is not an ordinary table']),
    ...Object.keys(found.columns).flatMap((column) => (columns[column] ? [] : [`foreign column ${column}`])),
    ...Object.entries(columns).flatMap(([column, type]) => {
      const actual = found.columns[column];
      if (actual === undefined) return [`missing column ${column}`];
      return actual === type ? [] : [`column ${column} is ${actual}, not ${type}`];
    }),
    ...(found.trusted ? [] : [`it belongs to "${found.owner}", who is neither us nor an admin`]),
    ...(found.policies ? ['it has row level security'] : []),
    ...(found.triggers ?? []).map((name) => `it has a trigger ${name}`),
    ...(found.rules ?? []).map((name) => `it has a rule ${name}`),
  ];
}

/**
 * Creates the history where it is missing. Runs inside the caller's transaction and under the migration lock, so no two runs race for it.
 * @throws KasmDbError integrity when tables of that name have another shape; environment when the role may not create them
 */
export async function ensureHistory(client: Client): Promise<void> {
  const { rows } = await client.query(CATALOG_SQL);
  const { schema, tables } = rows[0] as {
    schema: boolean;
    tables: Record<string, FoundTable> | null;
  };
  for (const [name, columns] of Object.entries(TABLES)) {
    const found = tables?.[name];
    if (!found) continue;
    const differences = differencesOf(found, columns);
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
  /** Default: it was run. */
  kind?: 'sql' | 'adopted';
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
    `'${row.kind ?? 'sql'}'`,
    row.minCompatible ? escapeLiteral(row.minCompatible) : 'NULL',
    String(row.statements?.done ?? 'NULL'),
    String(row.statements?.total ?? 'NULL'),
  ];
  const insert = `INSERT INTO kasm_db.migrations AS m (name, checksum, duration_ms, applied_by, app_version, kind, min_compatible, statements_done, statements_total)
VALUES (${values.join(', ')})`;
  if (!row.statements) return insert;
  return `${insert} ON CONFLICT (name) DO UPDATE SET applied_at = pg_catalog.now(), duration_ms = coalesce(m.duration_ms, 0) + excluded.duration_ms,
  applied_by = excluded.applied_by, app_version = excluded.app_version, statements_done = excluded.statements_done, statements_total = excluded.statements_total`;
}

/** SQL that takes the mark back: the statement has failed, and the server said so. */
export function unmarkSql(name: string): string {
  return `UPDATE kasm_db.migrations SET duration_ms = 0 WHERE name = ${escapeLiteral(name)}`;
}
