/**
 * kasm-db as a library: the same work as the command line, without output and without ending the process.
 *
 * ```ts
 * import { migrate } from 'kasm-db';
 * const result = await migrate({ url: 'postgres://kasmapp@db/kasm', env: { POSTGRES_PASSWORD_FILE: '/run/secrets/db' } });
 * if (result.outcome !== 'ok') console.error(result.error?.message);
 * ```
 */

import { interrupted } from './app/errors.js';
import type { RunEvents } from './app/events.js';
import type { AdoptCommandOptions } from './commands/adopt.js';
import { type BootstrapCommandOptions, bootstrapCommand } from './commands/bootstrap.js';
import { type CheckOptions, checkCommand } from './commands/check.js';
import type { Answer, CommandContext, GlobalOptions } from './commands/command.js';
import type { DocsOptions } from './commands/docs.js';
import type { LintOptions } from './commands/lint.js';
import { type MigrateOptions, migrateCommand } from './commands/migrate.js';
import type { OnceCommandOptions } from './commands/once.js';
import { wrongOption } from './commands/option-types.js';
import { type PlanOptions, planCommand } from './commands/plan.js';
import type { RepairCommandOptions } from './commands/repair.js';
import type { RollbackCommandOptions } from './commands/rollback.js';
import { runCommand } from './commands/run-command.js';
import type { SeedCommandOptions } from './commands/seed.js';
import { statusCommand } from './commands/status.js';
import type { VerifyOptions } from './commands/verify.js';
import type { Result } from './output/result.js';
import { saidWithoutSecrets } from './output/said.js';

export { EXIT_CODES, type Outcome } from './app/errors.js';
export type { RunEvents } from './app/events.js';
export type { AdoptCommandOptions } from './commands/adopt.js';
export type { BootstrapCommandOptions } from './commands/bootstrap.js';
export type { CheckOptions } from './commands/check.js';
export type { GlobalOptions } from './commands/command.js';
export type { DocsOptions } from './commands/docs.js';
export type { LintOptions } from './commands/lint.js';
export type { MigrateOptions } from './commands/migrate.js';
export type { OnceCommandOptions } from './commands/once.js';
export type { PlanOptions } from './commands/plan.js';
export type { RepairCommandOptions } from './commands/repair.js';
export type { RollbackCommandOptions } from './commands/rollback.js';
export type { SeedCommandOptions } from './commands/seed.js';
export type { VerifyOptions } from './commands/verify.js';
export type { DatabaseInfo, DifferenceInfo, ErrorInfo, Result, RunInfo } from './output/result.js';

/** What every call takes besides its own options. */
export interface CallOptions extends GlobalOptions {
  /** Where settings such as POSTGRES_HOST are looked up; default: process.env. */
  env?: Record<string, string | undefined>;
  /** Stops the work: the statement is cancelled and rolled back. */
  signal?: AbortSignal;
  /** Told while the work goes on. */
  events?: RunEvents;
}

/** Brings the database to the newest version that this build knows. Never rejects for what a database can do: read `outcome`. */
export function migrate(options: CallOptions & MigrateOptions = {}): Promise<Result> {
  return call('migrate', options, true, (ctx) => migrateCommand(ctx, options));
}

/** Is everything that this build needs applied? `outcome` is ok, or pending. */
export function check(options: CallOptions & CheckOptions = {}): Promise<Result> {
  return call('check', options, false, (ctx) => checkCommand(ctx, options));
}

/** With the admin login in DATABASE_MASTER_USER and DATABASE_MASTER_PASSWORD: role, database, extension, history, grants. */
export function bootstrap(options: CallOptions & BootstrapCommandOptions = {}): Promise<Result> {
  return call('bootstrap', options, true, (ctx) => bootstrapCommand(ctx, options));
}

/** Takes over a database that Kasm itself has made: compares, then records the migrations without running them. */
export function adopt(options: CallOptions & AdoptCommandOptions = {}): Promise<Result> {
  return call('adopt', options, true, async (ctx) => (await import('./commands/adopt.js')).adoptCommand(ctx, options));
}

/** Drift: compares the live catalog with what the migrations make. `differences` lists it. */
export function verify(options: CallOptions & VerifyOptions = {}): Promise<Result> {
  return call('verify', options, false, async (ctx) =>
    (await import('./commands/verify.js')).verifyCommand(ctx, options),
  );
}

/** Runs down scripts, last applied first. */
export function rollback(options: CallOptions & RollbackCommandOptions): Promise<Result> {
  return call('rollback', options, true, async (ctx) =>
    (await import('./commands/rollback.js')).rollbackCommand(ctx, options),
  );
}

/** Corrects the history after a fix by hand; needs `yes`, since nobody is asked. */
export function repair(options: CallOptions & RepairCommandOptions = {}): Promise<Result> {
  return call('repair', options, true, async (ctx) =>
    (await import('./commands/repair.js')).repairCommand(ctx, options),
  );
}

/** Writes default rows and the credentials from Secrets. */
export function seed(options: CallOptions & SeedCommandOptions = {}): Promise<Result> {
  return call('seed', options, true, async (ctx) => (await import('./commands/seed.js')).seedCommand(ctx, options));
}

/** The schema for people, as `page` or into a file. */
export function docs(options: CallOptions & DocsOptions = {}): Promise<Result> {
  return call('docs', options, false, async (ctx) => (await import('./commands/docs.js')).docsCommand(ctx, options));
}

/** Runs a program once for a database, under the migration lock; what it prints goes to this process's stderr. */
export function once(
  options: CallOptions & Omit<OnceCommandOptions, 'json'> & { name: string; command: readonly string[] },
): Promise<Result> {
  return call('once', options, true, async (ctx) => {
    const { name, command, ...rest } = options;
    return (await import('./commands/once.js')).onceCommand(ctx, name, command, { ...rest, json: true });
  });
}

/** What is unsafe in migrations; needs no database. `outcome` is integrity when there is a finding. */
export function lint(options: CallOptions & LintOptions & { files?: string[] } = {}): Promise<Result> {
  const lint = async (ctx: CommandContext) =>
    (await import('./commands/lint.js')).lintCommand(ctx, options.files ?? [], options);
  return call('lint', options, false, lint, true);
}

/** What `migrate` would do. */
export function plan(options: CallOptions & PlanOptions = {}): Promise<Result> {
  return call('plan', options, options?.rehearse === true && !options.embedded, (ctx) => planCommand(ctx, options));
}

/** What is applied, the last run, and who holds the migration lock. */
export function status(options: CallOptions = {}): Promise<Result> {
  return call('status', options, false, (ctx) => statusCommand(ctx));
}

async function call(
  command: string,
  options: CallOptions,
  writes: boolean,
  work: (ctx: CommandContext) => Promise<Answer>,
  offline = false,
): Promise<Result> {
  const wrong = wrongOption(options);
  const { env = process.env, signal, events = {}, ...rest } = wrong ? {} : options;
  const { result } = await runCommand(
    {
      command,
      options: rest,
      env,
      signal: interruptible(signal),
      events,
      writes,
      offline: offline || wrong !== undefined,
    },
    wrong ? () => Promise.reject(wrong) : work,
  );
  return saidWithoutSecrets(result);
}

/** The caller's signal, with a reason that the result can tell. */
function interruptible(signal: AbortSignal | undefined): AbortSignal {
  const controller = new AbortController();
  const abort = () => controller.abort(interrupted(signal?.reason));
  if (signal?.aborted) abort();
  else signal?.addEventListener('abort', abort, { once: true });
  return controller.signal;
}
