import { KasmDbError } from '../app/errors.js';
import { now } from '../app/time.js';
import { formatMs } from '../app/when.js';
import { parseDuration } from '../config/duration.js';
import { writesVendorVersion } from '../migrations/files.js';
import { type Session, withSession } from '../postgres/session.js';
import { check, type ExpectedSeed } from '../readiness/check.js';
import { waitUntilReady } from '../readiness/wait.js';
import type { Answer, CommandContext } from './command.js';
import { unlessEmpty } from './database-info.js';

export interface CheckOptions {
  /** Keep looking until the answer is yes, or this time is up; true: for ever. */
  wait?: string | true;
  /** Also: is it seeded, by this or a newer build? */
  seed?: boolean;
  /** With seed: these documents, instead of those that ship with this build. */
  seeds?: string;
  /** Give up when the migrator has failed. */
  failFast?: boolean;
  /** With seed: a mounted Secret; where the database has other tokens than it, there is a warning. */
  secrets?: string;
}

/** setTimeout's limit; 24 days are for ever to an init container. */
const FOR_EVER_MS = 2_147_483_647;

/** Is everything that this build needs applied? Never writes, never takes the migration lock. */
export async function checkCommand(ctx: CommandContext, options: CheckOptions): Promise<Answer> {
  const migrations = await ctx.migrations();
  const started = now();
  const seed = options.seed ? await expectedSeed(ctx, options.seeds) : undefined;
  const { state, plan, warnings } =
    options.wait === undefined
      ? await check(ctx, migrations, { vendor: writesVendorVersion(migrations), seed })
      : await waitUntilReady(ctx, migrations, {
          waitMs: options.wait === true ? FOR_EVER_MS : parseDuration(options.wait, '--wait'),
          failFast: options.failFast ?? false,
          seed,
          env: ctx.env,
        });
  if (options.seed) warnings.push(...(await tokenDifferences(ctx, options)));
  for (const warning of warnings) ctx.events.warning?.(warning);
  return {
    state,
    fields: { target: plan.target, current: plan.current, unknown: unlessEmpty(plan.unknown), warnings },
    text: (s) => {
      const one = plan.applied.length === 1;
      const all = one ? 'The only migration' : `All ${plan.applied.length} migrations`;
      const seeded = seed ? ', and it is seeded' : '';
      const waited = options.wait === undefined ? '' : ` (after ${formatMs(now() - started)})`;
      return `${s.green('Ready.')} ${all} that this build needs ${one ? 'is' : 'are'} applied${seeded}${waited}.`;
    },
  };
}

/** With documents of one's own, exactly those must have been seeded; else any seed of this or a newer build will do. */
async function expectedSeed(ctx: CommandContext, path: string | undefined): Promise<ExpectedSeed> {
  if (path === undefined) return {};
  const { digestOf } = await import('./seed.js');
  return { digest: await digestOf(ctx, path) };
}

/** How long a warning may keep a gate. */
const COMPARE_MS = 5000;

/** Where a Secret is mounted and its tokens may be read: are they the database's? Nothing that is wrong here makes a gate wait. */
async function tokenDifferences(ctx: CommandContext, options: CheckOptions): Promise<string[]> {
  if (!(options.secrets ?? ctx.env.KASM_DB_SECRETS_DIR)) return [];
  const [{ givenCredentials }, { compareCredentials }] = await Promise.all([
    import('./seed.js'),
    import('../seed/compare-credentials.js'),
  ]);
  try {
    const { credentials } = givenCredentials(options, ctx.env);
    const compare = (session: Session) =>
      session.reading(() => compareCredentials(session, credentials), { statementTimeoutMs: COMPARE_MS });
    const differences = await withSession(ctx, 'comparing credentials', compare, { once: true });
    return differences.filter(({ kind }) => kind === 'token').map(({ text }) => text);
  } catch (error) {
    if (!(error instanceof KasmDbError) || error.outcome === 'interrupted') throw error;
    return [`the credentials could not be compared: ${error.message}`];
  }
}
