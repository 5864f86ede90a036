import { formatMs } from '../config/duration.js';
import { isKasmDbError, KasmDbError } from '../errors.js';
import type { Context } from '../migrate/context.js';
import type { Migration } from '../migrate/files.js';
import { look } from '../migrate/history.js';
import { type Plan, plan } from '../migrate/plan.js';
import type { Look } from '../migrate/state.js';
import { connect } from '../postgres/connect.js';
import { disconnect } from '../postgres/query.js';
import { jittered, now, sleep } from '../time.js';
import { VERSION } from '../version.js';

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
  options: { vendor: boolean; once: boolean },
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
  return judge(migrations, state);
}

/** Decides from one look; pure. @throws KasmDbError pending, integrity */
export function judge(migrations: Migration[], state: Look): Verdict {
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
  return { look: state, plan: planned, warnings };
}

/** `check` says "not yet": how far it is, and what the migrator is doing. */
export class PendingError extends KasmDbError {
  constructor(
    total: number,
    readonly look: Look,
    readonly plan: Plan<Migration>,
  ) {
    super('pending', describe(total, look, plan), { hint: 'run: kasm-db migrate' });
  }
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
      return await checkOnce(ctx, migrations, { vendor: false, once: true });
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
