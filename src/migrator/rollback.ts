import { MigrationError, Umzug } from 'umzug';
import { KasmDbError } from '../app/errors.js';
import type { LockHolder } from '../app/lock-holder.js';
import { now } from '../app/time.js';
import type { Context } from '../config/context.js';
import { readState } from '../history/read-state.js';
import { halfUndoneSql } from '../history/record.js';
import type { MigrationState } from '../history/state.js';
import { type Down, readDown } from '../migrations/down.js';
import { type Migration, writesVendorVersion } from '../migrations/files.js';
import type { Result } from '../output/result.js';
import { type Session, withSession } from '../postgres/session.js';
import { toKasmDbError } from '../postgres/sqlstate.js';
import { type Drop, dropsOf, goneFrom, type Inventory, inventory, type Loss, lossesIn, refusal } from './data-loss.js';
import { execute } from './execute.js';
import { executeStatements } from './execute-statements.js';
import { needsDirectConnection } from './plan-for.js';
import { planRollback, type RollbackGoal, type RollbackPlan } from './rollback-plan.js';
import { inRun, progressSql, type Run } from './run.js';
import { historyStorage, undoneSql } from './storage.js';
import { LockTaken, type MigrationLock, requireWritable, sessionOptions, withMigrationLock } from './with-lock.js';

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

/** A migration to undo, and its down migration. */
interface Step {
  migration: Migration;
  down: Migration;
  /** What the file says it drops. */
  drops: Drop[];
}

/**
 * Runs down migrations, last applied first, each in one transaction with the end of its history row. Before the first, and again under each one's
 * lock, looks whether somebody's rows would go.
 * @throws PartialRollback; integrity when a file is missing or data would be lost
 */
