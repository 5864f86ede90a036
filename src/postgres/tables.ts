import { escapeLiteral } from 'pg';
import { KasmDbError } from '../app/errors.js';
import type { Session } from './session.js';
import { isTrusted, ME } from './trusted.js';

/** A table that we read or write, as the catalog has it. */
export interface FoundTable {
  /** schema.name */
  name: string;
  /** pg_class.relkind; r is a plain table. */
  kind: string;
  owner: string;
  /** It belongs to whom we trust (trusted.ts). */
  trusted: boolean;
  /** Its policies would hide rows from us. */
  rowSecurity: boolean;
  policies: string[];
  rules: string[];
  /** It has a parent, or children. */
  inherits: boolean;
  /** What runs when it is used and is not of PostgreSQL itself: triggers, defaults, checks, expressions of indexes, types of columns. */
  code: { what: string; owner: string; trusted: boolean }[];
  /** We may read it. */
  readable: boolean;
  /** Their types, by name. */
  columns: Record<string, string>;
}

/**
 * Whoever else owns a table could run code of his as us (a trigger, a view, a policy), or tell us what is not so. A role that may only read and
 * has nothing to do with the database's owner, such as a gate's, cannot know who is who; no code of a plain table's owner runs when it is read.
 */
const HARMLESS_OWNER =
  "(NOT has_table_privilege(c.oid, 'INSERT') AND NOT pg_has_role(session_user, db.datdba, 'MEMBER'))";
const TRUSTED = `(${isTrusted('c.relowner')} OR ${HARMLESS_OWNER})`;

/** Types of its columns, by name. */
const COLUMNS =
  '(SELECT json_object_agg(attname, format_type(atttypid, atttypmod)) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped)';

/** Types of the columns, and what these are made of: a domain of a domain, an array of one, a range over one, a composite. */
const COLUMN_TYPES = `SELECT array_agg(oid) AS oids FROM (WITH RECURSIVE used AS (
    SELECT atttypid AS oid FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
    UNION SELECT part FROM used JOIN pg_type t ON t.oid = used.oid CROSS JOIN LATERAL (
      SELECT refobjid AS part FROM pg_depend WHERE classid = 'pg_type'::regclass AND objid = t.oid AND refclassid = 'pg_type'::regclass
      UNION SELECT atttypid FROM pg_attribute WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped) parts)
  SELECT oid FROM used) used`;

/** Whoever plans a query on the table computes what of them is constant, by IMMUTABLE functions (get_relation_info in plancat.c). */
const PLANNED_PARTS = `SELECT 'pg_class'::regclass::oid AS classid, indexrelid AS objid FROM pg_index WHERE indrelid = c.oid
  UNION ALL SELECT 'pg_statistic_ext'::regclass, oid FROM pg_statistic_ext WHERE stxrelid = c.oid`;

/** Before PostgreSQL 15 it is the column itself that depends on what a generated one calls. */
const PARTS = `${PLANNED_PARTS}
  UNION ALL SELECT 'pg_class'::regclass, c.oid
  UNION ALL SELECT 'pg_attrdef'::regclass, oid FROM pg_attrdef WHERE adrelid = c.oid
  UNION ALL SELECT 'pg_constraint'::regclass, oid FROM pg_constraint WHERE conrelid = c.oid OR contypid = ANY (types.oids)
  UNION ALL SELECT 'pg_type'::regclass, unnest(types.oids)`;

/** Functions that parts of a table call, by themselves or by an operator. */
function calledBy(parts: string): string {
  return `SELECT f.oid, f.proowner AS owner FROM (${parts}) part JOIN pg_depend d USING (classid, objid)
  JOIN pg_proc f ON f.oid = CASE d.refclassid WHEN 'pg_proc'::regclass THEN d.refobjid ELSE (SELECT oprcode::oid FROM pg_operator WHERE oid = d.refobjid) END
  WHERE d.deptype IN ('n', 'a') AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass)`;
}

/** SQL: a query on the table `c` alone (pg_class) runs nobody else's code. ME is to be joined as `me`. */
export const SAFE_TO_READ = `(${isTrusted('c.relowner')} AND NOT EXISTS (SELECT FROM (${calledBy(PLANNED_PARTS)}) called WHERE NOT ${isTrusted('called.owner')}))`;

