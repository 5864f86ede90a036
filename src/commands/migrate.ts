import { KasmDbError } from '../app/errors.js';
import type { BootstrapResult } from '../bootstrap/bootstrap.js';
import { lockTimeout, parseDuration } from '../config/duration.js';
import { noHistory } from '../migrator/plan-for.js';
import type { Answer, CommandContext } from './command.js';
import { type MigrateAndSeedOptions, migrateAndSeed } from './migrate-and-seed.js';
import { dryRunOfNothing } from './migrate-dry-run.js';
import type { SeedCommandOptions } from './seed.js';

export interface MigrateOptions extends Pick<SeedCommandOptions, 'seeds' | 'secrets'> {
  /** Then write default rows and credentials. */
  seed?: boolean;
  /** First what `bootstrap` does, with the admin login. */
  bootstrap?: boolean;
  /** With bootstrap: a role for the gates. */
  gateRole?: string;
  /** Last migration to apply; default: the newest. */
  to?: string;
  /** Say what would be done, and do nothing. */
  dryRun?: boolean;
  /** Stop where there is no history yet: an upgrade never initialises an empty database. */
  expectExisting?: boolean;
  /** Stop where there is a history or a table already. */
  requireEmpty?: boolean;
  /** First hold the database (with migrations pending, what they make of it) against the snapshot, and stop where it differs. */
  verify?: boolean;
  /** How long to wait for another migrator or a table lock; default 5m. */
  lockTimeout?: string;
  /** End sessions that are idle in a transaction for longer than that and hold a table that a migration needs. */
  cancelBlockers?: string;
}

/** Brings the database to the newest version that this build knows. */
export async function migrateCommand(ctx: CommandContext, options: MigrateOptions): Promise<Answer> {
  if (options.expectExisting && options.requireEmpty)
    throw new KasmDbError('usage', '--expect-existing and --require-empty exclude each other', {
      hint: 'take --expect-existing for an upgrade, --require-empty for a first installation',
    });
  const { cancelBlockers } = options;
  const run = {
    ...options,
    cancelBlockersMs: cancelBlockers === undefined ? undefined : parseDuration(cancelBlockers, '--cancel-blockers'),
    lockTimeoutMs: lockTimeout(options.lockTimeout),
  };
  if (!options.bootstrap) return migrateAndSeed(ctx, run);
  const made = await bootstrapFirst(ctx, options);
  if (options.dryRun) return dryRunWithBootstrap(ctx, run, made);
  for (const warning of made.warnings) ctx.events.warning?.(warning);
  ctx.events.progress?.('role, database, extension, history and grants are there');
  return migrateAndSeed(ctx, run);
}

async function bootstrapFirst(ctx: CommandContext, options: MigrateOptions): Promise<BootstrapResult> {
  const { runBootstrap } = await import('./bootstrap.js');
  if (options.expectExisting && !(await runBootstrap(ctx, { ...options, dryRun: true })).hadHistory)
    throw noHistory(`database "${ctx.resolve().dbname}"`);
  return runBootstrap(ctx, options);
}

/** What would be made, and what would then be applied to it. */
async function dryRunWithBootstrap(
  ctx: CommandContext,
  options: MigrateAndSeedOptions,
  made: BootstrapResult,
): Promise<Answer> {
  const { bootstrapAnswer } = await import('./bootstrap.js');
  const first = bootstrapAnswer(ctx, made, options);
  const noLogin = made.steps.some(({ where, state }) => where === 'maintenance' && state === 'missing');
  const then = noLogin ? await dryRunOfNothing(ctx, options) : await migrateAndSeed(ctx, options);
  return {
    fields: { ...then.fields, warnings: [...made.warnings, ...(then.fields.warnings ?? [])] },
    text: (s) => `${first.text(s)}\n\n${then.text(s)}`,
  };
}
