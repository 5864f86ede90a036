import { escapeIdentifier, escapeLiteral } from 'pg';
import { KasmDbError } from '../app/errors.js';
import { ownershipWarning } from '../migrator/ownership.js';
import { revokeSql, strangeOwner } from '../postgres/public-schema.js';
import type { Names, RoleState, ServerState, TargetState } from './state.js';

/** One thing that has to be there, and how it gets there. */
export interface Step {
  /** What will be there: `role kasmapp`. */
  what: string;
  /** It is there already; nothing is run. */
  present: boolean;
  /** Database it is run in: the one for maintenance (postgres), or the application's. */
  where: 'maintenance' | 'target';
  /** Role to take on for it (SET ROLE), so that what it makes belongs to that role. */
  as?: string | undefined;
  /** Statements, separated by semicolons; in the maintenance database exactly one. */
  sql: string;
  /** The same with passwords hidden. */
  sqlForDisplay: string;
  /** The history's tables, which ensureHistory makes. */
  history?: boolean;
}

export interface State {
  server: ServerState;
  /** undefined: the database doesn't exist yet. */
  target?: TargetState | undefined;
}

export interface Wanted extends Names {
  /** SCRAM verifiers of the roles' passwords; needed only for a role that doesn't exist. */
  verifiers: { login?: string | undefined; gate?: string | undefined };
  /** What makes the history's tables. */
  historySql: string;
}

/** Init containers of one deployment that look at the same moment; a refused one tries again. */
const GATE_CONNECTION_LIMIT = 20;

const HIDDEN = '<hidden>';
const id = escapeIdentifier;
/** What template0 of a supported server holds for everybody. */
const FRESH: TargetState = { extension: false, publicSchema: { usable: true, creators: [] } };

/**
 * Everything that bootstrap brings about, in order; what is there already says so. An existing role keeps its password, its attributes
 * and its memberships, an existing database its owner.
 * @throws KasmDbError environment with the statement for another admin, where this one cannot do it
 */
export function planBootstrap({ server, target = FRESH }: State, wanted: Wanted): Step[] {
  const inTarget = targetSteps(server, target, wanted);
  const actsAsOwner = !server.database || inTarget.some((step) => !step.present && step.as === wanted.owner);
  return [
    ...roleSteps(server, wanted),
    ...membership(server, wanted, actsAsOwner),
    databaseStep(server, wanted),
    ...inTarget,
  ];
}

/** What is odd about what was found, but not bootstrap's to change. */
export function bootstrapWarnings({ server, target }: State, wanted: Names): string[] {
  const login = server.roles.find((role) => role.name === wanted.login);
  const creators = target?.publicSchema?.creators ?? [];
  const superusers = server.roles.filter(({ superuser }) => superuser).map(({ name }) => name);
  const found = server.database;
  const ownership =
    found &&
    ownershipWarning({ user: wanted.owner, owner: found.owner.name, ownerMayUse: found.ownerMayUse }, wanted.database);
  const stranger = target?.publicSchema?.stranger;
  const foreignSchema = stranger && strangeOwner('public', stranger, found?.owner.name ?? wanted.owner);
  return [
    ...(ownership ? [`${ownership.text}; ${ownership.fix}`] : []),
    ...(foreignSchema ? [`${foreignSchema.text}; ${foreignSchema.fix}`] : []),
    ...superusers.map(
      (name) =>
        `role ${name} is a superuser; kasm-db and its gates need none: take another role, or ALTER ROLE ${id(name)} NOSUPERUSER`,
    ),
    ...(login && !login.canLogin
      ? [`role ${wanted.login} exists but may not log in: ALTER ROLE ${id(wanted.login)} LOGIN`]
      : []),
    ...(server.database && server.database.encoding !== 'UTF8'
      ? [`database ${wanted.database} has encoding ${server.database.encoding}; Kasm's texts need UTF8`]
      : []),
    ...(creators.length > 0
      ? [
          `others may create functions and operators in schema public: ${creators.join(', ')}; as its owner, in database ${wanted.database}: ${revokeSql(creators)}`,
        ]
      : []),
  ];
}

