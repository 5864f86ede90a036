import { escapeLiteral } from 'pg';
import { READ_ONLY_BY_SQL } from '../history/read-state.js';
import { otherCreatorsSql, strangeOwnerSql } from '../postgres/public-schema.js';
import type { Session } from '../postgres/session.js';
import { ME } from '../postgres/trusted.js';

/** A role, and what the admin who looks may do with it. */
export interface RoleState {
  name: string;
  superuser: boolean;
  canLogin: boolean;
  /** The admin may SET ROLE to it. */
  settable: boolean;
  /** The admin has its privileges without SET ROLE. */
  inherited: boolean;
  /** The admin may make others, and itself, a member of it. */
  grantable: boolean;
}

/** What the whole server has; the same from each of its databases. */
export interface ServerState {
  version: number;
  standby: boolean;
  /** See MigrationState. */
  readOnlyBy?: string | null;
  /** The PID that answers differs from the one told at login: a pooler stands in between. */
  pooled: boolean;
  admin: { name: string; superuser: boolean };
  /** Those of the wanted roles that exist. */
  roles: RoleState[];
  /** Where login and owner are two roles: the login may SET ROLE to the owner. */
  loginIsMember: boolean;
  database?: null | {
    owner: RoleState;
    /** The owner may use what the owner-to-be makes. */
    ownerMayUse: boolean;
    encoding: string;
    loginMayConnect: boolean;
    ownerMayTemp: boolean;
    ownerMayCreate: boolean;
    gateMayConnect: boolean;
  };
  /** Locale of template0, which new databases take over. */
  template: { encoding: string; collate: string; ctype: string };
  extension: { available: boolean; trusted: boolean };
}

/** What the target database has. */
export interface TargetState {
  /** uuid-ossp is installed. */
  extension: boolean;
  /** Schema public; `usable`: the owner-to-be may use it and create in it; `creators`: others who may; `stranger`: its owner, where he is one. */
  publicSchema?: null | { usable: boolean; creators: string[]; stranger?: string | null };
  /** Schema kasm_db. */
  history?: null | {
    owner: RoleState;
    /** The owner-to-be may use it and create in it. */
    usable: boolean;
    /** Those of its tables migrations and run that exist. */
    tables: { name: string; gateMaySelect: boolean }[];
    gateMayUse: boolean;
  };
}

export interface Names {
  /** Role that logs in for the application. */
  login: string;
  /** Role that owns database and tables; the same unless KASM_DB_ROLE (--role) names another. */
  owner: string;
  gate?: string | undefined;
  database: string;
}

/** pg_has_role knows 'SET' from 16 on; before, every membership allows SET ROLE, and CREATEROLE may grant any role but a superuser. */
const MEMBER_WHO_CAN_SET = "CASE WHEN v.num >= 160000 THEN 'SET' ELSE 'MEMBER' END";

const ROLE_JSON = `json_build_object('name', r.rolname, 'superuser', r.rolsuper, 'canLogin', r.rolcanlogin,
  'settable', pg_has_role(r.oid, ${MEMBER_WHO_CAN_SET}), 'inherited', pg_has_role(r.oid, 'USAGE'),
  'grantable', me.rolsuper OR pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION') OR (v.num < 160000 AND me.rolcreaterole AND NOT r.rolsuper))`;

const FROM = `FROM (SELECT current_setting('server_version_num')::int AS num) v, pg_roles me WHERE me.rolname = current_user`;

/** What a role may do with database `d`; one that doesn't exist yet will have what everybody has. */
const onDatabase = (role: string, privilege: string) =>
  `coalesce(has_database_privilege(${role}.oid, d.oid, '${privilege}'), has_database_privilege('public', d.oid, '${privilege}'))`;