/**
 * Nobody knows who has made a trigger. What a trusted function does may be a matter of its arguments, as with contrib's refint: it runs what they name.
 * A foreign key's own triggers write to the table that refers to this one, and what that table's AFTER triggers do is done as whoever has changed this one.
 */
const CODE = `SELECT 'a trigger ' || tgname AS what, f.proowner AS owner FROM pg_trigger JOIN pg_proc f ON f.oid = tgfoid WHERE tgrelid = c.oid AND NOT tgisinternal
  UNION SELECT 'a trigger ' || tgname || ' with arguments, where others may add triggers', a.grantee FROM pg_trigger, aclexplode(c.relacl) a
    WHERE tgrelid = c.oid AND NOT tgisinternal AND tgnargs > 0 AND a.privilege_type = 'TRIGGER' AND NOT ${isTrusted('a.grantee')}
  UNION SELECT 'a foreign key ' || k.conname || ' of ' || r.oid::regclass::text || ', which follows its changes', r.relowner FROM pg_constraint k
    JOIN pg_class r ON r.oid = k.conrelid WHERE k.contype = 'f' AND k.confrelid = c.oid AND k.conrelid <> c.oid
      AND (k.confupdtype IN ('c', 'n', 'd') OR k.confdeltype IN ('c', 'n', 'd') AND n.nspname = 'kasm_db')
  UNION SELECT 'a default, check, index, statistics object or type that calls ' || oid::regprocedure::text, owner FROM (${calledBy(PARTS)}) called
  UNION SELECT 'a column of type ' || t.oid::regtype::text, t.typowner FROM pg_type t
    WHERE t.oid = ANY (types.oids) AND t.typnamespace <> 'pg_catalog'::regnamespace`;

/** Whoever may drop a table may put a view in its place just after we have looked; PostgreSQL samples no view, so none is read. */
export const NO_VIEW = 'TABLESAMPLE SYSTEM (100)';

/** @param names as schema.name */
function named(names: readonly string[]): string {
  const pairs = names.map((name) =>
    name
      .split(/\.(.*)/s, 2)
      .map(escapeLiteral)
      .join(', '),
  );
  return `(n.nspname, c.relname) IN ((${pairs.join('), (')}))`;
}

/**
 * Nothing has to be asked of such a table: its owner is trusted, and nothing runs that is not of PostgreSQL itself. What PostgreSQL has made itself is
 * not in pg_depend, so a table of its types alone depends on its schema only; a constraint's index depends on the constraint, not on the table.
 */
const PLAIN = `c.relkind = 'r' AND NOT (c.relhasrules OR c.relrowsecurity OR c.relhastriggers OR c.relhassubclass)
  AND (pg_get_userbyid(c.relowner) IN (session_user, current_user) OR c.relowner = db.datdba OR ${HARMLESS_OWNER})
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND refclassid <> 'pg_namespace'::regclass)
  AND NOT EXISTS (SELECT FROM (SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_class'::regclass AND refobjid = c.oid
      UNION ALL SELECT 'pg_class'::regclass, indexrelid FROM pg_index WHERE indrelid = c.oid) part JOIN pg_depend d USING (classid, objid)
    WHERE classid = 'pg_policy'::regclass OR d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass))`;

/** SQL that looks tables up, to be sent with other questions; foundTables reads its rows. @param names as schema.name */
export const findTablesSql = (names: readonly string[]) => `SELECT n.nspname || '.' || c.relname AS name,
  pg_get_userbyid(c.relowner) AS owner, has_table_privilege(c.oid, 'SELECT') AS readable, ${COLUMNS} AS columns, ${PLAIN} AS plain
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_database db ON db.datname = current_database()
WHERE ${named(names)}`;

