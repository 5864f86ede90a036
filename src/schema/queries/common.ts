/**
 * The schemas that are looked at: not PostgreSQL's, not kasm-db's own, none that an extension has brought. `member` are all objects
 * of extensions.
 */
export const OURS = `member AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
ours AS (SELECT oid, nspname FROM pg_namespace n WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'kasm_db')
  AND NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_namespace'::regclass AND m.objid = n.oid))`;

/** Condition: no extension has brought it. */
export const notMember = (catalog: string, oid: string) =>
  `NOT EXISTS (SELECT FROM member m WHERE m.classid = '${catalog}'::regclass AND m.objid = ${oid})`;

/**
 * Who may do what, as JSON; the owner has an empty name.
 * @param kind of acldefault(): r, s, f, T, n, c
 */
export const grants = (acl: string, kind: string, owner: string) =>
  `(SELECT json_agg(json_build_array(CASE x.grantee WHEN 0 THEN 'PUBLIC' WHEN ${owner} THEN '' ELSE pg_get_userbyid(x.grantee) END,
     x.privilege_type, x.is_grantable)) FROM aclexplode(coalesce(${acl}, acldefault('${kind}', ${owner}))) x)`;