function roleSteps(server: ServerState, { login, owner, gate, verifiers }: Wanted): Step[] {
  const exists = (name: string) => server.roles.some((role) => role.name === name);
  const step = (name: string, attributes: string, verifier?: string): Step => {
    const sql = (password: string) =>
      `CREATE ROLE ${id(name)} ${attributes}${verifier ? ` PASSWORD ${escapeLiteral(password)}` : ''}`;
    return {
      what: `role ${name}`,
      present: exists(name),
      where: 'maintenance',
      sql: sql(verifier ?? ''),
      sqlForDisplay: sql(HIDDEN),
    };
  };
  const separate = owner !== login;
  if (separate && exists(login) && !server.loginIsMember) {
    throw otherAdmin(
      `role ${login} exists and is not a member of ${owner}; bootstrap gives no existing role more rights`,
      `GRANT ${id(owner)} TO ${id(login)}`,
      owner,
    );
  }
  return [
    ...(separate ? [step(owner, 'NOLOGIN')] : []),
    // One statement makes both role and membership: a crash in between would leave a role that bootstrap must not touch.
    step(login, separate ? `LOGIN IN ROLE ${id(owner)}` : 'LOGIN', verifiers.login),
    ...(gate ? [step(gate, `LOGIN CONNECTION LIMIT ${GATE_CONNECTION_LIMIT}`, verifiers.gate)] : []),
  ];
}

/**
 * An admin who is no superuser owns nothing for another role without being able to SET ROLE to it. From 16 on whoever creates a role may
 * grant it but is no member that can SET; before, CREATEROLE may grant every role that is no superuser. The membership stays: taking it
 * back would race with another bootstrap, leave a crashed one half-way, and keep the admin from ever dropping the database; and it is
 * nothing that the admin couldn't give itself at any time. Without INHERIT (16+) it gives nothing until SET ROLE is said.
 */
function membership(server: ServerState, { owner }: Wanted, actsAsOwner: boolean): Step[] {
  const { admin, version } = server;
  const role = server.roles.find(({ name }) => name === owner);
  if (!actsAsOwner || admin.superuser || admin.name === owner || role?.settable) return [];
  const options = version < 160_000 ? '' : role?.inherited ? ' WITH SET TRUE' : ' WITH INHERIT FALSE, SET TRUE';
  const sql = `GRANT ${id(owner)} TO ${id(admin.name)}${options}`;
  if (role && !role.grantable) {
    throw otherAdmin(`role ${owner} was made by another admin, and ${admin.name} may not act as it`, sql, owner);
  }
  return [
    {
      what: `membership of ${admin.name} in ${owner}`,
      present: false,
      where: 'maintenance',
      sql,
      sqlForDisplay: sql,
    },
  ];
}

function otherAdmin(message: string, statement: string, role: string): KasmDbError {
  return new KasmDbError('environment', message, {
    hint: `as a superuser or an admin of role ${role}: ${statement}`,
    statement,
  });
}

function databaseStep(server: ServerState, { database, owner }: Wanted): Step {
  const { encoding, collate, ctype } = server.template;
  const anyEncoding = [collate, ctype].every((locale) => locale === 'C' || locale === 'POSIX');
  // A locale such as de_DE.ISO-8859-1 refuses UTF8; C takes every encoding.
  const locale = encoding === 'UTF8' || anyEncoding ? '' : ` LC_COLLATE 'C' LC_CTYPE 'C'`;
  // template0: nobody is ever connected to it, so many can be copied at once; and it takes another encoding than its own.
  const sql = `CREATE DATABASE ${id(database)} OWNER ${id(owner)} TEMPLATE template0 ENCODING 'UTF8'${locale}`;
  return {
    what: `database ${database}`,
    present: server.database !== undefined,
    where: 'maintenance',
    sql,
    sqlForDisplay: sql,
  };
}

