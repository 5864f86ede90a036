import { escapeLiteral } from 'pg';
import { KasmDbError } from '../app/errors.js';
import type { Session } from './session.js';

/** A table that we read or write, as the catalog has it. */
export interface FoundTable {
  /** schema.name */
  name: string;
  /** pg_class.relkind; r is a plain table. */
  kind: string;
  owner: string;
  /** It belongs to the login, to the role that it works as, to the owner of the database, or to a superuser. */
  trusted: boolean;
  /** Its policies would hide rows from us. */
  rowSecurity: boolean;
  triggers: string[];
  policies: string[];
  rules: string[];
  /** It has a parent, or children. */
  inherits: boolean;
  /** A default, check or index of it calls a function or operator that is not PostgreSQL's own. */
  callsCode: boolean;
  /** We may read it. */
  readable: boolean;
  /** Their types, by name. */
  columns: Record<string, string>;
}

/**
 * Whoever else owns a table could run code of his as us (a trigger, a view, a policy), or tell us what is not so. A superuser is a member of every
 * role, so membership says nothing of him. A role that may only read and has nothing to do with the database's owner, such as a gate's, cannot know who is
 * who; no code of a plain table's owner runs when it is read.
 */
const TRUSTED = `(c.relowner IN (me.oid, (SELECT oid FROM pg_roles WHERE rolname = current_user), db.datdba)
    OR o.rolsuper OR NOT me.rolsuper AND pg_has_role(session_user, c.relowner, 'MEMBER')
    OR NOT has_table_privilege(c.oid, 'INSERT') AND NOT pg_has_role(session_user, db.datdba, 'MEMBER'))`;

const PARTS = `(d.classid = 'pg_attrdef'::regclass AND d.objid IN (SELECT oid FROM pg_attrdef WHERE adrelid = c.oid)
    OR d.classid = 'pg_constraint'::regclass AND d.objid IN (SELECT oid FROM pg_constraint WHERE conrelid = c.oid)
    OR d.classid = 'pg_class'::regclass AND d.objid IN (SELECT indexrelid FROM pg_index WHERE indrelid = c.oid))`;

/** SQL that looks tables up, to be sent with other questions; see foundTables. @param names as schema.name */
export const findTablesSql = (
  names: readonly string[],
) => `SELECT n.nspname || '.' || c.relname AS name, c.relkind AS kind, o.rolname AS owner, ${TRUSTED} AS trusted,
  has_table_privilege(c.oid, 'SELECT') AS readable, row_security_active(c.oid) AS "rowSecurity",
  ARRAY(SELECT tgname::text FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal ORDER BY 1) AS triggers,
  ARRAY(SELECT polname::text FROM pg_policy WHERE polrelid = c.oid ORDER BY 1) AS policies,
  ARRAY(SELECT rulename::text FROM pg_rewrite WHERE ev_class = c.oid AND rulename <> '_RETURN' ORDER BY 1) AS rules,
  EXISTS (SELECT FROM pg_inherits WHERE c.oid IN (inhrelid, inhparent)) AS inherits,
  EXISTS (SELECT FROM pg_depend d WHERE d.deptype = 'n' AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass) AND ${PARTS}) AS "callsCode",
  (SELECT json_object_agg(attname, format_type(atttypid, atttypmod)) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS columns
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles o ON o.oid = c.relowner
  CROSS JOIN (SELECT oid, rolsuper FROM pg_roles WHERE rolname = session_user) me
  CROSS JOIN (SELECT datdba FROM pg_database WHERE datname = current_database()) db
WHERE (n.nspname, c.relname) IN (${names.map((name) => `(${name.split('.').map(escapeLiteral).join(', ')})`).join(', ')})`;

/** Looks tables up, within a transaction of our own. @param names as schema.name @returns those that are there */
export async function findTables(session: Session, names: readonly string[]): Promise<Map<string, FoundTable>> {
  return foundTables(await session.query<FoundTable>(findTablesSql(names)));
}

/** What the rows of findTablesSql tell, by name. */
export function foundTables(rows: readonly FoundTable[]): Map<string, FoundTable> {
  return new Map(rows.map((row) => [row.name, { ...row, columns: row.columns ?? {} }]));
}

/** What makes a table one that we must neither read nor write. Pure. @param columns it has to have exactly these; undefined: whichever */
export function objectionsTo(found: FoundTable, columns?: Record<string, string>): string[] {
  return [
    ...(found.kind === 'r' ? [] : ['it is not an ordinary table']),
    ...(columns === undefined ? [] : columnDifferences(found.columns, columns)),
    ...(found.trusted
      ? []
      : [`it belongs to "${found.owner}", who is neither this login, its role, nor the owner of the database`]),
    ...found.triggers.map((name) => `it has a trigger ${name}`),
    ...found.policies.map((name) => `it has a policy ${name}`),
    ...found.rules.map((name) => `it has a rule ${name}`),
    ...(found.inherits ? ['it inherits from another table, or another one from it'] : []),
    ...(found.callsCode ? ['a default, check or index of it calls a function that is not of PostgreSQL'] : []),
  ];
}

/** Row security would hide rows, and what is hidden must not read as missing. @throws KasmDbError integrity */
export function requireAllRows(found: FoundTable): void {
  if (!found.rowSecurity) return;
  throw new KasmDbError(
    'integrity',
    `row security hides rows of ${found.name} from this role, so nobody knows what is in it`,
    {
      hint: `as its owner: ALTER TABLE ${found.name} DISABLE ROW LEVEL SECURITY; or give this role BYPASSRLS`,
    },
  );
}

function columnDifferences(found: Record<string, string>, wanted: Record<string, string>): string[] {
  return [
    ...Object.keys(found).flatMap((column) => (wanted[column] ? [] : [`foreign column ${column}`])),
    ...Object.entries(wanted).flatMap(([column, type]) => {
      const actual = found[column];
      if (actual === undefined) return [`missing column ${column}`];
      return actual === type ? [] : [`column ${column} is ${actual}, not ${type}`];
    }),
  ];
}
