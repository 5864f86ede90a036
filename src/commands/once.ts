import { KasmDbError } from '../app/errors.js';
import { formatMs, localTime } from '../app/when.js';
import { lockTimeout, parseDuration } from '../config/duration.js';
import { runOnce } from '../once/once.js';
import type { Answer, CommandContext } from './command.js';
import { notifyGates } from './notify-gates.js';

export interface OnceCommandOptions {
  /** Its success counts as the seed for `check --seed`. */
  seedsDatabase?: boolean;
  /** How long the program may run; default: as long as it takes. */
  timeout?: string;
  /** How long to wait for another migrator; default 5m. */
  lockTimeout?: string;
  /** The program's standard output goes to stderr: stdout is for one JSON object. */
  json?: boolean;
}

const NAME = /^[A-Za-z0-9][\w.-]{0,62}$/;

/** Runs a program of someone else's once for a database. @param command the program and its arguments */
export async function onceCommand(
  ctx: CommandContext,
  name: string,
  command: readonly string[],
  options: OnceCommandOptions,
): Promise<Answer> {
  if (!NAME.test(name))
    throw new KasmDbError('usage', `"${name}" is not a name that once takes`, {
      hint: 'a name has 1 to 63 letters, digits, dots, dashes and underscores, and begins with a letter or digit, as in: kasm-db once kasm-seed -- PROGRAM',
    });
  const result = await runOnce(ctx, options.seedsDatabase ? await ctx.migrations() : undefined, {
    name,
    command,
    env: ctx.env,
    output: options.json ? 2 : 1,
    seedsDatabase: options.seedsDatabase ?? false,
    timeoutMs: options.timeout === undefined ? undefined : parseDuration(options.timeout, '--timeout'),
    lockTimeoutMs: lockTimeout(options.lockTimeout),
    passSignals: ctx.passSignals,
  });
  const { state, ran, before, skipped } = result;
  const { dbname } = ctx.resolve();
  // Gates wait for the seed.
  if (ran && options.seedsDatabase) await notifyGates(ctx, dbname);
  const warning = 'the database is newer than this build, so the program was not run';
  if (skipped) ctx.events.warning?.(warning);
  return {
    state,
    fields: {
      once: { name, ran: ran !== undefined, ...(ran ? { exitCode: 0, ms: Math.round(ran.ms) } : {}) },
      warnings: skipped ? [warning] : [],
    },
    text: (s) => {
      if (skipped) return `${s.yellow('Skipped:')} ${warning}.`;
      if (ran)
        return `${s.green('Done.')} ${command[0]} ended with 0 after ${formatMs(ran.ms)}; ${name} is recorded and will not be run again on database ${dbname}.`;
      return `${s.green('Nothing to do.')} ${name} was run on database ${dbname} at ${localTime(before?.finishedAt ?? '')} by ${before?.runBy}: ${before?.command}.`;
    },
  };
}
