import { KasmDbError } from '../app/errors.js';
import { keepSecret } from '../app/secrets.js';
import type { Context } from '../config/context.js';
import { type ConnectionSettings, requireName } from '../config/settings.js';
import { type Environment, readVariable } from '../config/variables.js';
import { Session, type SessionOptions } from '../postgres/session.js';

const USER = 'DATABASE_MASTER_USER';
const PASSWORD = 'DATABASE_MASTER_PASSWORD';

/**
 * The application's connection settings with the admin's login in its place: same hosts, TLS and timeouts. The application's password
 * never goes along; without one of its own the admin may still be known to .pgpass, or be let in by certificate or peer.
 * @throws KasmDbError usage when no admin login is set
 */
export function adminSettings(settings: ConnectionSettings, env: Environment, dbname: string): ConnectionSettings {
  const login = readVariable(env, USER);
  if (login === undefined) {
    throw new KasmDbError('usage', 'no admin login is set', {
      hint: `set ${USER} and ${PASSWORD} (each also as NAME_FILE) to a login that may create roles and databases`,
    });
  }
  const user = requireName('user', login.value, login.source);
  const password = keepSecret(readVariable(env, PASSWORD)?.value);
  return { ...settings, dbname, user, password, role: undefined };
}

/**
 * Logs in as the admin, for `work`.
 * @param dbnames tried in order where a database doesn't exist or isn't open to the admin
 * @param options.once one attempt, for who only asks whether it works
 * @throws KasmDbError
 */
export async function withAdmin<T>(
  ctx: Context,
  env: Environment,
  dbnames: readonly [string, ...string[]],
  work: (session: Session) => Promise<T>,
  options: SessionOptions = {},
): Promise<T> {
  const session = await connect(dbnames, (dbname) =>
    Session.open({ ...ctx, resolve: (anew) => adminSettings(ctx.resolve(anew), env, dbname) }, options),
  );
  try {
    return await work(session);
  } finally {
    await session.end();
  }
}

async function connect(
  [dbname, next, ...others]: readonly [string, ...string[]],
  open: (dbname: string) => Promise<Session>,
): Promise<Session> {
  try {
    return await open(dbname);
  } catch (error) {
    if (!(error instanceof KasmDbError) || error.outcome === 'interrupted') throw error;
    const isClosed = ['3D000', '42501'].includes(error.details.sqlstate ?? '');
    if (isClosed && next !== undefined) return connect([next, ...others], open);
    throw asAdminError(error, dbname);
  }
}

/** The same failure, with advice that names the admin's settings instead of the application's. */
function asAdminError(error: KasmDbError, dbname: string): KasmDbError {
  const { hint, ...details } = error.details;
  const closed = details.sqlstate === '42501';
  return new KasmDbError(closed ? 'environment' : error.outcome, `admin login: ${error.message}`, {
    ...details,
    hint: closed
      ? `as the owner of database ${dbname}: GRANT CONNECT ON DATABASE … TO the admin`
      : (hint ?? '').replaceAll('POSTGRES_USER', USER).replaceAll('POSTGRES_PASSWORD', PASSWORD),
    cause: error,
  });
}
