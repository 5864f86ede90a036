import { escapeIdentifier, escapeLiteral } from 'pg';
import { KasmDbError } from '../app/errors.js';
import { ownershipWarning } from '../migrator/ownership.js';
import { revokeSql, strangeOwner } from '../postgres/public-schema.js';
import type { Names, ServerState, TargetState } from './state.js';
import { maintenanceStep, type Step } from './step.js';
import { targetSteps } from './target-steps.js';

export interface State {
  server: ServerState;
  /** undefined: the database doesn't exist yet. */
  target?: TargetState | undefined;
}

export interface Wanted extends Names {
  /** SCRAM verifiers of the roles' passwords; needed only for a role that doesn't exist. */
  verifiers: { login?: string | undefined; gate?: string | undefined };
}

/** Init containers of one deployment that look at the same moment; a refused one tries again. */
const GATE_CONNECTION_LIMIT = 20;

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
  const { login, owner, database } = wanted;
  const found = server.database;
  const { creators = [], stranger } = target?.publicSchema ?? {};
  const ownership =
    found && ownershipWarning({ user: owner, owner: found.owner.name, ownerMayUse: found.ownerMayUse }, database);
  const foreignSchema = stranger && strangeOwner('public', stranger, found?.owner.name ?? owner);
  const mayNotLogIn = server.roles.some(({ name, canLogin }) => name === login && !canLogin);
  const warnings = [
    ownership && `${ownership.text}; ${ownership.fix}`,
    foreignSchema && `${foreignSchema.text}; ${foreignSchema.fix}`,
    ...server.roles.map(
      ({ name, superuser }) =>
        superuser &&
        `role ${name} is a superuser; kasm-db and its gates need none: take another role, or ALTER ROLE ${id(name)} NOSUPERUSER`,
    ),
    mayNotLogIn && `role ${login} exists but may not log in: ALTER ROLE ${id(login)} LOGIN`,
    found && found.encoding !== 'UTF8' && `database ${database} has encoding ${found.encoding}; Kasm's texts need UTF8`,
    creators.length > 0 &&
      `others may create functions and operators in schema public: ${creators.join(', ')}; as its owner, in database ${database}: ${revokeSql(creators)}`,
  ];
  return warnings.filter((warning) => typeof warning === 'string');
}

function roleSteps(server: ServerState, { login, owner, gate, verifiers }: Wanted): Step[] {
  const exists = (name: string) => server.roles.some((role) => role.name === name);
  const step = (name: string, attributes: string, verifier?: string): Step => {
    const sql = `CREATE ROLE ${id(name)} ${attributes}`;
    const withPassword = (password: string) => (verifier ? `${sql} PASSWORD ${escapeLiteral(password)}` : sql);
    return maintenanceStep(`role ${name}`, exists(name), withPassword(verifier ?? ''), withPassword('<hidden>'));
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
  return [maintenanceStep(`membership of ${admin.name} in ${owner}`, false, sql)];
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
  return maintenanceStep(`database ${database}`, Boolean(server.database), sql);
}
