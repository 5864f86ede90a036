import { formatMs } from '../config/duration.js';
import { isKasmDbError, KasmDbError } from '../errors.js';
import type { Context } from '../migrate/context.js';
import type { Migration } from '../migrate/files.js';
import { look } from '../migrate/history.js';
import { isNewer, type Plan, plan } from '../migrate/plan.js';
import type { Look } from '../migrate/state.js';
import { connect } from '../postgres/connect.js';
import { disconnect } from '../postgres/query.js';
import { jittered, now, sleep } from '../time.js';
import { VERSION } from '../version.js';

/** What `check --seed` asks for. */
export interface ExpectedSeed {
  /** Of one's own documents; undefined: whichever. */
  digest?: string;
}

export interface Verdict {
  look: Look;
  plan: Plan<Migration>;
  warnings: string[];
}

/**
 * One look: is everything that this build needs applied? Never writes and never takes the migration lock.
 * @throws KasmDbError pending, integrity, unreachable, environment
 */
export async function checkOnce(
  ctx: Context,
  migrations: Migration[],
  options: { vendor: boolean; once: boolean; seed?: ExpectedSeed | undefined },
): Promise<Verdict> {
  const client = await connect(ctx.resolve, {
    signal: ctx.signal,
    once: options.once,
    onRetry: ctx.events.retryConnect,
  });
  let state: Look;
  try {
    state = await look(client, { vendor: options.vendor });
  } finally {
    void disconnect(client);
  }
  return judge(migrations, state, options.seed);
}

/** Decides from one look; pure. @throws KasmDbError pending, integrity */
export function judge(migrations: Migration[], state: Look, seed?: ExpectedSeed): Verdict {
  const planned = plan(migrations, state, { appVersion: VERSION });
  const warnings = [...planned.warnings];
  for (const problem of planned.problems) {
    // Kasm's own upgrade came later than kasm-db's work: all that this build needs is there.
    if (problem.kind === 'vendor-upgraded') warnings.push(problem.message);
    else {
      throw new KasmDbError('integrity', problem.message, {
        hint: problem.hint,
        ...(problem.migration ? { migration: problem.migration } : {}),
      });
    }
  }
  if (planned.pending.length > 0) throw new PendingError(migrations.length, state, planned);
  if (seed && !planned.ahead && !isSeeded(seed, state.run?.seedDigest))
    throw new PendingError(migrations.length, state, planned, true);
  return { look: state, plan: planned, warnings };
}

/** kasm_db.run.seed_digest is VERSION:DIGEST of the last seed. */
function isSeeded({ digest }: ExpectedSeed, found: string | null | undefined): boolean {
  const [version = '', seeded] = (found ?? '').split(':');
  if (!found || isNewer(VERSION, version)) return false;
  return digest === undefined || digest === seeded || isNewer(version, VERSION);
}

/** `check` says "not yet": how far it is, and what the migrator is doing. */
export class PendingError extends KasmDbError {
  constructor(
    total: number,
    readonly look: Look,
    readonly plan: Plan<Migration>,
    seed = false,
  ) {
    super('pending', seed ? describeSeed(look) : describe(total, look, plan), {
      hint: `run: kasm-db migrate${seed ? ' --seed' : ''}`,
    });
  }
}

function describeSeed({ run }: Look): string {
  if (run?.phase === 'seed')
    return `all migrations are applied; ${run.applicationName} (PID ${run.pid}) is seeding since ${run.startedAt}`;
  if (run?.phase === 'failed') return `all migrations are applied, but the last run failed: ${run.error}`;
  return run?.seedDigest
    ? 'all migrations are applied, but it was seeded by an older kasm-db'
    : 'all migrations are applied, but it is not seeded yet';
}

function describe(total: number, { history, run }: Look, planned: Plan<Migration>): string {
  if (history === undefined) return 'no migration was ever applied here (there is no history)';
  const count = `${planned.applied.length} of ${total} migrations are applied, ${planned.pending[0]?.name} is next`;
  if (run?.phase === 'failed') return `${count}; the last run failed at ${run.current}: ${run.error}`;
  if (run?.phase === 'migrate')
    return `${count}; ${run.applicationName} (PID ${run.pid}) began to migrate at ${run.startedAt}`;
  return count;
}

export interface WaitOptions {
  /** How long to wait, in milliseconds. */
  waitMs: number;
  seed?: ExpectedSeed | undefined;
  /** Give up as soon as the migrator has failed. */
  failFast: boolean;
  /** Told once for every change of what is being waited for. */
  onState: (text: string) => void;
}

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5000;

/**
 * Looks again and again until the answer is yes or the time is up. Each look is a connection of its own; nothing is held in between.
 * @throws KasmDbError as checkOnce; integrity and environment at once, since waiting does not cure them
 */
export async function waitUntilReady(ctx: Context, migrations: Migration[], options: WaitOptions): Promise<Verdict> {
  const started = now();
  let said = '';
  for (let tries = 0; ; tries++) {
    let error: KasmDbError;
    try {
      return await checkOnce(ctx, migrations, { vendor: false, once: true, seed: options.seed });
    } catch (caught) {
      if (!isKasmDbError(caught) || !waitingHelps(caught)) throw caught;
      error = caught;
    }
    if (options.failFast && error instanceof PendingError && error.look.run?.phase === 'failed') throw error;
    if (error.message !== said) {
      said = error.message;
      options.onState(error.message);
    }
    const pause = jittered(Math.min(FIRST_PAUSE_MS * 1.5 ** tries, LONGEST_PAUSE_MS));
    const left = options.waitMs - (now() - started);
    if (left <= 0) throw error.with({ hint: `gave up after ${formatMs(options.waitMs)}; ${error.details.hint ?? ''}` });
    await sleep(Math.min(pause, left), ctx.signal);
  }
}

function waitingHelps(error: KasmDbError): boolean {
  return error.outcome === 'pending' || error.outcome === 'unreachable' || error.outcome === 'locked';
}
