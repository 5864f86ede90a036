import { randomBytes } from 'node:crypto';
import { escapeIdentifier, escapeLiteral } from 'pg';
import { KasmDbError } from '../app/errors.js';
import { type Environment, readVariable } from '../config/variables.js';
import { isPortable } from '../postgres/saslprep.js';
import { scramKeys } from '../postgres/scram-proof.js';
import type { Session } from '../postgres/session.js';
import { toKasmDbError } from '../postgres/sqlstate.js';
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

/**
 * The verifier of a password that a role is to get.
 * @param source key of the Secret and environment variable (also as NAME_FILE) in which it is looked for
 * @throws KasmDbError seed when there is none, or one that not every client could log in with
 */
function verifierOf(
  password: string | undefined,
  { role, key, variable }: { role: string; key: string; variable: string },
): string {
  if (!password) {
    throw new KasmDbError('seed', `there is no ${key}, the password that role ${role} is to get`, {
      hint: `put it into the Secret under ${key}, or set ${variable} or ${variable}_FILE`,
    });
  }
  if (!isPortable(password)) {
    throw new KasmDbError('seed', `${key} has characters that PostgreSQL's clients do not treat alike`, {
      hint: 'leave out emoji, control and right-to-left characters, or use ASCII only',
    });
  }
  return scramVerifier(password);
}

/**
 * Gives a role a new password, of which only the SCRAM verifier reaches the server. Sessions that are logged in stay.
 * @param session logged in as the admin, or as the role itself
 * @param options.dryRun do it, and take it back
 * @throws KasmDbError seed when the password cannot be used; environment with the statement when the client may not change it
 */
export async function rotateDatabasePassword(
  session: Session,
  role: string,
  password: string,
  { dryRun = false } = {},
): Promise<void> {
  const verifier = verifierOf(password, { role, key: 'db-password', variable: 'POSTGRES_PASSWORD' });
  try {
    await session.begin('write');
    await session.script(`ALTER ROLE ${escapeIdentifier(role)} PASSWORD ${escapeLiteral(verifier)}`);
    if (dryRun) await session.rollback();
    else await session.commit(`changing the password of role ${role}`);
  } catch (error) {
    throw toKasmDbError(error, `changing the password of role ${role}`, {
      hint: `as a superuser or an admin of the role, in psql: \\password ${escapeIdentifier(role)}`,
    });
  }
}

/**
 * What the server stores of a password (`SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, RFC 5803 as PostgreSQL writes it).
 * CREATE ROLE and ALTER ROLE take it in the password's place, so that the password itself never reaches the server or its log.
 * @param password as the client types it
 * @param options what PostgreSQL itself takes (scram_iterations, scram-common.h) unless a test needs its own
 */
export function scramVerifier(password: string, { salt = randomBytes(16) as Buffer, iterations = 4096 } = {}): string {
  const { storedKey, serverKey } = scramKeys(password, salt, iterations);
  const base64 = (bytes: Buffer) => bytes.toString('base64');
  return `SCRAM-SHA-256$${iterations}:${base64(salt)}$${base64(storedKey)}:${base64(serverKey)}`;
}
