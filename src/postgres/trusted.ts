/**
 * SQL: whose objects are used. Another role's view, trigger or function runs with the rights of whoever uses it, so it is used only where that role could
 * do as the login anyway: the login itself, the role that it works as, the database's owner, who could take the login over, or a role that one of these
 * has made the login a member of. Before 15 any role may make others a member of itself, so membership alone says nothing.
 */

/** A superuser, or who may change the login's password: before 16 with CREATEROLE. @param role a row of pg_roles @param login OID, as SQL */
const couldTakeOver = (role: string, login: string) => `(${role}.rolsuper
    OR ${role}.rolcreaterole AND current_setting('server_version_num')::int < 160000 OR pg_has_role(${role}.oid, ${login}, 'MEMBER WITH ADMIN OPTION'))`;

/** Granted by nobody else. Before 16 the grants of a role that is dropped stay: a stranger's own role is gone with him, so these are others' roles. */
const GIVEN = `NOT EXISTS (SELECT FROM pg_roles g WHERE g.oid = a.grantor AND g.oid <> d.datdba AND NOT ${couldTakeOver('g', 'r.oid')})`;

/** To be joined as `me`, for isTrusted. A superuser is a member of every role, so membership says nothing of him. */
export const ME = `(SELECT r.oid AS login, array_append(ARRAY(WITH RECURSIVE given AS (
    SELECT a.roleid FROM pg_auth_members a WHERE a.member = r.oid AND ${GIVEN}
    UNION SELECT a.roleid FROM given JOIN pg_auth_members a ON a.member = given.roleid AND ${GIVEN})
  SELECT roleid FROM given WHERE NOT r.rolsuper UNION SELECT oid FROM pg_roles WHERE rolname IN (session_user, current_user)), d.datdba) AS trusted
FROM pg_roles r, pg_database d WHERE r.rolname = session_user AND d.datname = current_database())`;

/** @param owner OID of a role, as SQL */
export const isTrusted = (owner: string) =>
  `(${owner} = ANY (me.trusted) OR EXISTS (SELECT FROM pg_roles o WHERE o.oid = ${owner} AND ${couldTakeOver('o', 'me.login')}))`;
