import { escapeIdentifier } from 'pg';
import { isTrusted } from './trusted.js';

/**
 * SQL, within a transaction of our own: who may create objects in schema public beside its owner, superusers and these roles. Their functions and
 * operators would be taken for PostgreSQL's own by whoever is less careful than we are (CVE-2018-1058): before 15 everybody may.
 * @param names of roles, as SQL
 */
export const otherCreatorsSql = (names: string) =>
  `ARRAY(SELECT coalesce(r.rolname::text, 'PUBLIC') FROM pg_namespace n CROSS JOIN LATERAL aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
     LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE n.nspname = 'public' AND a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner
     AND coalesce(NOT r.rolsuper AND r.rolname NOT IN ('pg_database_owner', ${names}), true) ORDER BY 1)`;

/**
 * SQL: the owner of schema `n` (pg_namespace) where he is a stranger, else null. He may drop whatever others have made there, put things of his own in
 * its place, and grant himself and others everything in it. ME is to be joined as `me`.
 * @param names of roles that are none, as SQL
 */
export const strangeOwnerSql = (
  names: string,
) => `(SELECT owner.rolname FROM pg_roles owner WHERE owner.oid = n.nspowner
  AND owner.rolname NOT IN ('pg_database_owner', ${names}) AND NOT ${isTrusted('n.nspowner')})`;

/** What to say of it, and to do. @param owner of the database */
export function strangeOwner(schema: string, stranger: string, owner: string): { text: string; fix: string } {
  return {
    text: `schema ${schema} belongs to ${stranger}, who is neither this login, its role, nor the owner of the database, and may drop and replace whatever is in it`,
    fix: `find out why; then as a superuser: ALTER SCHEMA ${schema} OWNER TO ${escapeIdentifier(owner)}`,
  };
}

/** What takes it away from them. */
export function revokeSql(creators: readonly string[]): string {
  const names = creators.map((name) => (name === 'PUBLIC' ? name : escapeIdentifier(name)));
  return `REVOKE CREATE ON SCHEMA public FROM ${names.join(', ')}`;
}
