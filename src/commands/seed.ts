import { KasmDbError } from '../app/errors.js';
import { plural } from '../app/plural.js';
import { lockTimeout } from '../config/duration.js';
import { readVariable } from '../config/variables.js';
import { type Style, table } from '../output/terminal.js';
import { Session } from '../postgres/session.js';
import { sqlstateOf, toKasmDbError } from '../postgres/sqlstate.js';
import { assignCredentials } from '../seed/assign.js';
import { withAuthDomain } from '../seed/auth-domain.js';
import { type Credentials, KNOWN_KEYS, readCredentials } from '../seed/credentials.js';
import { readDocuments } from '../seed/documents.js';
import type { CredentialReport } from '../seed/rotate.js';
import {
  checkDocuments,
  NOTHING_SEEDED,
  requireRotatable,
  type SeedOptions,
  type SeedResult,
  seed,
  seedDigest,
} from '../seed/seed.js';
import type { Answer, CommandContext } from './command.js';
import { describeDatabase } from './database-info.js';

export interface SeedCommandOptions {
  /** A document or a folder of them; default: those that ship with this build. */
  seeds?: string;
  /** Folder of a mounted Secret, a file a key. */
  secrets?: string;
  dryRun?: boolean;
  /** Credentials to apply although they were seeded before: keys separated by commas, or `all`. */
  rotate?: string;
  /** With rotate: also settings that kasm-db did not write. */
  force?: boolean;
  lockTimeout?: string;
}

/** Writes default rows and the credentials from Secrets; safe to repeat. */
export async function seedCommand(ctx: CommandContext, options: SeedCommandOptions): Promise<Answer> {
  const result = await runSeed(ctx, options);
  for (const warning of result.warnings) ctx.events.warning?.(warning);
  const database = describeDatabase(ctx.resolve(), result.state);
  return {
    fields: { database, ...seedFields(result) },
    text: (s) => ctx.again(seedText(result, options.dryRun === true, s)),
  };
}

/** Seeds, for `seed` and `migrate --seed`. @throws KasmDbError */
export async function runSeed(ctx: CommandContext, options: SeedCommandOptions): Promise<SeedResult> {
  const folder = options.secrets ?? ctx.env.KASM_DB_SECRETS_DIR;
  const credentials = readCredentials(folder || undefined, ctx.env, await ctx.generatedSecrets());
  const rotate = rotation(options.rotate);
  const dryRun = options.dryRun ?? false;
  const migrations = await ctx.migrations();
  const seedOptions: SeedOptions = {
    documents: await documentsOf(ctx, options.seeds),
    credentials,
    lockTimeoutMs: lockTimeout(options.lockTimeout),
    dryRun,
    rotate: rotate === 'all' ? 'all' : rotate.filter((key) => key !== DATABASE_PASSWORD),
    force: options.force ?? false,
  };
  requireRotatable(seedOptions.rotate, checkDocuments(seedOptions.documents, migrations), credentials);
  const databasePassword = await rotateDatabaseLogin(ctx, rotate, credentials, dryRun);
  if (!databasePassword) return seed(ctx, migrations, seedOptions);
  const seeding = dryRun ? await withWorkingLogin(ctx) : ctx;
  const result = await seed(seeding, migrations, seedOptions).catch((error) => {
    if (dryRun) throw error;
    throw new AfterPasswordError(toKasmDbError(error, 'seeding'), ctx.resolve().user, databasePassword);
  });
  return { ...result, credentials: [...result.credentials, databasePassword] };
}

/** The role has its new password already, whatever became of the rest: that must not get lost. */
class AfterPasswordError extends KasmDbError {
  /** Goes into the result. */
  readonly fields: { seed: ReturnType<typeof seedOf> };

  constructor(error: KasmDbError, user: string, report: CredentialReport) {
    const { hint, ...details } = error.details;
    super(error.outcome, `${error.message}; before that, the password of role "${user}" was changed to the Secret's`, {
      ...details,
      hint: [
        `log in with the new password from now on (POSTGRES_PASSWORD, POSTGRES_PASSWORD_FILE)`,
        ...(hint ? [hint] : []),
      ].join('; '),
      exitCode: error.exitCode,
      cause: error.cause,
    });
    this.fields = { seed: seedOf({ counts: NOTHING_SEEDED, credentials: [report] }) };
  }
}

const DATABASE_PASSWORD = 'db-password';

function rotation(text: string | undefined): string[] | 'all' {
  if (text === 'all') return 'all';
  return (text ?? '')
    .split(',')
    .map((key) => key.trim())
    .filter(Boolean);
}

/**
 * The role's password is no row: it is changed with the admin login, and first, since seeding logs in with the new one. `all` means it
 * too where an admin login is given.
 */
