import { escapeIdentifier as id } from 'pg';
import { KasmDbError } from '../app/errors.js';
import type { Names, RoleState, ServerState, TargetState } from './state.js';
import type { Step } from './step.js';

const EXTENSION_SQL = 'CREATE EXTENSION "uuid-ossp" WITH SCHEMA public';

/** Roles to take on for what belongs to an owner; undefined: the admin's own rights are enough. */
interface Actors {
  owner: string | undefined;
  databaseOwner: string | undefined;
  historyOwner: string | undefined;
}

/**
 * What belongs into the target database, in order. Pure.
 * @param historySql what makes the history's tables
 * @throws KasmDbError environment where the server has no uuid-ossp
 */
export function targetSteps(server: ServerState, target: TargetState, names: Names, historySql: string): Step[] {
  if (!target.extension && !server.extension.available) {
    throw new KasmDbError('environment', 'the server has no extension uuid-ossp', {
      hint: `install PostgreSQL's contrib modules (package postgresql-contrib), then in database ${names.database}: ${EXTENSION_SQL}`,
      statement: EXTENSION_SQL,
    });
  }
  const actors = actorsFor(server, target, names);
  return [
    ...databaseGrants(server, names, actors),
    ...publicSchemaSteps(target, names, actors),
    extensionStep(server, target, actors),
    ...historySteps(server, target, names, actors),
    { ...step('tables of the history', hasTables(target), actors.owner, historySql), history: true },
    ...gateSteps(server, target, names, actors),
  ];
}

function actorsFor({ admin, database }: ServerState, { history }: TargetState, { owner }: Names): Actors {
  const asOwner = owner === admin.name ? undefined : owner;
  const actor = (found: RoleState | undefined): string | undefined => {
    if (admin.superuser || found?.inherited) return undefined;
    if (found === undefined || found.name === owner) return asOwner;
    return found.settable ? found.name : undefined;
  };
  return { owner: asOwner, databaseOwner: actor(database?.owner), historyOwner: actor(history?.owner) };
}

/** @param as role to take on for it */
function step(what: string, present: boolean, as: string | undefined, ...sql: string[]): Step {
  const text = sql.join(';\n');
  return { what, present, where: 'target', as, sql: text, sqlForDisplay: text };
}

/** Not worth a word where it is there. */
function ifMissing(...args: Parameters<typeof step>): Step[] {
  const [, present] = args;
  return present ? [] : [step(...args)];
}

const hasTables = ({ history }: TargetState) => history?.tables.length === 2;
const mayCreate = ({ database }: ServerState) => database?.ownerMayCreate ?? true;

function databaseGrants({ database: found }: ServerState, { login, owner, database }: Names, actors: Actors): Step[] {
  return [
    ...ifMissing(
      `CONNECT of ${login} on database ${database}`,
      found?.loginMayConnect ?? true,
      actors.databaseOwner,
      `GRANT CONNECT ON DATABASE ${id(database)} TO ${id(login)}`,
    ),
    ...ifMissing(
      `TEMPORARY of ${owner} on database ${database}`,
      found?.ownerMayTemp ?? true,
      actors.databaseOwner,
      `GRANT TEMPORARY ON DATABASE ${id(database)} TO ${id(owner)}`,
    ),
  ];
}

function publicSchemaSteps({ publicSchema }: TargetState, { owner }: Names, actors: Actors): Step[] {
  return [
    ...ifMissing(
      'schema public',
      publicSchema !== undefined,
      actors.databaseOwner,
      `CREATE SCHEMA public AUTHORIZATION ${id(owner)}`,
    ),
    // From 15 on the database's owner has them; on a database of someone else the application has not.
    ...ifMissing(
      `USAGE and CREATE of ${owner} on schema public`,
      publicSchema?.usable ?? true,
      actors.databaseOwner,
      `GRANT USAGE, CREATE ON SCHEMA public TO ${id(owner)}`,
    ),
  ];
}

/** Trusted since 13: CREATE on the database is enough. Where a distribution took that back, the admin tries itself. */
function extensionStep(server: ServerState, target: TargetState, actors: Actors): Step {
  const as = mayCreate(server) && server.extension.trusted ? actors.owner : actors.databaseOwner;
  return step('extension uuid-ossp', target.extension, as, EXTENSION_SQL);
}

function historySteps(server: ServerState, target: TargetState, { owner }: Names, actors: Actors): Step[] {
  const { history } = target;
  const schema: [string, boolean] = ['schema kasm_db', history !== undefined];
  return [
    mayCreate(server)
      ? step(...schema, actors.owner, 'CREATE SCHEMA kasm_db')
      : step(...schema, actors.databaseOwner, `CREATE SCHEMA kasm_db AUTHORIZATION ${id(owner)}`),
    ...ifMissing(
      `USAGE and CREATE of ${owner} on schema kasm_db`,
      hasTables(target) || (history?.usable ?? true),
      actors.historyOwner,
      `GRANT USAGE, CREATE ON SCHEMA kasm_db TO ${id(owner)}`,
    ),
  ];
}

/** Never kasm_db.seeds, so no default privileges: they would cover every later table of the schema. */
function gateSteps(server: ServerState, target: TargetState, { gate, database }: Names, actors: Actors): Step[] {
  if (gate === undefined) return [];
  const { history } = target;
  return [
    ...ifMissing(
      `CONNECT of ${gate} on database ${database}`,
      server.database?.gateMayConnect ?? true,
      actors.databaseOwner,
      `GRANT CONNECT ON DATABASE ${id(database)} TO ${id(gate)}`,
    ),
    step(
      `SELECT of ${gate} on the history`,
      hasTables(target) && history?.gateMayUse === true && history.tables.every((table) => table.gateMaySelect),
      actors.historyOwner,
      `GRANT USAGE ON SCHEMA kasm_db TO ${id(gate)}`,
      `GRANT SELECT ON kasm_db.migrations, kasm_db.run TO ${id(gate)}`,
    ),
  ];
}
