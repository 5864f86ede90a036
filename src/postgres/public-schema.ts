import { escapeIdentifier } from 'pg';

/**
 * SQL, within a transaction of our own: who may create objects in schema public beside its owner, superusers and these roles. Their functions and
 * operators would be taken for PostgreSQL's own by whoever is less careful than we are (CVE-2018-1058): before 15 everybody may.
 * @param names of roles, as SQL
 */
export const otherCreatorsSql = (names: string) =>
  `ARRAY(SELECT coalesce(r.rolname::text, 'PUBLIC') FROM pg_namespace n CROSS JOIN LATERAL aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
     LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE n.nspname = 'public' AND a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner
     AND coalesce(NOT r.rolsuper AND r.rolname NOT IN ('pg_database_owner', ${names}), true) ORDER BY 1)`;

/** What takes it away from them. */
export function revokeSql(creators: readonly string[]): string {
  const names = creators.map((name) => (name === 'PUBLIC' ? name : escapeIdentifier(name)));
  return `REVOKE CREATE ON SCHEMA public FROM ${names.join(', ')}`;
}
