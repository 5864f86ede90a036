import { MigrationError, Umzug } from 'umzug';
import { type KasmDbError, RetoldError } from '../app/errors.js';
import type { LockHolder } from '../app/lock-holder.js';
import { now } from '../app/time.js';
import type { Context } from '../config/context.js';
import { readState } from '../history/read-state.js';
import type { MigrationState } from '../history/state.js';
import { type Down, readDown } from '../migrations/down.js';
import { type Migration, writesVendorVersion } from '../migrations/files.js';
import { type Session, withSession } from '../postgres/session.js';
import { toKasmDbError } from '../postgres/sqlstate.js';
import { dropsOf, type Loss, lossesIn, refusal } from './data-loss.js';
import { needsDirectConnection } from './plan-for.js';
import { planRollback, type RollbackGoal, type RollbackPlan } from './rollback-plan.js';
import { inRun } from './run.js';
import { historyStorage } from './storage.js';
import { type UndoStep, undo } from './undo.js';
import { type MigrationLock, requireWritable, withMigrationLock } from './with-lock.js';

export interface RollbackOptions extends RollbackGoal {
  lockTimeoutMs: number;
  allowDataLoss: boolean;
  /** Check everything, run nothing. */
  dryRun: boolean;
}

export interface RollbackResult {
  state: MigrationState;
  /** As it was before. */
  plan: RollbackPlan<Migration>;
  rolledBack: RolledBack[];
  /** Of a dry run: what would be lost, with --allow-data-loss. */
  losses: Loss[];
  waitedMs: number;
  holder: LockHolder | undefined;
}

export interface RolledBack {
  name: string;
  ms: number;
}

/**
 * Runs down migrations, last applied first, each in one transaction with the end of its history row. Before the first, and again under each one's
 * lock, looks whether somebody's rows would go.
 * @throws RetoldError, which says what was rolled back before; integrity when a file is missing or data would be lost
 */
export async function rollBack(
  ctx: Context,
  migrations: Migration[],
  options: RollbackOptions,
): Promise<RollbackResult> {
  const vendor = writesVendorVersion(migrations);
  const first = await withSession(ctx, 'rolling back', async (session) => {
    const state = await readState(session, { vendor });
    requireWritable(state, session.database);
    const plan = planRollback(migrations, state, options);
    const steps = await prepare(plan, state);
    const losses = options.dryRun ? await session.reading(() => lossesOf(session, steps, options)) : [];
    return { state, plan, losses };
  });
  if (options.dryRun || first.plan.steps.length === 0) {
    return { ...first, rolledBack: [], waitedMs: 0, holder: undefined };
  }
  const rolledBack: RolledBack[] = [];
  let isBegun = false;
  const waiting = { waitMs: options.lockTimeoutMs, vendor, doing: 'rolling back' };
  const { result, ...waited } = await withMigrationLock(ctx, waiting, async (lock) => {
    // Begun again after others had the lock, --steps would count anew from where the database then is.
    const goal = rolledBack.length > 0 ? { to: first.plan.target ?? 'none' } : options;
    const plan = planRollback(migrations, lock.state, goal);
    const steps = await prepare(plan, lock.state);
    if (!options.allowDataLoss) await refuseLosses(lock, steps, options);
    isBegun ||= steps.length > 0;
    if (steps.length > 0) await undoAll(ctx, lock, steps, { options, rolledBack });
    return { state: lock.state, plan, losses: [] };
  }).catch((error) => {
    throw !isBegun ? error : partialFailure(toKasmDbError(error, 'rolling back'), rolledBack, first.plan, options);
  });
  return { ...result, ...waited, rolledBack };
}

/** Everything that can be known to be wrong before the first statement. */
async function prepare({ steps }: RollbackPlan<Migration>, { pooled }: MigrationState): Promise<UndoStep[]> {
  const prepared: UndoStep[] = [];
  for (const migration of steps) {
    const { down, statements } = (await readDown(migration)) as Down;
    if (!down.transaction && pooled) throw needsDirectConnection(down.path, migration.name);
    prepared.push({ migration, down, drops: dropsOf(statements) });
  }
  return prepared;
}

/** Behind a pooler another rollback may drop what is looked at, so this takes the lock too. */
async function refuseLosses(lock: MigrationLock, steps: readonly UndoStep[], options: RollbackOptions): Promise<void> {
  await lock.begin('read');
  await lossesOf(lock.session, steps, options).finally(() => lock.session.rollback());
}

/** What the steps say they drop and that holds something. @throws KasmDbError integrity where that is not allowed */
async function lossesOf(session: Session, steps: readonly UndoStep[], options: RollbackOptions): Promise<Loss[]> {
  const losses = await lossesIn(
    session,
    steps.flatMap((step) => step.drops),
    false,
  );
  if (losses.length === 0 || options.allowDataLoss) return losses;
  const what =
    steps.length === 1 ? `rolling back ${steps[0]?.migration.name}` : `rolling back ${steps.length} migrations`;
  throw refusal(`nothing was rolled back, because ${what}`, losses, undefined);
}

/** umzug drives, backwards. @param steps last applied first */
async function undoAll(
  ctx: Context,
  lock: MigrationLock,
  steps: readonly UndoStep[],
  { options, rolledBack }: { options: RollbackOptions; rolledBack: RolledBack[] },
): Promise<void> {
  const names = steps.map(({ migration }) => migration.name);
  const running = { names, lockTimeoutMs: options.lockTimeoutMs, doing: 'rolling back', rollback: true };
  await inRun(ctx, lock, running, async (run) => {
    ctx.events.started?.('rolling back', names.length);
    const umzug = new Umzug({
      migrations: steps.toReversed().map((step) => ({
        name: step.migration.name,
        up: async () => {},
        down: () => undo(run, step, options.allowDataLoss),
      })),
      storage: historyStorage(
        run,
        steps.map(({ down }) => down),
        names,
      ),
      logger: undefined,
    });
    let started = 0;
    umzug.on('reverting', ({ name }) => {
      started = now();
      ctx.events.migrationStarted?.(name, names.indexOf(name), names.length);
    });
    umzug.on('reverted', ({ name }) => {
      const ms = Math.round(now() - started);
      rolledBack.push({ name, ms });
      ctx.events.migrationUndone?.(name, ms);
    });
    await umzug.down({ to: 0 }).catch((error) => {
      // umzug wraps what a file's run has thrown; what the history has thrown comes as it is.
      throw error instanceof MigrationError ? error.cause : error;
    });
  });
}

/** What most hints say. */
const AGAIN = /run (the same command|it) again/;

/** The same failure, which says what was rolled back before it, and how to go on: --steps counts from where the database then is. */
function partialFailure(
  error: KasmDbError,
  rolledBack: readonly RolledBack[],
  plan: RollbackPlan<Migration>,
  { steps }: RollbackOptions,
): RetoldError {
  const { hint = '' } = error.details;
  const rest = `kasm-db rollback --to ${plan.target ?? 'none'}`;
  const onward = AGAIN.test(hint)
    ? hint.replace(AGAIN, `run: ${rest}`)
    : `${hint && `${hint}; `}then go on with: ${rest}`;
  const next = steps !== undefined && rolledBack.length > 0 ? onward : error.details.hint;
  return new RetoldError(error, error.message, { rolledBack }, next);
}
