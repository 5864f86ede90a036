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
  env: Environment;
}

/** The roles and the database that are wanted. @throws KasmDbError usage */
export function namesOf(settings: ConnectionSettings, env: Environment, gateRole: string | undefined): Names {
  if (settings.dbname === '*') throw new KasmDbError('usage', 'dbname "*" names no database', { hint: ANY_DATABASE });
  const admin = adminSettings(settings, env, settings.dbname).user;
  const names = {
    login: settings.user,
    owner: settings.role ?? settings.user,
    gate: gateRole,
    database: settings.dbname,
  };
  for (const [what, name] of Object.entries({
    user: names.login,
    role: names.owner,
    gate: gateRole,
    dbname: names.database,
  })) {
    // The server would cut it, and then never find it again.
    if (name !== undefined && Buffer.byteLength(name) > 63) {
      throw new KasmDbError('usage', `${what} "${name}" is longer than PostgreSQL's 63 bytes`, {
        hint: 'take a shorter name',
      });
    }
  }
  if (gateRole !== undefined && [names.login, names.owner, admin].includes(gateRole)) {
    throw new KasmDbError('usage', `--gate-role ${gateRole} is a role that may do more than read`, {
      hint: 'name a role of its own, such as kasm_gate',
    });
  }
  return names;
}

const GATE_PASSWORD = 'KASM_DB_GATE_PASSWORD';

/** Verifiers of the roles that have to be made. @throws KasmDbError seed when a password is not known */
export function verifiersOf(
  server: ServerState,
  { login, gate }: Names,
  options: PasswordOptions,
): Wanted['verifiers'] {
  const missing = (name: string) => !server.roles.some((role) => role.name === name);
  const verifiers: Wanted['verifiers'] = {};
  if (missing(login)) {
    const source = { role: login, key: 'db-password', variable: 'POSTGRES_PASSWORD' };
    verifiers.login = verifierOf(options.appPassword, source);
  }
  if (gate !== undefined && missing(gate)) {
    const source = { role: gate, key: 'gate-password', variable: GATE_PASSWORD };
    verifiers.gate = verifierOf(options.gatePassword ?? readVariable(options.env, GATE_PASSWORD)?.value, source);
  }
  return verifiers;
}