function targetSteps(server: ServerState, target: TargetState, wanted: Wanted): Step[] {
  const { login, owner, gate, database, historySql } = wanted;
  const { admin, database: found } = server;
  const { history, publicSchema } = target;
  if (!target.extension && !server.extension.available) {
    throw new KasmDbError('environment', 'the server has no extension uuid-ossp', {
      hint: `install PostgreSQL's contrib modules (package postgresql-contrib), then in database ${database}: ${EXTENSION_SQL}`,
      statement: EXTENSION_SQL,
    });
  }
  const asOwner = owner === admin.name ? undefined : owner;
  /** How to act with the rights of an owner: as oneself where that is enough. */
  const actor = (found: RoleState | undefined): string | undefined => {
    if (admin.superuser || found?.inherited) return undefined;
    if (found === undefined || found.name === owner) return asOwner;
    return found.settable ? found.name : undefined;
  };
  const asDatabaseOwner = actor(found?.owner);
  const asHistoryOwner = actor(history?.owner);
  const ownerMayCreate = found?.ownerMayCreate ?? true;
  const hasTables = history?.tables.length === 2;
  const onDatabase = `ON DATABASE ${id(database)}`;
  const step = (what: string, present: boolean, as: string | undefined, ...sql: string[]): Step => ({
    what,
    present,
    where: 'target',
    as,
    sql: sql.join(';\n'),
    sqlForDisplay: sql.join(';\n'),
  });
  /** Not worth a word where it is there. */
  const ifMissing = (...args: Parameters<typeof step>) => (args[1] ? [] : [step(...args)]);
  return [
    ...ifMissing(
      `CONNECT of ${login} on database ${database}`,
      found?.loginMayConnect ?? true,
      asDatabaseOwner,
      `GRANT CONNECT ${onDatabase} TO ${id(login)}`,
    ),
    ...ifMissing(
      `TEMPORARY of ${owner} on database ${database}`,
      found?.ownerMayTemp ?? true,
      asDatabaseOwner,
      `GRANT TEMPORARY ${onDatabase} TO ${id(owner)}`,
    ),
    ...ifMissing(
      'schema public',
      publicSchema !== undefined,
      asDatabaseOwner,
      `CREATE SCHEMA public AUTHORIZATION ${id(owner)}`,
    ),
    // From 15 on the database's owner has them; on a database of someone else the application has not.
    ...ifMissing(
      `USAGE and CREATE of ${owner} on schema public`,
      publicSchema?.usable ?? true,
      asDatabaseOwner,
      `GRANT USAGE, CREATE ON SCHEMA public TO ${id(owner)}`,
    ),
    // Trusted since 13: CREATE on the database is enough. Where a distribution took that back, the admin tries itself.
    step(
      'extension uuid-ossp',
      target.extension,
      ownerMayCreate && server.extension.trusted ? asOwner : asDatabaseOwner,
      EXTENSION_SQL,
    ),
    ownerMayCreate
      ? step('schema kasm_db', history !== undefined, asOwner, 'CREATE SCHEMA kasm_db')
      : step(
          'schema kasm_db',
          history !== undefined,
          asDatabaseOwner,
          `CREATE SCHEMA kasm_db AUTHORIZATION ${id(owner)}`,
        ),
    ...ifMissing(
      `USAGE and CREATE of ${owner} on schema kasm_db`,
      hasTables || (history?.usable ?? true),
      asHistoryOwner,
      `GRANT USAGE, CREATE ON SCHEMA kasm_db TO ${id(owner)}`,
    ),
    { ...step('tables of the history', hasTables, asOwner, historySql), history: true },
    ...(gate === undefined
      ? []
      : [
          ...ifMissing(
            `CONNECT of ${gate} on database ${database}`,
            found?.gateMayConnect ?? true,
            asDatabaseOwner,
            `GRANT CONNECT ${onDatabase} TO ${id(gate)}`,
          ),
          // Never kasm_db.seeds, so no default privileges: they would cover every later table of the schema.
          step(
            `SELECT of ${gate} on the history`,
            hasTables && history.gateMayUse && history.tables.every((table) => table.gateMaySelect),
            asHistoryOwner,
            `GRANT USAGE ON SCHEMA kasm_db TO ${id(gate)}`,
            `GRANT SELECT ON kasm_db.migrations, kasm_db.run TO ${id(gate)}`,
          ),
        ]),
  ];
}

const EXTENSION_SQL = 'CREATE EXTENSION "uuid-ossp" WITH SCHEMA public';