async function rotateDatabaseLogin(
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
  if (password === undefined) {
    throw new KasmDbError(
      'seed',
      `--rotate: ${DATABASE_PASSWORD} has no value (looked for in ${credentials.places(DATABASE_PASSWORD)})`,
      { hint: `put it into the Secret under ${DATABASE_PASSWORD}` },
    );
  }
  const [{ connectAdmin }, { rotateDatabasePassword }] = await Promise.all([
    import('../bootstrap/admin.js'),
    import('../bootstrap/password.js'),
  ]);
  const settings = ctx.resolve();
  const session = await connectAdmin(ctx, ctx.env, [settings.dbname, 'postgres']);
  try {
    await rotateDatabasePassword(session, settings.user, password, { dryRun });
  } finally {
    await session.end();
  }
  return { key: DATABASE_PASSWORD, action: 'rotated' };
}

/** Before the real call has changed the password, the one that the Secret has already opens nothing: the admin looks in its place. */
async function withWorkingLogin(ctx: CommandContext): Promise<CommandContext> {
  try {
    await (await Session.open(ctx.resolve, { signal: ctx.signal, once: true })).end();
    return ctx;
  } catch (error) {
    if (!sqlstateOf(error)?.startsWith('28')) throw error;
    const { adminSettings } = await import('../bootstrap/admin.js');
    const resolve = () => {
      const settings = ctx.resolve();
      return { ...adminSettings(settings, ctx.env, settings.dbname), role: settings.role ?? settings.user };
    };
    return { ...ctx, resolve };
  }
}

/** Which documents these are; `check --seed` compares it with what was seeded. */
export async function digestOf(ctx: Pick<CommandContext, 'env' | 'signal'>, path: string): Promise<string> {
  return seedDigest(await documentsOf(ctx, path));
}

async function documentsOf({ env, signal }: Pick<CommandContext, 'env' | 'signal'>, path: string | undefined) {
  return withAuthDomain(await readDocuments(path, signal), env.KASM_DB_AUTH_DOMAIN);
}

/** The credentials that are given, and which of the known keys they have; for `doctor` and `check`. @throws KasmDbError usage, seed */
export function givenCredentials(folder: string | undefined, env: CommandContext['env']) {
  const credentials = readCredentials(folder || undefined, env);
  return { credentials, keys: KNOWN_KEYS.filter((key) => credentials.get(key) !== undefined) };
}

/** Keys of the credentials that a first seed needs and nobody gives; for `doctor`. @throws KasmDbError seed, usage */
export async function missingKeys(ctx: CommandContext, options: SeedCommandOptions): Promise<string[]> {
  const folder = options.secrets ?? ctx.env.KASM_DB_SECRETS_DIR;
  const credentials = readCredentials(folder || undefined, ctx.env, await ctx.generatedSecrets());
  const rows = checkDocuments(await documentsOf(ctx, options.seeds), await ctx.migrations());
  return assignCredentials(rows, credentials).flatMap(({ needed, secret, key }) =>
    needed && secret === undefined ? [key] : [],
  );
}

/** The `seed` of a result. */
export function seedFields(result: SeedResult) {
  const warnings = result.skipped ? ['the database is newer than this build, so seeding was skipped'] : result.warnings;
  return {
    ...(warnings.length > 0 ? { warnings } : {}),
    ...(result.plainText.length > 0 ? { plainText: result.plainText } : {}),
    ...(result.encrypted.length > 0 ? { encrypted: result.encrypted } : {}),
    // The role's password is changed even then.
    ...(result.skipped && result.credentials.length === 0 ? {} : { seed: seedOf(result) }),
  };
}

const seedOf = ({ counts, credentials }: Pick<SeedResult, 'counts' | 'credentials'>) => ({ ...counts, credentials });

/** The same for people. */
export function seedText(result: SeedResult, dryRun: boolean, s: Style): string {
  const { skipped, counts, credentials, encrypted } = result;
  const { inserted, updated, unchanged, kept } = counts;
  const head = dryRun ? 'Would seed' : s.green('Seeded');
  const lines = [
    skipped
      ? `${s.yellow('Seeding was skipped:')} the database is newer than this build.`
      : `${head}: ${plural(inserted, 'row')} inserted, ${updated} updated, ${unchanged} unchanged${kept > 0 ? `, ${kept} left as somebody has changed ${kept === 1 ? 'it' : 'them'}` : ''}.`,
  ];
  if (encrypted.length > 0)
    lines.push(`Looks encrypted by Kasm, and is overwritten by --rotate with --force only: ${encrypted.join(', ')}.`);
  if (credentials.length > 0)
    lines.push(
      '',
      table(
        ['CREDENTIAL', 'STATE'],
        credentials.map(({ key, action }) => [key, (dryRun ? WOULD_BE[action] : undefined) ?? STATES[action]]),
        s,
      ),
    );
  const changed = credentials.filter(({ action }) => action === 'changed').map(({ key }) => key);
  if (changed.length > 0)
    lines.push('', `To apply a Secret that has changed: kasm-db seed --rotate ${changed.join(',')}`);
  return lines.join('\n');
}

const STATES = {
  set: 'set',
  unchanged: 'unchanged',
  changed: 'the Secret has changed since, and is not applied',
  kept: 'was changed in the database, and stays so',
  rotated: 'rotated',
  absent: 'there is no row to set it in',
};

/** The same in a dry run. */
const WOULD_BE: Partial<typeof STATES> = { set: 'would be set', rotated: 'would be rotated' };