/** All that there is to know of them; the server takes several times as long to plan it. */
function detailsSql(names: readonly string[]): string {
  return `SELECT n.nspname || '.' || c.relname AS name, c.relkind AS kind, pg_get_userbyid(c.relowner) AS owner, ${TRUSTED} AS trusted,
  has_table_privilege(c.oid, 'SELECT') AS readable, row_security_active(c.oid) AS "rowSecurity",
  ARRAY(SELECT polname::text FROM pg_policy WHERE polrelid = c.oid ORDER BY 1) AS policies,
  ARRAY(SELECT rulename::text FROM pg_rewrite WHERE ev_class = c.oid AND rulename <> '_RETURN' ORDER BY 1) AS rules,
  EXISTS (SELECT FROM pg_inherits WHERE c.oid IN (inhrelid, inhparent)) AS inherits,
  (SELECT coalesce(json_agg(json_build_object('what', what, 'owner', CASE code.owner WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(code.owner) END, 'trusted', ${isTrusted('code.owner')}) ORDER BY what), '[]')
    FROM (${CODE}) code) AS code,
  ${COLUMNS} AS columns
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL (${COLUMN_TYPES}) types
  CROSS JOIN ${ME} me
  CROSS JOIN (SELECT datdba FROM pg_database WHERE datname = current_database()) db
WHERE ${named(names)}`;
}

/** A row of findTablesSql. */
type FoundRow = Pick<FoundTable, 'name' | 'owner' | 'readable' | 'columns'> & { plain: boolean };

/** What a table is of which nothing has to be asked. */
const PLAIN_TABLE = {
  kind: 'r',
  trusted: true,
  rowSecurity: false,
  policies: [],
  rules: [],
  inherits: false,
  code: [],
};

/** Looks tables up, within a transaction of our own. @param names as schema.name @returns those that are there */
export async function findTables(session: Session, names: readonly string[]): Promise<Map<string, FoundTable>> {
  return names.length === 0 ? new Map() : foundTables(session, await session.query<FoundRow>(findTablesSql(names)));
}

/** What the rows of findTablesSql tell, by name, with details of those that are not plain. */
export async function foundTables(session: Session, rows: readonly FoundRow[]): Promise<Map<string, FoundTable>> {
  const others = rows.filter(({ plain }) => !plain).map(({ name }) => name);
  const detailed = others.length === 0 ? [] : await session.query<FoundTable>(detailsSql(others));
  const plain = rows.filter((row) => row.plain).map((row) => ({ ...PLAIN_TABLE, ...row }));
  return new Map([...plain, ...detailed].map((row) => [row.name, { ...row, columns: row.columns ?? {} }]));
}

/**
 * What makes a table one that we must neither read nor write. Pure.
 * @param columns of a table of our own, which has exactly these and runs no code; undefined: a table of Kasm, where an operator may have added
 *   what is his own
 */
export function objectionsTo(found: FoundTable, columns?: Record<string, string>): string[] {
  return [
    ...(found.kind === 'r' ? [] : ['it is not an ordinary table']),
    ...(columns === undefined ? [] : columnDifferences(found.columns, columns)),
    ...(found.trusted
      ? []
      : [`it belongs to "${found.owner}", who is neither this login, its role, nor the owner of the database`]),
    ...(columns === undefined ? [] : found.policies.map((name) => `it has a policy ${name}`)),
    ...found.rules.map((name) => `it has a rule ${name}`),
    ...(found.inherits ? ['it inherits from another table, or another one from it'] : []),
    ...found.code.filter(({ trusted }) => columns !== undefined || !trusted).map(describeCode),
  ];
}

function describeCode({ what, owner, trusted }: FoundTable['code'][number]): string {
  return `it has ${what}${trusted ? '' : `, which belongs to "${owner}"`}`;
}

/** May this login read it, does it show all its rows, and would reading it run no code of somebody else? */
export function isReadable(found: FoundTable | undefined): boolean {
  return found?.readable === true && !found.rowSecurity && objectionsTo(found).length === 0;
}

/** @throws KasmDbError integrity when a table of Kasm's is one that we must neither read nor write, or does not show us all its rows */
export function requireSafe(found: FoundTable): void {
  const [objection] = objectionsTo(found);
  if (objection !== undefined) {
    throw new KasmDbError('integrity', `${found.name} is not used: ${objection}`, {
      hint: 'find out who made or changed it; what belongs to the owner of the database (or to a role that its administrator has made this login a member of) is used',
    });
  }
  requireAllRows(found);
}

/** Row security would hide rows, and what is hidden must not read as missing. @throws KasmDbError integrity */
export function requireAllRows(found: FoundTable): void {
  if (!found.rowSecurity) return;
  const message = `row security hides rows of ${found.name} from this role, so nobody knows what is in it`;
  throw new KasmDbError('integrity', message, {
    hint: `as its owner: ALTER TABLE ${found.name} DISABLE ROW LEVEL SECURITY; or give this role BYPASSRLS`,
  });
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
