import { EXIT_CODES, KasmDbError, messageOf } from '../app/errors.js';
import type { RunEvents } from '../app/events.js';
import { now } from '../app/time.js';
import { VERSION } from '../app/version.js';
import { withEnvFile } from '../config/env-file.js';
import { unknownNames } from '../config/near-names.js';
import { type ConnectionSettings, settingsOf } from '../config/settings.js';
import type { Environment } from '../config/variables.js';
import { readMigrations, shippedMigrations } from '../migrations/files.js';
import { errorInfo } from '../output/error-info.js';
import type { ErrorInfo, Result } from '../output/result.js';
import type { Answer, CommandContext, GlobalOptions } from './command.js';
import { databaseInfo, describeTarget, settingsIfValid } from './database-info.js';
import { hintFor } from './hints.js';

export interface Invocation {
  command: string;
  options: GlobalOptions;
  env: Environment;
  signal: AbortSignal;
  events: RunEvents;
  /** Commands that write take the direct URL, where one is set. */
  writes: boolean;
  /** It needs no database. */
  offline?: boolean;
  confirm?: CommandContext['confirm'];
  passSignals?: CommandContext['passSignals'];
  /** See CommandContext; default: texts stay as they are. */
  again?: CommandContext['again'];
  show?: CommandContext['show'];
  onTerminal?: boolean;
}

/**
 * Runs a command and makes its result, whatever happens: a failure is a result too.
 * @returns the result, and the text for people (undefined after a failure)
 */
export async function runCommand(
  invocation: Invocation,
  work: (ctx: CommandContext) => Promise<Answer>,
): Promise<{ result: Result } & Partial<Pick<Answer, 'text' | 'verbatim'>>> {
  const { command, options, signal, events, writes, offline = false, confirm, passSignals, show } = invocation;
  const again = (text: string, without?: string) =>
    hintFor(invocation.again?.(text, without) ?? text, settingsIfValid(resolve), env);
  const started = now();
  const common = { command, version: VERSION };
  let { env } = invocation;
  let resolve = settingsOf(options, env, { direct: writes });
  let aside: CommandContext['aside'];
  let stopServer = async () => {};
  let generatedSecrets: CommandContext['generatedSecrets'] = async () => new Map();
  try {
    if (options.envFile !== undefined) {
      env = withEnvFile(options.envFile, env);
      resolve = settingsOf(options, env, { direct: writes });
    }
    if (options.embedded) {
      const { startEmbedded } = await import('../embedded/embedded.js');
      const server = await startEmbedded(
        options.embedded === true ? '.kasm-db/postgres' : options.embedded,
        signal,
        events,
      );
      const own = settingsOf(server.flags, {}, { direct: false });
      if (options.rehearse && settingsIfValid(resolve)) aside = own;
      else resolve = own;
      stopServer = server.stop;
      generatedSecrets = server.generatedSecrets;
    }
    const folder = migrationsFolder(options, env);
    const ctx: CommandContext = {
      again,
      folder,
      aside,
      resolve,
      signal,
      events,
      env,
      confirm,
      passSignals,
      show,
      onTerminal: invocation.onTerminal,
      generatedSecrets,
      migrations: async () => (folder === undefined ? shippedMigrations() : readMigrations(folder)),
    };
    const misread = offline ? [] : nameTarget(resolve, options.embedded ? {} : env, events);
    const { fields, text, verbatim = false } = await work(ctx);
    const database = offline ? undefined : (fields.database ?? databaseInfo(resolve));
    // doctor has a line for each.
    const warnings = [...(fields.checks ? [] : misread), ...(fields.warnings ?? [])];
    const result: Result = {
      ...common,
      outcome: 'ok',
      exitCode: EXIT_CODES.ok,
      ...(database ? { database } : {}),
      ...fields,
      ...(warnings.length > 0 ? { warnings } : {}),
      durationMs: Math.round(now() - started),
    };
    return { result, text, verbatim };
  } catch (caught) {
    const error =
      caught instanceof KasmDbError
        ? caught
        : signal.aborted
          ? new KasmDbError('interrupted', 'interrupted; what was not committed is rolled back', {
              cause: caught,
              hint: 'run it again',
            })
          : new KasmDbError('internal', messageOf(caught), {
              cause: caught,
              hint: 'this is a bug in kasm-db; please report it with the stack that --verbose prints',
            });
    const database = offline ? undefined : databaseInfo(resolve);
    return {
      result: {
        ...common,
        outcome: error.outcome,
        exitCode: error.exitCode,
        ...(database ? { database } : {}),
        ...fieldsOf(error),
        durationMs: Math.round(now() - started),
        error: withHint(errorInfo(error), again),
      },
      ...(error.outcome === 'internal' ? { text: () => (caught as Error)?.stack ?? '' } : {}),
    };
  } finally {
    await stopServer();
  }
}

/**
 * Says first which database is worked on, and what of the settings may not be what was meant.
 * @returns the warnings; nothing where no database is given or the settings are wrong, which the command itself says
 */
function nameTarget(resolve: () => ConnectionSettings, env: Environment, events: RunEvents): string[] {
  const settings = settingsIfValid(resolve);
  if (!settings) return [];
  events.target?.(describeTarget(settings));
  const warnings = [
    ...settings.contradictions,
    ...unknownNames(env).flatMap(({ name, meant }) =>
      meant ? [`${name} is not a setting; did you mean ${meant}?`] : [],
    ),
  ];
  for (const warning of warnings) events.warning?.(warning);
  return warnings;
}

/** @throws KasmDbError usage: an unset variable of a script must not become a default */
function migrationsFolder({ migrations }: GlobalOptions, env: Environment): string | undefined {
  if (migrations === '')
    throw new KasmDbError('usage', '--migrations is empty', { hint: 'give it a value, or leave it out' });
  return migrations ?? (env.KASM_DB_MIGRATIONS || undefined);
}

function withHint(error: ErrorInfo, again: CommandContext['again']): ErrorInfo {
  return error.hint === undefined ? error : { ...error, hint: again(error.hint) };
}

/** An error that knows more of the state than its message. */
function fieldsOf(error: KasmDbError): Partial<Result> {
  return 'fields' in error ? (error.fields as Partial<Result>) : {};
}