export async function rollBack(
  ctx: Context,
  migrations: Migration[],
  options: RollbackOptions,
): Promise<RollbackResult> {
  const vendor = writesVendorVersion(migrations);
  const first = await withSession(ctx.resolve, { ...sessionOptions(ctx), doing: 'rolling back' }, async (session) => {
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
  const waiting = { waitMs: options.lockTimeoutMs, vendor, doing: 'rolling back' };
  const { result, ...waited } = await withMigrationLock(ctx, waiting, async (lock) => {
    // Begun again after others had the lock, --steps would count anew from where the database then is.
    const goal = rolledBack.length > 0 ? { to: first.plan.target ?? 'none' } : options;
    const plan = planRollback(migrations, lock.state, goal);
    const steps = await prepare(plan, lock.state);
    if (!options.allowDataLoss) await refuseLosses(lock, steps, options);
    if (steps.length > 0) {
      await undoAll(ctx, lock, steps, { options, rolledBack }).catch((error) => {
        throw error instanceof LockTaken ? error : new PartialRollback(error, rolledBack, first.plan, options);
      });
    }
    return { state: lock.state, plan, losses: [] };
  });
  return { ...result, ...waited, rolledBack };
}

/** Everything that can be known to be wrong before the first statement. */
async function prepare({ steps }: RollbackPlan<Migration>, { pooled }: MigrationState): Promise<Step[]> {
  const prepared: Step[] = [];
  for (const migration of steps) {
    const { down, statements } = (await readDown(migration)) as Down;
    if (!down.transaction && pooled) throw needsDirectConnection(down.path, migration.name);
    prepared.push({ migration, down, drops: dropsOf(statements) });
  }
  return prepared;
}

/** Behind a pooler another rollback may drop what is looked at, so this takes the lock too. */
async function refuseLosses(lock: MigrationLock, steps: readonly Step[], options: RollbackOptions): Promise<void> {
  await lock.begin('read');
  await lossesOf(lock.session, steps, options).finally(() => lock.session.rollback());
}

/** What the steps say they drop and that holds something. @throws KasmDbError integrity where that is not allowed */
async function lossesOf(session: Session, steps: readonly Step[], options: RollbackOptions): Promise<Loss[]> {
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
  steps: readonly Step[],
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
        down: () => undo(run, step, options),
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

async function undo(run: Run, step: Step, options: RollbackOptions): Promise<void> {
  if (!step.down.transaction) return undoStatements(run, step, options);
  const drops = [...step.drops];
  for (;;) {
    try {
      return await undoKnowing(run, step, drops, options);
    } catch (error) {
      if (!(error instanceof Unforeseen)) throw error;
      // Rolled back. Once more, now looking at these too before they are dropped.
      drops.push(...error.drops);
    }
  }
}

/** A file drops what it didn't name: through CASCADE, in a DO block, or under a name it gave before. */
class Unforeseen extends Error {
  constructor(readonly drops: Drop[]) {
    super('the file drops more than it says');
  }
}

async function undoKnowing(run: Run, step: Step, drops: readonly Drop[], options: RollbackOptions): Promise<void> {
  const { session } = run.lock;
  const { migration, down } = step;
  const foreseen = new Set(drops.map(keyOf));
  let there: Inventory = new Map();
  await execute(run, down, {
    locked: async () => {
      await requireNewest(run, migration.name);
      if (options.allowDataLoss) return;
      const losses = await lossesIn(session, drops, true).catch((error) => {
        throw toKasmDbError(error, `looking what rolling back ${migration.name} would drop`, {
          migration: migration.name,
          file: down.path,
        });
      });
      if (losses.length > 0) {
        throw refusal(`${migration.name} was not rolled back, because this`, losses, migration.name);
      }
      there = await inventory(session);
    },
    done: async () => {
      if (options.allowDataLoss) return;
      const more = goneFrom(there, await inventory(session)).filter((drop) => !isForeseen(drop, foreseen));
      if (more.length > 0) throw new Unforeseen(more);
    },
  });
}

/** Behind a pooler others may have had the lock since the rollback was planned. */
async function requireNewest({ lock }: Run, name: string): Promise<void> {
  if (!lock.state.pooled) return;
  const { history = [] } = await lock.reread();
  const newest = history.at(-1)?.name;
  if (newest === name) return;
  if (!history.some((row) => row.name === name)) throw new LockTaken(undefined);
  throw new KasmDbError('integrity', `${newest} was applied while this rollback was at work`, {
    hint: 'stop what migrates (a deployment that still runs?), then run the rollback again',
  });
}

const keyOf = ({ table, column }: Drop) => `${plain(table)}\0${column ?? ''}`;
/** Names as the inventory writes them. */
const plain = (table: string) => table.replaceAll(/"([a-z_][a-z0-9_$]*)"/g, '$1');

function isForeseen(drop: Drop, foreseen: ReadonlySet<string>): boolean {
  return foreseen.has(keyOf(drop)) || foreseen.has(keyOf({ table: drop.table }));
}

/**
 * Statement by statement. From its first statement on the migration counts as begun and not done, so that neither a check nor a rerun takes it
 * for applied; a rerun goes through the file from its start, where a DROP of what is gone is done.
 */
async function undoStatements(run: Run, { migration, down, drops }: Step, options: RollbackOptions): Promise<void> {
  const { session } = run.lock;
  const { name } = migration;
  const losses = options.allowDataLoss ? [] : await session.reading(() => lossesIn(session, drops, false));
  if (losses.length > 0) throw refusal(`${name} was not rolled back, because this`, losses, name);
  const begun = halfUndoneSql(name);
  await executeStatements(run, down, {
    ...{ done: 0, begun: undefined, dropsAgain: true },
    mark: () => begun,
    unmark: () => begun,
    record: async (done, total) => (done < total ? begun : `${await undoneSql(run, name)}; ${progressSql(run, name)}`),
  });
}

/** A failure that says what was rolled back before it. */
class PartialRollback extends KasmDbError {
  /** Goes into the result. */
  readonly fields: Pick<Result, 'rolledBack'>;

  constructor(
    error: KasmDbError,
    rolledBack: readonly RolledBack[],
    plan: RollbackPlan<Migration>,
    { steps }: RollbackOptions,
  ) {
    const rest = `then go on with: kasm-db rollback --to ${plan.target ?? 'none'}`;
    // --steps counts from where the database then is.
    const hint =
      steps !== undefined && rolledBack.length > 0
        ? { hint: [error.details.hint, rest].filter(Boolean).join('; ') }
        : {};
    super(error.outcome, error.message, { ...error.details, ...hint, exitCode: error.exitCode, cause: error.cause });
    this.fields = { rolledBack: [...rolledBack] };
  }
}
