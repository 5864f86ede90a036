import { KasmDbError } from '../app/errors.js';
import type { Session } from '../postgres/session.js';
import { sqlstateOf, toKasmDbError } from '../postgres/sqlstate.js';
import {
  type FoundTable,
  findTables,
  findTablesSql,
  foundTables,
  objectionsTo,
  requireAllRows,
} from '../postgres/tables.js';
import { isTrusted, ME } from '../postgres/trusted.js';

const CREATE_SCHEMA = 'CREATE SCHEMA kasm_db';
const SCHEMA_SQL = `SELECT pg_get_userbyid(nspowner) AS owner, ${isTrusted('nspowner')} AS trusted FROM pg_namespace CROSS JOIN ${ME} me WHERE nspname = 'kasm_db'`;

const CREATE_MIGRATIONS = `CREATE TABLE IF NOT EXISTS kasm_db.migrations (
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
COMMENT ON TABLE kasm_db.migrations IS 'kasm-db: what was applied; a row is written in the transaction of its migration'`;

const CREATE_RUN = `CREATE TABLE IF NOT EXISTS kasm_db.run (
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
COMMENT ON TABLE kasm_db.run IS 'kasm-db: the migration run in progress, or the last one'`;

const CREATE_SEEDS = `CREATE TABLE IF NOT EXISTS kasm_db.seeds (
  table_name  text NOT NULL,
  row_key     text NOT NULL,
  doc_key     text NOT NULL,
  salt        text NOT NULL,
  columns     jsonb NOT NULL,
  app_version text NOT NULL,
  seeded_at   timestamptz NOT NULL DEFAULT pg_catalog.now(),
  PRIMARY KEY (table_name, doc_key)
);
COMMENT ON TABLE kasm_db.seeds IS 'kasm-db: the rows that were seeded, with a salted fingerprint of each value as it was written'`;

const CREATE_LOCKS = `CREATE TABLE IF NOT EXISTS kasm_db.locks (
  migration text NOT NULL,
  relation  text NOT NULL,
  mode      text NOT NULL,
  PRIMARY KEY (migration, relation)
);
COMMENT ON TABLE kasm_db.locks IS 'kasm-db: what the last run has locked of what was there before, until each migration was committed'`;

const CREATE_DIFFERENCES = `CREATE TABLE IF NOT EXISTS kasm_db.differences (
  object      text NOT NULL,
  change      text NOT NULL CHECK (change IN ('missing', 'extra', 'changed')),
  property    text NOT NULL DEFAULT '',
  actual      text,
  accepted_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  accepted_by text NOT NULL DEFAULT session_user,
  PRIMARY KEY (object, property)
);
COMMENT ON TABLE kasm_db.differences IS 'kasm-db: how this database was allowed to differ from the schema when it was adopted'`;

const CREATE_ONCE = `CREATE TABLE IF NOT EXISTS kasm_db.once (
  name        text PRIMARY KEY,
  command     text NOT NULL,
  started_at  timestamptz NOT NULL,
  finished_at timestamptz NOT NULL,
  exit_code   integer NOT NULL,
  run_by      text NOT NULL
);
COMMENT ON TABLE kasm_db.once IS 'kasm-db: programs that were run once for this database, and have ended with 0'`;

/** A table of schema kasm_db: how it is made, and what it must consist of; anything else is someone else's work. */
interface HistoryTable {
  create: string;
  columns: Record<string, string>;
}

const TIME = 'timestamp with time zone';

const TABLES = {
  'kasm_db.migrations': {
    create: CREATE_MIGRATIONS,
    columns: {
      ...{ name: 'text', checksum: 'text', applied_at: TIME, duration_ms: 'integer', applied_by: 'text' },
      ...{ app_version: 'text', kind: 'text', min_compatible: 'text' },
      ...{ statements_done: 'integer', statements_total: 'integer' },
    },
  },
  'kasm_db.run': {
    create: CREATE_RUN,
    columns: {
      ...{ id: 'integer', run_id: 'text', pid: 'integer', application_name: 'text', client_addr: 'text' },
      ...{ app_version: 'text', started_at: TIME, phase: 'text', current: 'text', done: 'integer' },
      ...{ total: 'integer', error: 'text', seed_digest: 'text' },
    },
  },
  'kasm_db.seeds': {
    create: CREATE_SEEDS,
    columns: {
      ...{ table_name: 'text', row_key: 'text', doc_key: 'text', salt: 'text', columns: 'jsonb' },
      ...{ app_version: 'text', seeded_at: TIME },
    },
  },
  'kasm_db.locks': {
    create: CREATE_LOCKS,
    columns: { migration: 'text', relation: 'text', mode: 'text' },
  },
  'kasm_db.differences': {
    create: CREATE_DIFFERENCES,
    columns: {
      ...{ object: 'text', change: 'text', property: 'text', actual: 'text' },
      ...{ accepted_at: TIME, accepted_by: 'text' },
    },
  },
  'kasm_db.once': {
    create: CREATE_ONCE,
    columns: {
      name: 'text',
      command: 'text',
      started_at: TIME,
      finished_at: TIME,
      exit_code: 'integer',
      run_by: 'text',
    },
  },
} satisfies Record<string, HistoryTable>;

export type HistoryTableName = keyof typeof TABLES;

