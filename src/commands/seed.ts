import { lockTimeout } from '../config/duration.js';
import type { Environment } from '../config/variables.js';
import { toKasmDbError } from '../postgres/sqlstate.js';
import { assignCredentials } from '../seed/assign.js';
import { type Credentials, KNOWN_KEYS, readCredentials } from '../seed/credentials.js';
import { documentRows, seedDigest, withAuthDomain } from '../seed/document-rows.js';
import { readDocuments } from '../seed/documents.js';
import { requireRotatable } from '../seed/rotate.js';
import { type SeedOptions, type SeedResult, seed } from '../seed/seed.js';
import type { Answer, CommandContext } from './command.js';
import { DATABASE_PASSWORD, failedAfterPassword, rotateDatabaseLogin, withWorkingLogin } from './rotate-login.js';
import { seedFields, seedText } from './seed-answer.js';

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
  return {
    state: result.state,
    fields: seedFields(result),
    text: (s) => ctx.again(seedText(result, options.dryRun === true, s)),
  };
}

/** Seeds, for `seed` and `migrate --seed`. @throws KasmDbError */
export async function runSeed(ctx: CommandContext, options: SeedCommandOptions): Promise<SeedResult> {
  const credentials = credentialsOf(options, ctx.env, await ctx.generatedSecrets());
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
  requireRotatable(seedOptions.rotate, documentRows(seedOptions.documents, migrations), credentials);
  const databasePassword = await rotateDatabaseLogin(ctx, rotate, credentials, dryRun);
  if (!databasePassword) return seed(ctx, migrations, seedOptions);
  const seeding = dryRun ? await withWorkingLogin(ctx) : ctx;
  const result = await seed(seeding, migrations, seedOptions).catch((error) => {
    if (dryRun) throw error;
    throw failedAfterPassword(toKasmDbError(error, 'seeding'), ctx.resolve().user, databasePassword);
  });
  return { ...result, credentials: [...result.credentials, databasePassword] };
}

function rotation(text: string | undefined): string[] | 'all' {
  if (text === 'all') return 'all';
  return (text ?? '')
    .split(',')
    .map((key) => key.trim())
    .filter(Boolean);
}

/** Which documents these are; `check --seed` compares it with what was seeded. */
export async function digestOf(ctx: Pick<CommandContext, 'env' | 'signal'>, path: string): Promise<string> {
  return seedDigest(await documentsOf(ctx, path));
}

async function documentsOf({ env, signal }: Pick<CommandContext, 'env' | 'signal'>, path: string | undefined) {
  return withAuthDomain(await readDocuments(path, signal), env.KASM_DB_AUTH_DOMAIN);
}

function credentialsOf(
  { secrets }: Pick<SeedCommandOptions, 'secrets'>,
  env: Environment,
  generated?: ReadonlyMap<string, string>,
): Credentials {
  return readCredentials((secrets ?? env.KASM_DB_SECRETS_DIR) || undefined, env, generated);
}

/** The credentials that are given, and which of the known keys they have; for `doctor` and `check`. @throws KasmDbError usage, seed */
export function givenCredentials(options: Pick<SeedCommandOptions, 'secrets'>, env: Environment) {
  const credentials = credentialsOf(options, env);
  return { credentials, keys: KNOWN_KEYS.filter((key) => credentials.get(key) !== undefined) };
}

/** Keys of the credentials that a first seed needs and nobody gives; for `doctor`. @throws KasmDbError seed, usage */
export async function missingKeys(ctx: CommandContext, options: SeedCommandOptions): Promise<string[]> {
  const credentials = credentialsOf(options, ctx.env, await ctx.generatedSecrets());
  const rows = documentRows(await documentsOf(ctx, options.seeds), await ctx.migrations());
  return assignCredentials(rows, credentials).flatMap(({ needed, secret, key }) =>
    needed && secret === undefined ? [key] : [],
  );
}
