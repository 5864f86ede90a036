import { escapeIdentifier as id } from 'pg';
import { KasmDbError } from '../app/errors.js';
import { CREATE_TABLES_SQL } from '../history/tables.js';
import type { Names, RoleState, ServerState, TargetState } from './state.js';
import type { Step } from './step.js';

const EXTENSION_SQL = 'CREATE EXTENSION "uuid-ossp" WITH SCHEMA public';

/** Roles to take on for what belongs to an owner; undefined: the admin's own rights are enough. */
interface Actors {
  owner: string | undefined;
  databaseOwner: string | undefined;
  historyOwner: string | undefined;
}

/** Something that privileges are granted on: as people and as SQL name it. */
type Grantable = [name: string, sql: string];
const PUBLIC: Grantable = ['schema public', 'SCHEMA public'];
const HISTORY: Grantable = ['schema kasm_db', 'SCHEMA kasm_db'];

/**
 * What belongs into the target database, in order. Pure.
 * @throws KasmDbError environment where the server has no uuid-ossp
 */
export function targetSteps(server: ServerState, target: TargetState, names: Names): Step[] {
  const { login, owner, database } = names;
  const { extension, publicSchema, history } = target;
  const found = server.database;
  if (!extension && !server.extension.available) {
    throw new KasmDbError('environment', 'the server has no extension uuid-ossp', {
      hint: `install PostgreSQL's contrib modules (package postgresql-contrib), then in database ${database}: ${EXTENSION_SQL}`,
      statement: EXTENSION_SQL,
    });
  }
  const actors = actorsFor(server, target, names);
  const onDatabase: Grantable = [`database ${database}`, `DATABASE ${id(database)}`];
  const mayCreate = found?.ownerMayCreate ?? true;
  const hasTables = history?.tables.length === 2;
  const schema = mayCreate ? 'CREATE SCHEMA kasm_db' : `CREATE SCHEMA kasm_db AUTHORIZATION ${id(owner)}`;
  return [
    ...grant('CONNECT', login, onDatabase, found?.loginMayConnect, actors.databaseOwner),
    ...grant('TEMPORARY', owner, onDatabase, found?.ownerMayTemp, actors.databaseOwner),
    ...(publicSchema
      ? []
      : [step('schema public', false, actors.databaseOwner, `CREATE SCHEMA public AUTHORIZATION ${id(owner)}`)]),
    // From 15 on the database's owner has them; on a database of someone else the application has not.
    ...grant('USAGE, CREATE', owner, PUBLIC, publicSchema?.usable, actors.databaseOwner),
    // Trusted since 13: CREATE on the database is enough. Where a distribution took that back, the admin tries itself.
    step(
      'extension uuid-ossp',
      extension,
      mayCreate && server.extension.trusted ? actors.owner : actors.databaseOwner,
      EXTENSION_SQL,
    ),
    step('schema kasm_db', Boolean(history), mayCreate ? actors.owner : actors.databaseOwner, schema),
    ...grant('USAGE, CREATE', owner, HISTORY, hasTables || history?.usable, actors.historyOwner),
    { ...step('tables of the history', hasTables, actors.owner, CREATE_TABLES_SQL), history: true },
    // Never kasm_db.seeds, so no default privileges: they would cover every later table of the schema.
    ...(names.gate === undefined
      ? []
      : [
          ...grant('CONNECT', names.gate, onDatabase, found?.gateMayConnect, actors.databaseOwner),
          step(
            `SELECT of ${names.gate} on the history`,
            hasTables && history.gateMayUse && history.tables.every((table) => table.gateMaySelect),
            actors.historyOwner,
            `GRANT USAGE ON SCHEMA kasm_db TO ${id(names.gate)};\nGRANT SELECT ON kasm_db.migrations, kasm_db.run TO ${id(names.gate)}`,
          ),
        ]),
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
function step(what: string, present: boolean, as: string | undefined, sql: string): Step {
  return { what, present, where: 'target', as, sql, sqlForDisplay: sql };
}

/** Not worth a word where it is there. @param present undefined: what it is granted on will be made, with it */
function grant(
  privileges: string,
  role: string,
  [name, sql]: Grantable,
  present: boolean | undefined,
  as: string | undefined,
): Step[] {
  if (present ?? true) return [];
  const what = `${privileges.replace(',', ' and')} of ${role} on ${name}`;
  return [step(what, false, as, `GRANT ${privileges} ON ${sql} TO ${id(role)}`)];
}
