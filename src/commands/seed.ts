import { KasmDbError } from '../app/errors.js';
import { parseDuration } from '../config/duration.js';
import { readVariable } from '../config/variables.js';
import { type Style, table } from '../output/terminal.js';
import { assignCredentials } from '../seed/assign.js';
import { type Credentials, KNOWN_KEYS, readCredentials } from '../seed/credentials.js';
import { readDocuments } from '../seed/documents.js';
import type { CredentialReport } from '../seed/rotate.js';
import { checkDocuments, type SeedResult, seed, seedDigest } from '../seed/seed.js';
import { type Answer, type CommandContext, describeDatabase } from './command.js';

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
  const database = describeDatabase(ctx.resolve(), result.state);
  return {
    fields: { database, ...seedFields(result) },
    text: (s) => seedText(result, options.dryRun === true, s),
  };
}

/** Seeds, for `seed` and `migrate --seed`. @throws KasmDbError */
export async function runSeed(ctx: CommandContext, options: SeedCommandOptions): Promise<SeedResult> {
  const folder = options.secrets ?? ctx.env.KASM_DB_SECRETS_DIR;
  const credentials = readCredentials(folder || undefined, ctx.env, await ctx.generatedSecrets());
  const rotate = rotation(options.rotate);
  const databasePassword = options.dryRun ? undefined : await rotateDatabaseLogin(ctx, rotate, credentials);
  const result = await seed(ctx, await ctx.migrations(), {
    documents: await readDocuments(options.seeds, ctx.signal),
    credentials,
    lockTimeoutMs: parseDuration(options.lockTimeout ?? '5m', '--lock-timeout'),
    dryRun: options.dryRun ?? false,
    rotate: rotate === 'all' ? 'all' : rotate.filter((key) => key !== DATABASE_PASSWORD),
    force: options.force ?? false,
  });
  return databasePassword ? { ...result, credentials: [...result.credentials, databasePassword] } : result;
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
    );
  }
  const [{ connectAdmin }, { rotateDatabasePassword }] = await Promise.all([
    import('../bootstrap/admin.js'),
    import('../bootstrap/password.js'),
  ]);
  const settings = ctx.resolve();
  const session = await connectAdmin(ctx, ctx.env, [settings.dbname, 'postgres']);
  try {
    await rotateDatabasePassword(session, settings.user, password);
  } finally {
    await session.end();
  }
  return { key: DATABASE_PASSWORD, action: 'rotated' };
}

/** Which documents these are; `check --seed` compares it with what was seeded. */
export async function digestOf(path: string, signal: AbortSignal): Promise<string> {
  return seedDigest(await readDocuments(path, signal));
}

/** Keys of the credentials that are given; for `doctor`. */
export function credentialKeys(folder: string | undefined, env: CommandContext['env']): string[] {
  const credentials = readCredentials(folder || undefined, env);
  return KNOWN_KEYS.filter((key) => credentials.get(key) !== undefined);
}

/** Keys of the credentials that a first seed needs and nobody gives; for `doctor`. @throws KasmDbError seed, usage */
export async function missingKeys(ctx: CommandContext, options: SeedCommandOptions): Promise<string[]> {
  const folder = options.secrets ?? ctx.env.KASM_DB_SECRETS_DIR;
  const credentials = readCredentials(folder || undefined, ctx.env, await ctx.generatedSecrets());
  const rows = checkDocuments(await readDocuments(options.seeds), await ctx.migrations());
  return assignCredentials(rows, credentials).flatMap(({ needed, secret, key }) =>
    needed && secret === undefined ? [key] : [],
  );
}

/** The `seed` of a result. */
export function seedFields(result: SeedResult) {
  return result.skipped
    ? { warnings: ['the database is ahead of this build: seeding was skipped'] }
    : { seed: { ...result.counts, credentials: result.credentials } };
}

/** The same for people. */
export function seedText({ skipped, counts, credentials }: SeedResult, dryRun: boolean, s: Style): string {
  if (skipped) return `${s.yellow('Seeding was skipped:')} the database is ahead of this build.`;
  const { inserted, updated, unchanged, kept } = counts;
  const head = dryRun ? 'Would seed' : s.green('Seeded');
  const lines = [
    `${head}: ${inserted} rows inserted, ${updated} updated, ${unchanged} unchanged, ${kept} kept as someone has changed them.`,
  ];
  if (credentials.length > 0)
    lines.push(
      '',
      table(
        ['CREDENTIAL', 'STATE'],
        credentials.map(({ key, action }) => [key, STATES[action]]),
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
  changed: 'the Secret has changed since; not applied',
  kept: 'changed in the database; kept so',
  rotated: 'rotated',
  absent: 'its row is not there; nothing to set',
};
