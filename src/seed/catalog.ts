import type { Session } from '../postgres/session.js';
import { findTables, requireSafe } from '../postgres/tables.js';

export interface Column {
  name: string;
  /** pg_type.typname: uuid, bool, int4, varchar, _varchar, bytea … */
  type: string;
  /** Characters; null: no limit. */
  maxLength: number | null;
  notNull: boolean;
  hasDefault: boolean;
}

export interface ForeignKey {
  column: string;
  table: string;
  target: string;
}

export interface Table {
  name: string;
  columns: Map<string, Column>;
  primaryKey: string[];
  foreignKeys: ForeignKey[];
}

const CATALOG_SQL = `SELECT c.relname AS name,
  (SELECT coalesce(json_agg(json_build_object('name', a.attname, 'type', t.typname, 'notNull', a.attnotnull, 'hasDefault', a.atthasdef OR a.attidentity <> '',
     'maxLength', CASE WHEN t.typname IN ('varchar', 'bpchar') AND a.atttypmod > 4 THEN a.atttypmod - 4 END) ORDER BY a.attnum), '[]')
   FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
  (SELECT coalesce(json_agg(a.attname ORDER BY k.ord), '[]') FROM pg_catalog.pg_constraint p, unnest(p.conkey) WITH ORDINALITY AS k(num, ord),
     pg_catalog.pg_attribute a WHERE p.conrelid = c.oid AND p.contype = 'p' AND a.attrelid = c.oid AND a.attnum = k.num) AS "primaryKey",
  (SELECT coalesce(json_agg(json_build_object('column', a.attname, 'table', f.relname, 'target', b.attname)), '[]')
   FROM pg_catalog.pg_constraint p JOIN pg_catalog.pg_class f ON f.oid = p.confrelid
   JOIN pg_catalog.pg_attribute a ON a.attrelid = p.conrelid AND a.attnum = p.conkey[1]
   JOIN pg_catalog.pg_attribute b ON b.attrelid = p.confrelid AND b.attnum = p.confkey[1]
   WHERE p.conrelid = c.oid AND p.contype = 'f' AND cardinality(p.conkey) = 1) AS "foreignKeys"
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind = 'r' AND ($1::text[] IS NULL OR c.relname = ANY ($1)
  OR c.oid IN (SELECT p.confrelid FROM pg_catalog.pg_constraint p JOIN pg_catalog.pg_class s ON s.oid = p.conrelid
    WHERE p.contype = 'f' AND s.relnamespace = n.oid AND s.relname = ANY ($1)))`;

/**
 * Tables of schema public as they are now, not as the migrations made them: a customer may have changed them.
 * @param names tables that are asked for; those they refer to come too
 * @throws KasmDbError integrity when one of them would run code of somebody else, or hides rows
 */
export async function readCatalog(session: Session, names: Iterable<string>): Promise<Map<string, Table>> {
  const asked = [...names];
  const tables = await lookUpTables(session, asked);
  const all = new Set([...asked, ...tables.keys()].map((name) => `public.${name}`));
  for (const found of (await findTables(session, [...all])).values()) requireSafe(found);
  return tables;
}

/** The same, of tables that the caller knows to be safe to read. @param names undefined: all */
export async function lookUpTables(session: Session, names?: readonly string[]): Promise<Map<string, Table>> {
  const tables = await session.query<Omit<Table, 'columns'> & { columns: Column[] }>(CATALOG_SQL, [names ?? null]);
  return new Map(
    tables.map((table) => [
      table.name,
      { ...table, columns: new Map(table.columns.map((column) => [column.name, column])) },
    ]),
  );
}

/**
 * Tables in an order in which rows can be inserted: whoever is referred to by a required column comes first. References by a nullable
 * column may go in a circle; those of them that point forward are filled in afterwards, and there are as few of them as can be.
 */
export function insertOrder(tables: readonly Table[]): Table[] {
  const left = new Map(tables.map((table) => [table.name, table]));
  const open = (table: Table, isMeant = (_key: ForeignKey) => true) =>
    table.foreignKeys.filter((key) => key.table !== table.name && left.has(key.table) && isMeant(key)).length;
  const order: Table[] = [];
  while (left.size > 0) {
    const all = [...left.values()];
    const ready = all.filter((table) => open(table, (key) => isRequired(table, key)) === 0);
    // Tables that require each other: the caller finds out from the order.
    const next = (ready.length > 0 ? ready : all).reduce((best, table) => (open(table) < open(best) ? table : best));
    left.delete(next.name);
    order.push(next);
  }
  return order;
}

/** The column by which others refer to a table's rows. @returns undefined: its primary key has several, or there is none */
export function idColumn({ primaryKey: [id, ...others] }: Table): string | undefined {
  return others.length === 0 ? id : undefined;
}

/** May the column of the key not be null? */
export function isRequired(table: Table, key: ForeignKey): boolean {
  return table.columns.get(key.column)?.notNull === true;
}
