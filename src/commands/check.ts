import { now } from '../app/time.js';
import { formatMs, parseDuration } from '../config/duration.js';
import { type Migration, writesVendorVersion } from '../migrations/files.js';
import { check, type ExpectedSeed } from '../readiness/check.js';
import { waitUntilReady } from '../readiness/wait.js';
import { type Answer, type CommandContext, describeDatabase } from './command.js';

export interface CheckOptions {
  /** Keep looking until the answer is yes, or this time is up; true: for ever. */
  wait?: string | true;
  /** Also: is it seeded, by this or a newer build? */
  seed?: boolean;
  /** With seed: these documents, instead of those that ship with this build. */
  seeds?: string;
  /** Give up when the migrator has failed. */
  failFast?: boolean;
}

/** setTimeout's limit; 24 days are for ever to an init container. */
const FOR_EVER_MS = 2_147_483_647;

/** Is everything that this build needs applied? Never writes, never takes the migration lock. */
export async function checkCommand(ctx: CommandContext, options: CheckOptions): Promise<Answer> {
  const migrations = await ctx.migrations();
  const started = now();
  const seed = options.seed ? await expectedSeed(options.seeds, ctx.signal) : undefined;
  const { state, plan, warnings } =
    options.wait === undefined
      ? await check(ctx, migrations, { vendor: writesVendorVersion(migrations), seed })
      : await waitFor(ctx, migrations, options.wait, options.failFast ?? false, seed);
  for (const warning of warnings) ctx.events.warning?.(warning);
  return {
    fields: {
      database: describeDatabase(ctx.resolve(), state),
      ...(plan.target ? { target: plan.target } : {}),
      ...(plan.current ? { current: plan.current } : {}),
      ...(plan.unknown.length > 0 ? { unknown: plan.unknown } : {}),
      ...(warnings.length > 0 ? { warnings } : {}),
    },
    text: (s) =>
      `${s.green('Ready.')} All ${plan.applied.length} migrations that this build needs are applied${seed ? ', and it is seeded' : ''}${
        options.wait === undefined ? '' : ` (after ${formatMs(now() - started)})`
      }.`,
  };
}

async function waitFor(
  ctx: CommandContext,
  migrations: Migration[],
  wait: string | true,
  failFast: boolean,
  seed: ExpectedSeed | undefined,
) {
  const waitMs = wait === true ? FOR_EVER_MS : parseDuration(wait, '--wait');
  return waitUntilReady(ctx, migrations, { waitMs, failFast, seed, env: ctx.env });
}

/** With documents of one's own, exactly those must have been seeded; else any seed of this or a newer build will do. */
async function expectedSeed(path: string | undefined, signal: AbortSignal): Promise<ExpectedSeed> {
  if (path === undefined) return {};
  const { digestOf } = await import('./seed.js');
  return { digest: await digestOf(path, signal) };
}
