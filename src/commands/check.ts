import { formatMs, parseDuration } from '../config/duration.js';
import { checkOnce, waitUntilReady } from '../gate/wait.js';
import { now } from '../time.js';
import { type Answer, type CommandContext, describeDatabase } from './command.js';

export interface CheckOptions {
  /** Keep looking until the answer is yes, or this time is up; true: for ever. */
  wait?: string | true;
  /** Give up when the migrator has failed. */
  failFast?: boolean;
}

/** setTimeout's limit; 24 days are for ever to an init container. */
const FOR_EVER_MS = 2_147_483_647;

/** Is everything that this build needs applied? Never writes, never takes the migration lock. */
export async function checkCommand(ctx: CommandContext, options: CheckOptions): Promise<Answer> {
  const migrations = await ctx.migrations();
  const started = now();
  const { look, plan, warnings } =
    options.wait === undefined
      ? await checkOnce(ctx, migrations, { vendor: true, once: false })
      : await waitUntilReady(ctx, migrations, {
          waitMs: options.wait === true ? FOR_EVER_MS : parseDuration(options.wait, '--wait'),
          failFast: options.failFast ?? false,
          onState: (text) => ctx.events.waiting?.(text),
        });
  for (const warning of warnings) ctx.events.warning?.(warning);
  return {
    fields: {
      database: describeDatabase(ctx.resolve(), look),
      ...(plan.target ? { target: plan.target } : {}),
      ...(plan.current ? { current: plan.current } : {}),
      ...(plan.unknown.length > 0 ? { unknown: plan.unknown } : {}),
      ...(warnings.length > 0 ? { warnings } : {}),
    },
    text: (s) =>
      `${s.green('Ready.')} All ${plan.applied.length} migrations that this build needs are applied${
        options.wait === undefined ? '' : ` (after ${formatMs(now() - started)})`
      }.`,
  };
}