/** What every run needs; a seed needs its own table besides. */
export const RUN_TABLES: readonly HistoryTableName[] = ['kasm_db.migrations', 'kasm_db.run'];
export const SEED_TABLES: readonly HistoryTableName[] = [...RUN_TABLES, 'kasm_db.seeds'];
/** Of an adoption that accepts differences. */
export const DIFFERENCES_TABLE = 'kasm_db.differences';
export const ADOPT_TABLES: readonly HistoryTableName[] = [...RUN_TABLES, DIFFERENCES_TABLE];
/** Of a program that is run once. */
export const ONCE_TABLES: readonly HistoryTableName[] = [...RUN_TABLES, 'kasm_db.once'];

/**
 * A table of that name must be kasm-db's own, with all its rows to be seen.
 * @throws KasmDbError integrity, naming it and what is wrong with it
 */
export function requireOurs(found: FoundTable): void {
  const objections = objectionsTo(found, TABLES[found.name as HistoryTableName].columns);
  if (objections.length > 0) {
    throw new KasmDbError('integrity', `${found.name} is not kasm-db's table: ${objections.join('; ')}`, {
      hint: 'find out who made or changed it; kasm-db never alters it by itself',
    });
  }
  requireAllRows(found);
}

const MAY_WRITE_LOCKS_SQL = `SELECT coalesce(has_table_privilege(t.oid, 'INSERT') AND has_table_privilege(t.oid, 'DELETE'),
  has_schema_privilege('kasm_db', 'CREATE')) AS may FROM (SELECT to_regclass('kasm_db.locks') AS oid) t`;

/**
 * Makes kasm_db.locks where it is missing, within the caller's transaction. A run does without it where the role may not make it, as in a schema that
 * somebody else has made before there was this table.
 * @returns it can be written
 * @throws KasmDbError integrity when it is not kasm-db's own
 */
export async function ensureLocksTable(session: Session): Promise<boolean> {
  const name = 'kasm_db.locks';
  const { may = [], tables = [] } = await session.ask({ may: MAY_WRITE_LOCKS_SQL, tables: findTablesSql([name]) });
  const found = (await foundTables(session, tables)).get(name);
  if (found) requireOurs(found);
  else if (may[0].may) await session.script(TABLES[name].create);
  return may[0].may;
}

/** Looks one of the tables up, within a transaction of our own. @throws KasmDbError integrity when it is not kasm-db's own */
export async function findHistoryTable(session: Session, name: HistoryTableName): Promise<FoundTable | undefined> {
  const found = (await findTables(session, [name])).get(name);
  if (found) requireOurs(found);
  return found;
}

/**
 * Creates the history where it is missing. Runs inside the caller's transaction and under the migration lock, so no two runs race for it.
 * @throws KasmDbError integrity when tables of that name have another shape; environment when the role may not create them
 */
export async function ensureHistory(session: Session, names: readonly HistoryTableName[] = RUN_TABLES): Promise<void> {
  const found = await findTables(session, names);
  for (const table of found.values()) requireOurs(table);
  const missing = names.filter((name) => !found.has(name));
  if (missing.length === 0) return;
  const [schema] = await session.query<{ owner: string; trusted: boolean }>(SCHEMA_SQL);
  // Who owns the schema may put what he likes in the place of what is made in it. A history that is in use is not stopped for that.
  if (schema && !schema.trusted && found.size === 0) {
    throw new KasmDbError(
      'integrity',
      `schema kasm_db is there already and belongs to "${schema.owner}", who is neither this login, its role, nor the owner of the database`,
      {
        hint: 'find out who made it; then as a superuser: ALTER SCHEMA kasm_db OWNER TO <role>, or DROP SCHEMA kasm_db',
      },
    );
  }
  try {
    // CREATE SCHEMA IF NOT EXISTS asks for the privilege even where the schema exists.
    if (!schema) await session.query(CREATE_SCHEMA);
    for (const name of missing) await session.script(TABLES[name].create);
  } catch (error) {
    const hint =
      'as the owner of the database: GRANT CREATE ON DATABASE <database> TO <role>; or make the schema: CREATE SCHEMA kasm_db AUTHORIZATION <role>';
    throw toKasmDbError(error, 'creating the history (schema kasm_db)', sqlstateOf(error) === '42501' ? { hint } : {});
  }
}

/** What makes the tables that every run needs, as SQL. */
export const CREATE_TABLES_SQL = RUN_TABLES.map((name) => TABLES[name].create).join(';\n');

/** SQL: what somebody has added to these tables since they were looked at, and that may keep a record from being written; null: nothing. */
export const ADDED_SQL = `(WITH own AS (SELECT c.oid, n.nspname || '.' || c.relname AS name FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'kasm_db' AND c.relname IN (${RUN_TABLES.map((name) => `'${name.split('.')[1]}'`).join(', ')}))
  SELECT pg_catalog.string_agg(what || ' on ' || name, ', ') FROM own JOIN (
    SELECT tgrelid, 'a trigger ' || tgname FROM pg_catalog.pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT ev_class, 'a rule ' || rulename FROM pg_catalog.pg_rewrite
    UNION ALL SELECT polrelid, 'a policy ' || polname FROM pg_catalog.pg_policy) added (oid, what) USING (oid))`;
