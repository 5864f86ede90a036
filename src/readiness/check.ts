import { KasmDbError } from '../app/errors.js';
import { VERSION } from '../app/version.js';
import type { Context } from '../config/context.js';
import type { Resolve } from '../config/settings.js';
import { readState, type StateRequest } from '../history/read-state.js';
import { SEEDED_BY_PROGRAM } from '../history/run-row.js';
import type { MigrationState } from '../history/state.js';
import type { Migration } from '../migrations/files.js';
import { isNewer, type Plan, plan } from '../migrator/plan.js';
import { type Session, withSession } from '../postgres/session.js';
import { pendingTexts } from './pending-state.js';

/** What `check --seed` asks for. */
export interface ExpectedSeed {
  /** Of one's own documents; undefined: whichever. */
  digest?: string;
}

export interface CheckResult {
  state: MigrationState;
  plan: Plan<Migration>;
  warnings: string[];
}

export interface CheckRequest extends Omit<StateRequest, 'withinMs'> {
  seed?: ExpectedSeed | undefined;
  /** One attempt that has so many milliseconds to connect, and again to read; without it connecting is tried again for as long as it may take. */
  attemptMs?: number;
}

/**
 * Is everything that this build needs applied? Never writes and never takes the migration lock.
 * @throws KasmDbError pending, integrity, unreachable, environment
 */
export async function check(ctx: Context, migrations: Migration[], request: CheckRequest): Promise<CheckResult> {
  const { attemptMs, seed, vendor } = request;
  const resolve: Resolve = (anew) => {
    const settings = ctx.resolve(anew);
    return {
      ...settings,
      connectTimeoutMs: Math.min(settings.connectTimeoutMs, attemptMs ?? Number.POSITIVE_INFINITY),
    };
  };
  const read = (session: Session) => readState(session, { vendor, withinMs: attemptMs });
  const state = await withSession({ ...ctx, resolve }, 'checking', read, { once: attemptMs !== undefined });
  return evaluate(migrations, state, seed);
}

/** What a state means; pure. @throws KasmDbError pending, integrity */
export function evaluate(migrations: Migration[], state: MigrationState, seed?: ExpectedSeed): CheckResult {
  const planned = plan(migrations, state, { appVersion: VERSION });
  const warnings = [...planned.warnings];
  for (const problem of planned.problems) {
    // Kasm's own upgrade came later than kasm-db's work: all that this build needs is there.
    if (problem.kind === 'vendor-upgraded') warnings.push(problem.message);
    else throw new KasmDbError('integrity', problem.message, { hint: problem.hint, migration: problem.migration });
  }
  const isUnseeded = seed && !planned.ahead && !isSeeded(seed, state.run?.seedDigest);
  if (planned.pending.length > 0 || isUnseeded) throw new PendingError(migrations.length, state, planned);
  return { state, plan: planned, warnings };
}

/** kasm_db.run.seed_digest is VERSION:DIGEST of the last seed. */
function isSeeded({ digest }: ExpectedSeed, found: string | null | undefined): boolean {
  const [version = '', seeded] = (found ?? '').split(':');
  // What a program of Kasm's has written no newer kasm-db writes again.
  if (seeded === SEEDED_BY_PROGRAM) return digest === undefined;
  if (!found || isNewer(VERSION, version)) return false;
  return digest === undefined || digest === seeded || isNewer(version, VERSION);
}

/** `check` says "not yet": how far it is, and what the migrator is doing. */
export class PendingError extends KasmDbError {
  constructor(
    total: number,
    readonly state: MigrationState,
    readonly plan: Plan<Migration>,
  ) {
    const { text, hint } = pendingTexts(total, state, plan);
    super('pending', text, { hint });
  }
}
