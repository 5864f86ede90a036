import { KasmDbError } from '../app/errors.js';
import type { ConnectionSettings } from '../config/settings.js';
import { type Environment, readVariable } from '../config/variables.js';
import { ANY_DATABASE } from '../postgres/login-hints.js';
import { adminSettings } from './admin.js';
import { verifierOf } from './password.js';
import type { Wanted } from './plan.js';
import type { Names, ServerState } from './state.js';

export interface PasswordOptions {
  /** Password of the application's role, should it have to be made; default: the one of the connection settings. */
  appPassword?: string | undefined;
  /** Password of the gates' role, should it have to be made; default: KASM_DB_GATE_PASSWORD or KASM_DB_GATE_PASSWORD_FILE. */
  gatePassword?: string | undefined;
  /** Where this and the admin login are looked up: DATABASE_MASTER_USER and DATABASE_MASTER_PASSWORD, each also as NAME_FILE. */
  env: Environment;
}

/** The roles and the database that are wanted. @throws KasmDbError usage */
export function namesOf(settings: ConnectionSettings, env: Environment, gateRole: string | undefined): Names {
  if (settings.dbname === '*') throw new KasmDbError('usage', 'dbname "*" names no database', { hint: ANY_DATABASE });
  const admin = adminSettings(settings, env, settings.dbname).user;
  const { user, role = user, dbname } = settings;
  for (const [what, name] of Object.entries({ user, role, gate: gateRole, dbname })) {
    // The server would cut it, and then never find it again.
    if (name !== undefined && Buffer.byteLength(name) > 63) {
      throw new KasmDbError('usage', `${what} "${name}" is longer than PostgreSQL's 63 bytes`, {
        hint: 'take a shorter name',
      });
    }
  }
  if (gateRole !== undefined && [user, role, admin].includes(gateRole)) {
    throw new KasmDbError('usage', `--gate-role ${gateRole} is a role that may do more than read`, {
      hint: 'name a role of its own, such as kasm_gate',
    });
  }
  return { login: user, owner: role, gate: gateRole, database: dbname };
}

/** Verifiers of the roles that have to be made. @throws KasmDbError seed when a password is not known */
export function verifiersOf(
  server: ServerState,
  { login, gate }: Names,
  { appPassword, gatePassword, env }: PasswordOptions,
): Wanted['verifiers'] {
  const exists = (name: string) => server.roles.some((role) => role.name === name);
  const verifiers: Wanted['verifiers'] = {};
  if (!exists(login))
    verifiers.login = verifierOf(appPassword, { role: login, key: 'db-password', variable: 'POSTGRES_PASSWORD' });
  if (gate !== undefined && !exists(gate)) {
    const variable = 'KASM_DB_GATE_PASSWORD';
    const password = gatePassword ?? readVariable(env, variable)?.value;
    verifiers.gate = verifierOf(password, { role: gate, key: 'gate-password', variable });
  }
  return verifiers;
}
