/**
 * The schemas that are looked at: not PostgreSQL's, not kasm-db's own, none that an extension has brought. `member` are all objects
 * of extensions.
 */
export const OURS = `member AS (SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'),
ours AS (SELECT oid, nspname FROM pg_namespace n WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'kasm_db')
  AND NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_namespace'::regclass AND m.objid = n.oid))`;

/** A name as ids have it (namePart in ddl/names.ts). */
export const idPart = (name: string) => `(CASE WHEN ${name} ~ '[."]' THEN quote_ident(${name}) ELSE ${name}::text END)`;

/** A function as SQL, found whatever others share its name; those of pg_catalog are found without a schema. */
export const routineName = (oid: string) =>
  `(SELECT CASE n.nspname WHEN 'pg_catalog' THEN '' ELSE quote_ident(n.nspname) || '.' END || quote_ident(p.proname)
     FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.oid = ${oid})`;

/** Types of a routine's arguments, as ids have them. @param alias of pg_proc */
export const argumentTypes = (alias: string) =>
  `(SELECT coalesce(string_agg(format_type(t, NULL), ',' ORDER BY n), '') FROM unnest(${alias}.proargtypes) WITH ORDINALITY AS u(t, n))`;

/** Condition: PostgreSQL has made it with something else and drops it with that, as the constructors of a range. */
export const isBroughtAlong = (catalog: string, oid: string) =>
  `EXISTS (SELECT FROM pg_depend b WHERE b.classid = '${catalog}'::regclass AND b.objid = ${oid} AND b.deptype = 'i')`;

/** Condition: no extension has brought it. */
export const notMember = (catalog: string, oid: string) =>
  `NOT EXISTS (SELECT FROM member m WHERE m.classid = '${catalog}'::regclass AND m.objid = ${oid})`;

/**
 * Who may do what, as JSON text, which is the same for most objects; the owner has an empty name.
 * @param kind of acldefault(): r, s, f, T, n, c
 */
export const grants = (acl: string, kind: string, owner: string) =>
  `(SELECT json_agg(json_build_array(CASE x.grantee WHEN 0 THEN 'PUBLIC' WHEN ${owner} THEN '' ELSE pg_get_userbyid(x.grantee) END,
     x.privilege_type, x.is_grantable)) FROM aclexplode(coalesce(${acl}, acldefault('${kind}', ${owner}))) x)::text`;

/** The comment of an object as `e.description`: a join, since obj_description() asks anew for each of thousands. */
export const describedBy = (catalog: string, oid: string) =>
  `LEFT JOIN pg_description e ON e.objoid = ${oid} AND e.classoid = '${catalog}'::regclass AND e.objsubid = 0`;

/** Names of a table's columns, in the order of their numbers; a constraint may have none, and 0 stands for an expression. */
export const columnNames = (table: string, numbers: string) =>
  `(SELECT coalesce(json_agg(a.attname ORDER BY u.n), '[]') FROM unnest(${numbers}) WITH ORDINALITY AS u(num, n)
    JOIN pg_attribute a ON a.attrelid = ${table} AND a.attnum = u.num AND a.attnum > 0)`;
