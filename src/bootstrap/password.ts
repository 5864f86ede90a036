import { escapeIdentifier, escapeLiteral } from 'pg';
import { KasmDbError } from '../app/errors.js';
import { isPortable } from '../postgres/saslprep.js';
import type { Session } from '../postgres/session.js';
import { toKasmDbError } from '../postgres/sqlstate.js';
import { scramVerifier } from './scram.js';

/** Whose password it is, and where it is looked for. */
export interface PasswordSource {
  role: string;
  /** Key in the Secret. */
  key: string;
  /** Environment variable; also as NAME_FILE. */
  variable: string;
}

/**
 * The verifier of a password that a role is to get.
 * @throws KasmDbError seed when there is none, or one that not every client could log in with
 */
export function verifierOf(password: string | undefined, { role, key, variable }: PasswordSource): string {
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
