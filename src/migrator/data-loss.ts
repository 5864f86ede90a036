import { escapeIdentifier } from 'pg';
import { KasmDbError } from '../app/errors.js';
import type { ParsedStatement } from '../postgres/parser.js';
import type { Session } from '../postgres/session.js';
import { NO_VIEW, SAFE_TO_READ } from '../postgres/tables.js';
import { ME } from '../postgres/trusted.js';

/** A table, or a column of it, that a script takes away; quoted and, where the schema is known, qualified. */
export interface Drop {
  table: string;
  /** As it is called, not quoted; undefined: the whole table, or all its rows. */
  column?: string;
}

/** What is there, by identity: a table that was renamed is still there. */
export type Inventory = Map<string, Drop>;

/** Of these even a person could say nothing: the row says which release the database is, and the migration wrote it. */
const EXEMPT = ['public.alembic_version'];

/** No more rows are counted than a message needs. */
const COUNTED = 1000;

/** Which tables, columns and contents a script takes away, as far as it says so itself: what a cascade or a DO block drops it doesn't. Pure. */
export function dropsOf(statements: readonly ParsedStatement[]): Drop[] {
  return statements.flatMap(({ type, node }): Drop[] => {
    if (type === 'DropStmt' && node.removeType === 'OBJECT_TABLE') {
      return (node.objects as { List: { items: { String: { sval: string } }[] } }[]).map(({ List }) => ({
        table: qualified(List.items.map((item) => item.String.sval)),
      }));
    }
    if (type === 'TruncateStmt') {
      return (node.relations as { RangeVar: RangeVar }[]).map(({ RangeVar }) => ({ table: quoted(RangeVar) }));
    }
    if (type === 'AlterTableStmt') {
      return (node.cmds as { AlterTableCmd: { subtype: string; name: string } }[]).flatMap(({ AlterTableCmd: cmd }) =>
        cmd.subtype === 'AT_DropColumn' ? [{ table: quoted(node.relation), column: cmd.name }] : [],
      );
    }
    return [];
  });
}

interface RangeVar {
  schemaname?: string;
  relname: string;
}

function quoted({ schemaname, relname }: RangeVar): string {
  return qualified(schemaname === undefined ? [relname] : [schemaname, relname]);
}

/** A file sees schema public alone. */
function qualified(parts: readonly string[]): string {
  return (parts.length > 1 ? parts : ['public', ...parts]).map((part) => escapeIdentifier(part)).join('.');
}

const INVENTORY_SQL = `SELECT c.oid::text || '.' || coalesce(a.attnum, 0)::text AS id, format('%I.%I', n.nspname, c.relname) AS table, a.attname AS column
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (SELECT attnum, attname FROM pg_attribute
  WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '' UNION ALL SELECT NULL, NULL) a ON true
WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'kasm_db')`;

/** All tables and columns that hold what is stored nowhere else. */
export async function inventory(session: Session): Promise<Inventory> {
  const rows = await session.query<{ id: string; table: string; column: string | null }>(INVENTORY_SQL);
  return new Map(
    rows.map(({ id, table, column }) => [id, column === null ? { table } : { table, column }] as [string, Drop]),
  );
}

/** What of `before` is gone; a table stands for its columns. */
export function goneFrom(before: Inventory, after: Inventory): Drop[] {
  const tableOf = (id: string) => `${id.split('.')[0]}.0`;
  return [...before]
    .filter(([id, { column }]) => !after.has(id) && (column === undefined || after.has(tableOf(id))))
    .map(([, drop]) => drop);
}

export interface Loss extends Drop {
  /** At most COUNTED + 1. */
  rows: number;
}

const UNSAFE_SQL = `SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN ${ME} me
  WHERE c.oid = ANY ($1::regclass[]) AND NOT ${SAFE_TO_READ} ORDER BY 1`;

/** @param names quoted and qualified @throws KasmDbError integrity where reading one of them would run code of a stranger */
async function requireSafeToRead(session: Session, names: readonly string[]): Promise<void> {
  const [unsafe] = await session.query<{ name: string }>(UNSAFE_SQL, [names]);
  if (unsafe)
    throw new KasmDbError(
      'integrity',
      `whether ${unsafe.name} holds rows is not looked up: it, or a function that its indexes call, belongs to a role that is not trusted`,
      {
        hint: 'find out who made it; where that is in order, its owner drops it, or gives it to the owner of the database',
      },
    );
}

/**
 * Which of these hold something. Names that lead nowhere hold nothing.
 * @param lock keep them as they are until the transaction ends, with the lock that dropping them takes anyway
 * @throws KasmDbError integrity where a table, or a function that its indexes call, is a stranger's
 */
export async function lossesIn(session: Session, drops: readonly Drop[], lock: boolean): Promise<Loss[]> {
  const tables = new Map<string, { name: string; columns: Set<string> }>();
  for (const table of new Set(drops.map((drop) => drop.table))) {
    const rows = await session.query(
      `SELECT format('%I.%I', n.nspname, c.relname) AS name, (SELECT array_agg(a.attname::text) FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS columns
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.oid = to_regclass($1)::oid AND c.relkind IN ('r', 'p')`,
      [table],
    );
    if (rows[0]) tables.set(table, { name: rows[0].name, columns: new Set(rows[0].columns ?? []) });
  }
  if (tables.size === 0) return [];
  const names = [...new Set([...tables.values()].map(({ name }) => name))].sort();
  if (lock) await session.query(`LOCK TABLE ${names.join(', ')} IN ACCESS EXCLUSIVE MODE`);
  await requireSafeToRead(session, names);
  const losses: Loss[] = [];
  const seen = new Set<string>();
  for (const { table, column } of drops) {
    const found = tables.get(table);
    if (!found || EXEMPT.includes(found.name) || (column !== undefined && !found.columns.has(column))) continue;
    const key = `${found.name}\0${column ?? ''}`;
    if (seen.has(key)) continue;
    seen.add(key);
    const where = column === undefined ? '' : `WHERE ${escapeIdentifier(column)} IS NOT NULL`;
    const rows = await session.query(
      `SELECT count(*)::int AS n FROM (SELECT FROM ${found.name} ${NO_VIEW} ${where} LIMIT ${COUNTED + 1}) x`,
    );
    if (rows[0].n > 0) losses.push({ table: found.name, ...(column === undefined ? {} : { column }), rows: rows[0].n });
  }
  return losses;
}

/** `table users (3 rows)` */
export function describeLoss({ table, column, rows }: Loss): string {
  const n = rows > COUNTED ? `more than ${COUNTED}` : String(rows);
  const name = table.replace(/^public\./, '');
  return column === undefined
    ? `table ${name} (${n} row${rows === 1 ? '' : 's'})`
    : `column ${name}.${column} (${n} value${rows === 1 ? '' : 's'})`;
}

/** The refusal to lose what somebody has written. @param what names the migrations, in the form "rolling back 0002_users" */
export function refusal(what: string, losses: readonly Loss[], migration: string | undefined): KasmDbError {
  const shown = losses.slice(0, 20).map(describeLoss);
  const more = losses.length > shown.length ? ` and ${losses.length - shown.length} more` : '';
  return new KasmDbError('integrity', `${what} would lose data: ${shown.join(', ')}${more}`, {
    hint: 'make a backup (pg_dump), then add --allow-data-loss to lose it',
    ...(migration ? { migration } : {}),
  });
}
