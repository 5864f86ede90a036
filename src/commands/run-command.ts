import { EXIT_CODES, interrupted, KasmDbError, messageOf, type Outcome } from '../app/errors.js';
import { keepUrlPasswords } from '../app/secrets.js';
import { now } from '../app/time.js';
import { VERSION } from '../app/version.js';
import { withEnvFile } from '../config/env-file.js';
import { settingsOf } from '../config/settings.js';
import type { Environment } from '../config/variables.js';
import type { EmbeddedServer } from '../embedded/embedded.js';
import type { MigrationState } from '../history/state.js';
import { readMigrations, shippedMigrations } from '../migrations/files.js';
import { errorInfo } from '../output/error-info.js';
import type { Result } from '../output/result.js';
import type { Answer, CommandContext, GlobalOptions } from './command.js';
import { describeDatabase, nameTarget, settingsIfValid, unlessEmpty } from './database-info.js';
import { hintFor } from './hints.js';

export interface Invocation
  extends Pick<CommandContext, 'env' | 'signal' | 'events' | 'confirm' | 'passSignals' | 'show' | 'onTerminal'> {
  command: string;
  options: GlobalOptions;
  /** Commands that write take the direct URL, where one is set. */
  writes: boolean;
  /** It needs no database. */
  offline?: boolean;
  /** See CommandContext; default: texts stay as they are. */
  again?: CommandContext['again'];
}

/** Where --embedded without a folder keeps its data. */
const EMBEDDED = '.kasm-db/postgres';

/**
 * Runs a command and makes its result, whatever happens: a failure is a result too.
 * @returns the result, and the text for people (undefined after a failure)
 */
export async function runCommand(
  invocation: Invocation,
  work: (ctx: CommandContext) => Promise<Answer>,
): Promise<{ result: Result } & Partial<Pick<Answer, 'text' | 'verbatim'>>> {
  const { command, options, writes, offline = false, ...surroundings } = invocation;
  const { signal, events } = surroundings;
  const started = now();
  let { env } = surroundings;
  keepUrlPasswords([...Object.values(env), ...Object.values(options)]);
  let resolve = settingsOf(options, env, { direct: writes });
  let aside: CommandContext['aside'];
  let server: EmbeddedServer | undefined;
  const again = (text: string, without?: string) =>
    hintFor(surroundings.again?.(text, without) ?? text, settingsIfValid(resolve), env);
  const resultOf = (outcome: Outcome, exitCode: number, fields: Partial<Result>, state?: MigrationState): Result => {
    const settings = offline ? undefined : settingsIfValid(resolve);
    const database = settings && describeDatabase(settings, state);
    const durationMs = Math.round(now() - started);
    return { command, version: VERSION, outcome, exitCode, database, ...fields, durationMs };
  };
  try {
    if (options.envFile !== undefined) {
      env = withEnvFile(options.envFile, env);
      keepUrlPasswords(Object.values(env));
      resolve = settingsOf(options, env, { direct: writes });
    }
    if (options.embedded) {
      const { startEmbedded } = await import('../embedded/embedded.js');
      server = await startEmbedded(options.embedded === true ? EMBEDDED : options.embedded, signal, events);
      const { flags } = server;
      const own = settingsOf(flags, {}, { direct: false });
      if (options.rehearse && settingsIfValid(resolve)) aside = own;
      else resolve = own;
    }
    const folder = migrationsFolder(options, env);
    const ctx: CommandContext = {
      ...surroundings,
      ...{ again, folder, aside, resolve, env },
      generatedSecrets: server?.generatedSecrets ?? (async () => new Map()),
      migrations: async () => (folder === undefined ? shippedMigrations() : readMigrations(folder)),
    };
    const misread = offline ? [] : nameTarget(resolve, options.embedded ? {} : env, events);
    const { fields, state, text, verbatim = false } = await work(ctx);
    const { outcome = 'ok' } = fields;
    // doctor has a line for each.
    const warnings = unlessEmpty([...(fields.checks ? [] : misread), ...(fields.warnings ?? [])]);
    const result = resultOf(outcome, EXIT_CODES[outcome], { ...fields, outcome, warnings }, state);
    return { result, text, verbatim };
  } catch (caught) {
    const error = toOurs(caught, signal);
    const info = errorInfo(error);
    const hint = info.hint === undefined ? undefined : again(info.hint);
    // An error may know more of the state than its message.
    const fields = 'fields' in error ? (error.fields as Partial<Result>) : {};
    const result = { ...resultOf(error.outcome, error.exitCode, fields), error: { ...info, hint } };
    return { result, ...(error.outcome === 'internal' ? { text: () => (caught as Error)?.stack ?? '' } : {}) };
  } finally {
    await server?.stop();
  }
}

/** What is thrown and is no error of ours is the signal's doing, or a bug. */
function toOurs(caught: unknown, signal: AbortSignal): KasmDbError {
  if (caught instanceof KasmDbError) return caught;
  if (signal.aborted) return signal.reason instanceof KasmDbError ? signal.reason : interrupted(caught);
  return new KasmDbError('internal', messageOf(caught), {
    cause: caught,
    hint: 'this is a bug in kasm-db; please report it with the stack that --verbose prints',
  });
}

/** @throws KasmDbError usage: an unset variable of a script must not become a default */
function migrationsFolder({ migrations }: GlobalOptions, env: Environment): string | undefined {
  if (migrations === '')
    throw new KasmDbError('usage', '--migrations is empty', { hint: 'give it a value, or leave it out' });
  return migrations ?? (env.KASM_DB_MIGRATIONS || undefined);
}