const SERVER_SQL = (login: string, owner: string, gate: string, database: string) => `SELECT v.num AS version,
  pg_is_in_recovery() AS standby, ${READ_ONLY_BY_SQL} AS "readOnlyBy", pg_backend_pid() AS pid, json_build_object('name', me.rolname, 'superuser', me.rolsuper) AS admin,
  (SELECT coalesce(json_agg(${ROLE_JSON}), '[]') FROM pg_roles r WHERE r.rolname IN (${login}, ${owner}, ${gate})) AS roles,
  EXISTS (SELECT FROM pg_roles l, pg_roles o WHERE l.rolname = ${login} AND o.rolname = ${owner}
    AND pg_has_role(l.oid, o.oid, ${MEMBER_WHO_CAN_SET})) AS "loginIsMember",
  (SELECT json_build_object('owner', ${ROLE_JSON}, 'encoding', pg_encoding_to_char(d.encoding),
      'ownerMayUse', coalesce(pg_has_role(d.datdba, o.oid, 'USAGE'), r.rolsuper), 'loginMayConnect', ${onDatabase('l', 'CONNECT')},
      'ownerMayTemp', ${onDatabase('o', 'TEMPORARY')}, 'ownerMayCreate', coalesce(has_database_privilege(o.oid, d.oid, 'CREATE'), false),
      'gateMayConnect', ${onDatabase('g', 'CONNECT')})
    FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba LEFT JOIN pg_roles l ON l.rolname = ${login}
    LEFT JOIN pg_roles o ON o.rolname = ${owner} LEFT JOIN pg_roles g ON g.rolname = ${gate}
    WHERE d.datname = ${database}) AS database,
  (SELECT json_build_object('encoding', pg_encoding_to_char(encoding), 'collate', datcollate, 'ctype', datctype)
    FROM pg_database WHERE datname = 'template0') AS template,
  (SELECT json_build_object('available', count(*) > 0, 'trusted', coalesce(bool_or(trusted), false))
    FROM pg_available_extension_versions WHERE name = 'uuid-ossp') AS extension
${FROM}`;

/** May the owner-to-be use schema `n` and create in it? */
const USABLE = ['USAGE', 'CREATE']
  .map(
    (privilege) =>
      `coalesce(has_schema_privilege(o.oid, n.oid, '${privilege}'), has_schema_privilege('public', n.oid, '${privilege}'))`,
  )
  .join(' AND ');

const TARGET_SQL = (owner: string, login: string, gate: string) => `SELECT
  EXISTS (SELECT FROM pg_extension WHERE extname = 'uuid-ossp') AS extension,
  (SELECT json_build_object('usable', ${USABLE}, 'creators', ${otherCreatorsSql(`current_user, coalesce(${owner}, ''), coalesce(${login}, ''), (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database())`)},
      'stranger', ${strangeOwnerSql(`coalesce(${owner}, ''), coalesce(${login}, '')`)})
    FROM pg_namespace n CROSS JOIN ${ME} me LEFT JOIN pg_roles o ON o.rolname = ${owner} WHERE n.nspname = 'public') AS "publicSchema",
  (SELECT json_build_object('owner', ${ROLE_JSON}, 'usable', ${USABLE},
      'tables', (SELECT coalesce(json_agg(json_build_object('name', c.relname,
          'gateMaySelect', coalesce(has_table_privilege(g.oid, c.oid, 'SELECT'), false))), '[]')
        FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind = 'r' AND c.relname IN ('migrations', 'run')),
      'gateMayUse', coalesce(has_schema_privilege(g.oid, n.oid, 'USAGE'), false))
    FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner LEFT JOIN pg_roles o ON o.rolname = ${owner}
    LEFT JOIN pg_roles g ON g.rolname = ${gate} WHERE n.nspname = 'kasm_db') AS history
${FROM}`;

/** postgres may be dropped or closed; template1 is always there. */
export const MAINTENANCE_DATABASES = ['postgres', 'template1'] as const;

/** The admin works as itself, whatever `ALTER ROLE … SET role` says. LOCAL, so that it outlives nothing behind a pooler. */
export const AS_ADMIN = 'SET LOCAL ROLE NONE';

/** In a transaction of its own; inside one of the caller it takes part in that. */
async function lookUp<T extends object>(session: Session, sql: string): Promise<T> {
  const ask = async () => (await session.query<T>(`${AS_ADMIN}; ${sql}`))[0] as T;
  return session.inTransaction ? ask() : session.reading(ask);
}

const literal = (name: string | undefined) => (name === undefined ? 'NULL' : escapeLiteral(name));

/** Reads what the server has of the wanted roles and of the database. Works for every role. */
export async function readServerState(session: Session, names: Names): Promise<ServerState> {
  const sql = SERVER_SQL(literal(names.login), literal(names.owner), literal(names.gate), literal(names.database));
  const { pid, ...state } = await lookUp<Omit<ServerState, 'pooled'> & { pid: number }>(session, sql);
  return { ...state, pooled: pid !== session.client.processID };
}

/** Reads what the target database has. */
export function readTargetState(session: Session, names: Names): Promise<TargetState> {
  return lookUp(session, TARGET_SQL(literal(names.owner), literal(names.login), literal(names.gate)));
}
