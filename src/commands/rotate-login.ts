import { KasmDbError, RetoldError } from '../app/errors.js';
import type { Resolve } from '../config/settings.js';
import { readVariable } from '../config/variables.js';
import { Session } from '../postgres/session.js';
import { sqlstateOf } from '../postgres/sqlstate.js';
import type { Credentials } from '../seed/credentials.js';
import type { CredentialReport } from '../seed/rotate.js';
import { NOTHING_SEEDED } from '../seed/seed.js';
import type { CommandContext } from './command.js';
import { seedOf } from './seed-answer.js';

/** The key of the role's own password in the Secret. */
export const DATABASE_PASSWORD = 'db-password';

/**
 * The role's password is no row: it is changed with the admin login, and first, since seeding logs in with the new one. `all` means it
 * too where an admin login is given.
 */
export async function rotateDatabaseLogin(
  ctx: CommandContext,
  rotate: string[] | 'all',
  credentials: Credentials,
  dryRun: boolean,
): Promise<CredentialReport | undefined> {
  const password = credentials.get(DATABASE_PASSWORD);
  const named = rotate !== 'all' && rotate.includes(DATABASE_PASSWORD);
  const meant =
    rotate === 'all' && password !== undefined && readVariable(ctx.env, 'DATABASE_MASTER_USER') !== undefined;
  if (!named && !meant) return undefined;
  if (password === undefined)
    throw new KasmDbError(
      'seed',
      `--rotate: ${DATABASE_PASSWORD} has no value (looked for in ${credentials.places(DATABASE_PASSWORD)})`,
      { hint: `put it into the Secret under ${DATABASE_PASSWORD}` },
    );
  const [{ withAdmin }, { rotateDatabasePassword }] = await Promise.all([
    import('../bootstrap/admin.js'),
    import('../bootstrap/password.js'),
  ]);
  const settings = ctx.resolve();
  await withAdmin(ctx, ctx.env, [settings.dbname, 'postgres'], (session) =>
    rotateDatabasePassword(session, settings.user, password, { dryRun }),
  );
  return { key: DATABASE_PASSWORD, action: 'rotated' };
}

/** Before the real call has changed the password, the one that the Secret has already opens nothing: the admin looks in its place. */
export async function withWorkingLogin(ctx: CommandContext): Promise<CommandContext> {
  try {
    await (await Session.open({ ...ctx, events: {} }, { once: true })).end();
    return ctx;
  } catch (error) {
    if (!sqlstateOf(error)?.startsWith('28')) throw error;
    const { adminSettings } = await import('../bootstrap/admin.js');
    const resolve: Resolve = (anew) => {
      const settings = ctx.resolve(anew);
      return { ...adminSettings(settings, ctx.env, settings.dbname), role: settings.role ?? settings.user };
    };
    return { ...ctx, resolve };
  }
}

/** The role has its new password already, whatever became of the rest: that must not get lost. */
export function failedAfterPassword(error: KasmDbError, user: string, report: CredentialReport): RetoldError {
  const { hint } = error.details;
  return new RetoldError(
    error,
    `${error.message}; before that, the password of role "${user}" was changed to the Secret's`,
    { seed: seedOf({ counts: NOTHING_SEEDED, credentials: [report] }) },
    `log in with the new password from now on (POSTGRES_PASSWORD, POSTGRES_PASSWORD_FILE)${hint ? `; ${hint}` : ''}`,
  );
}
