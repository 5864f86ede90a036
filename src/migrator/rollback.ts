import { escapeLiteral } from 'pg';
import type { Context } from '../app/context.js';
import { KasmDbError, messageOf } from '../app/errors.js';
import { jittered, now, sleep } from '../app/time.js';
import { ensureHistory } from '../history/history.js';
import { look } from '../history/look.js';
import { newRun, type RunLog } from '../history/run-row.js';
import type { Look } from '../history/state.js';
import { downOf, type Migration, writesVendorVersion } from '../migrations/files.js';
import { refuseTransactionControl } from '../migrations/transaction-control.js';
import type { Result } from '../output/result.js';
import type { Client } from '../postgres/client.js';
import { tryLock, tryTransactionLock, unlock } from '../postgres/lock.js';
import type { LockHolder } from '../postgres/lock-holder.js';
import { parseScript } from '../postgres/parser.js';
import { cancellable } from '../postgres/query.js';
import { toKasmDbError } from '../postgres/sqlstate.js';
import type { SessionOptions } from '../postgres/transaction.js';
import { FORGET_SQL } from '../seed/forget.js';
import { type Drop, dropsOf, goneFrom, type Inventory, inventory, lossesIn, refusal } from './data-loss.js';
import { applyInTransaction, begin, rollback as rollbackTransaction } from './execute.js';
import { DDL_LOCK_TIMEOUT_MS } from './migrate.js';
import { planRollback, type RollbackGoal, type RollbackPlan } from './rollback-plan.js';
import type { TableWaits } from './table-wait.js';
import { requireWritable, untilLocked } from './with-lock.js';

export interface RollbackOptions extends RollbackGoal {
  lockTimeoutMs: number;
  allowDataLoss: boolean;
  /** Check everything, run nothing. */
  dryRun: boolean;
}

export interface RollbackResult {
  look: Look;
  /** As it was before. */
  plan: RollbackPlan<Migration>;
  rolledBack: { name: string; ms: number }[];
}

/** A migration to undo, and its down script. */
interface Step {
  migration: Migration;
  down: Migration;
  /** What the script says it drops. */
  drops: Drop[];
}

interface Rollback extends RollbackResult {
  ctx: Context;
  client: Client;
  options: RollbackOptions;
  session: SessionOptions;
  deadline: number;
  log: RunLog;
  steps: Step[];
  waits: TableWaits;
}

/**
 * Runs down scripts, last applied first, each in one transaction with the end of its history row. Before the first, and again under each one's
 * lock, looks whether somebody's rows would go.
 * @throws KasmDbError; integrity when a script is missing or data would be lost
 */
export function rollBack(
  ctx: Context,
  migrations: Migration[],
  options: RollbackOptions,
): Promise<RollbackResult & { waitedMs: number; holder: LockHolder | undefined }> {
  return untilLocked(ctx, { lockTimeoutMs: options.lockTimeoutMs, doing: 'rolling back' }, (client, deadline) =>
    attempt(ctx, client, migrations, options, deadline),
  );
}

async function attempt(
  ctx: Context,
  client: Client,
  migrations: Migration[],
  options: RollbackOptions,
  deadline: number,
): Promise<RollbackResult | { busy: LockHolder | undefined }> {
  const vendor = writesVendorVersion(migrations);
  const before = await cancellable(client, ctx.signal, () => look(client, { vendor }));
  requireWritable(before);
  const planned = planRollback(migrations, before, options);
  if (planned.steps.length === 0) return { look: before, plan: planned, rolledBack: [] };
  const prepared = await prepare(planned, before);
  const session = {
    lockTimeoutMs: DDL_LOCK_TIMEOUT_MS,
    role: ctx.resolve().role,
    serverVersion: before.serverVersion,
  };
  if (options.dryRun) {
    await begin(client, session);
    await refuseLosses(client, prepared, options);
    await rollbackTransaction(client);
    return { look: before, plan: planned, rolledBack: [] };
  }
  if (!before.pooled) {
    const lock = await tryLock(client);
    if (!lock.locked) return { busy: lock.holder };
  }
  await begin(client, session);
  const lock = await tryTransactionLock(client);
  if (!lock.locked) {
    await rollbackTransaction(client);
    return { busy: lock.holder };
  }
  // What was read before the lock may be old (TRAPS 12).
  const state = await look(client, { vendor });
  const plan = planRollback(migrations, state, options);
  const run: Rollback = {
    ...{ ctx, client, options, session, deadline, look: state, plan },
    log: newRun(),
    steps: await prepare(plan, state),
    rolledBack: [],
    waits: { ms: 0, blockers: [] },
  };
  await refuseLosses(client, run.steps, options);
  await ensureHistory(client);
  if (run.steps.length > 0)
    await client.query(run.log.start(run.steps.length, 'migrate', run.steps[0]?.migration.name));
  await client.query('COMMIT');
  await runSteps(run);
  if (!before.pooled) await unlock(client);
  return { look: state, plan, rolledBack: run.rolledBack };
}

/** Everything that can be known to be wrong before the first statement. */
async function prepare({ steps }: RollbackPlan<Migration>, state: Look): Promise<Step[]> {
  const prepared: Step[] = [];
  for (const migration of steps) {
    const down = (await downOf(migration)) as Migration;
    const sql = await down.sql();
    refuseTransactionControl(down, sql);
    const details = { migration: migration.name, file: down.path };
    if (!down.transaction && state.pooled) {
      throw new KasmDbError(
        'environment',
        `${down.path} cannot run in a transaction, and a connection pooler stands before the server`,
        { ...details, hint: 'set KASM_DB_DIRECT_URL (or --direct-url) to PostgreSQL itself' },
      );
    }
    if (!down.transaction && migration.transaction) {
      throw new KasmDbError(
        'usage',
        `${down.path} is no-transaction, but ${migration.name} itself is not: half of it undone could not be recorded`,
        { ...details, hint: 'write the down script so that it runs in one transaction' },
      );
    }
    prepared.push({ migration, down, drops: dropsOf(await parseScript(sql, down.path)) });
  }
  return prepared;
}

async function refuseLosses(client: Client, steps: readonly Step[], options: RollbackOptions): Promise<void> {
  if (options.allowDataLoss) return;
  const drops = steps.flatMap((step) => step.drops);
  const losses = await lossesIn(client, drops, false);
  if (losses.length === 0) return;
  const what =
    steps.length === 1 ? `rolling back ${steps[0]?.migration.name}` : `rolling back ${steps.length} migrations`;
  throw refusal(`${what} was not begun, as it`, losses, undefined);
}

async function runSteps(run: Rollback): Promise<void> {
  const { ctx, client, session, log, steps, rolledBack } = run;
  try {
    for (const [i, step] of steps.entries()) {
      const { name } = step.migration;
      ctx.events.migrationStarted?.(name, i, steps.length);
      const ms = step.down.transaction ? await undo(run, step, i) : await undoUnwrapped(run, step, i);
      if (ms === undefined) continue;
      rolledBack.push({ name, ms });
      ctx.events.migrationUndone?.(name, ms);
    }
  } catch (caught) {
    const error = ctx.signal.aborted ? ctx.signal.reason : caught;
    await begin(client, session)
      .then(() => client.query(`${log.fail(messageOf(error))}; COMMIT`))
      .catch(() => rollbackTransaction(client));
    throw new PartialRollback(toKasmDbError(error, 'rolling back'), run);
  }
}

/** A failure that says what was rolled back before it. */
class PartialRollback extends KasmDbError {
  /** Goes into the result. */
  readonly fields: Pick<Result, 'rolledBack'>;

  constructor(error: KasmDbError, { rolledBack, plan, options }: Rollback) {
    const goOn = `then go on with: kasm-db rollback --to ${plan.target ?? 'none'}`;
    // --steps counts from where the database then is.
    const hint =
      options.steps !== undefined && rolledBack.length > 0
        ? { hint: [error.details.hint, goOn].filter(Boolean).join('; ') }
        : {};
    super(error.outcome, error.message, { ...error.details, ...hint, exitCode: error.exitCode, cause: error.cause });
    this.fields = { rolledBack: rolledBack.map(({ name, ms }) => ({ name, ms: Math.round(ms) })) };
  }
}

/** A script drops what it didn't name: through CASCADE, in a DO block, or under a name it gave before. */
class Unforeseen extends Error {
  constructor(readonly drops: Drop[]) {
    super('the script drops more than it says');
  }
}

/** @returns milliseconds; undefined when someone else has undone it meanwhile */
async function undo(run: Rollback, step: Step, index: number): Promise<number | undefined> {
  const drops = [...step.drops];
  for (;;) {
    try {
      return await undoKnowing(run, step, index, drops);
    } catch (error) {
      if (!(error instanceof Unforeseen)) throw error;
      // Rolled back. Once more, now looking at these too before they are dropped.
      drops.push(...error.drops);
    }
  }
}

async function undoKnowing(run: Rollback, { migration, down }: Step, index: number, drops: Drop[]) {
  const { ctx, client, session, deadline, options } = run;
  const started = now();
  const { name } = migration;
  const foreseen = new Set(drops.map(keyOf));
  let there: Inventory = new Map();
  const guarded = options.allowDataLoss
    ? {}
    : {
        before: async () => {
          const losses = await lossesIn(client, drops, true).catch((error) => {
            throw toKasmDbError(error, `looking what rolling back ${name} would drop`, {
              migration: name,
              file: down.path,
            });
          });
          if (losses.length > 0) throw refusal(`${name} was not rolled back, as it`, losses, name);
          there = await inventory(client);
        },
        after: async () => {
          const more = goneFrom(there, await inventory(client)).filter((drop) => !isForeseen(drop, foreseen));
          if (more.length > 0) throw new Unforeseen(more);
        },
      };
  let seeds = false;
  for (let tries = 0; ; tries++) {
    const result = await applyInTransaction(ctx, client, down, {
      ...{ session, deadline, waits: run.waits },
      perTransaction: {
        ownSession: !run.look.pooled,
        stillPending: async () => {
          const { rows } = await client.query(
            'SELECT (SELECT pg_catalog.max(name COLLATE "C") FROM kasm_db.migrations) AS newest, pg_catalog.to_regclass(\'kasm_db.seeds\') IS NOT NULL AS seeds, EXISTS (SELECT FROM kasm_db.migrations WHERE name = $1) AS there',
            [name],
          );
          seeds = rows[0].seeds;
          if (rows[0].there && rows[0].newest !== name) throw meanwhile(rows[0].newest);
          return rows[0].there;
        },
      },
      ...guarded,
      record: () => recordUndone(run, name, index, seeds),
    });
    if (result.outcome === 'applied') return result.ms;
    if (result.outcome === 'elsewhere') return undefined;
    ctx.events.waitForLock?.(result.holder);
    const pause = jittered(Math.min(100 * 1.5 ** tries, 2000));
    if (now() + pause > deadline) {
      throw new KasmDbError('locked', `another migrator took the lock for ${Math.round(now() - started)} ms`, {
        hint: 'run it again',
      });
    }
    await sleep(pause, ctx.signal);
  }
}

const keyOf = ({ table, column }: Drop) => `${plain(table)}\0${column ?? ''}`;
/** Names as the inventory writes them: the search path begins with public. */
const plain = (table: string) =>
  (table.includes('.') ? table : `public.${table}`).replaceAll(/"([a-z_][a-z0-9_$]*)"/g, '$1');

function isForeseen(drop: Drop, foreseen: ReadonlySet<string>): boolean {
  return foreseen.has(keyOf(drop)) || foreseen.has(keyOf({ table: drop.table }));
}

function meanwhile(newest: string): KasmDbError {
  return new KasmDbError('integrity', `${newest} was applied while we rolled back`, {
    hint: 'stop what migrates (a deployment that still runs?), then run the rollback again',
  });
}

function recordUndone({ log, steps }: Rollback, name: string, index: number, seeds: boolean): string {
  const next = steps[index + 1]?.migration.name;
  return [
    `DELETE FROM kasm_db.migrations WHERE name = ${escapeLiteral(name)}`,
    ...(seeds ? [FORGET_SQL] : []),
    next ? log.progress({ current: next, done: index + 1 }) : log.finish('done'),
  ].join('; ');
}

/**
 * Statement by statement. From its first statement on the migration counts as begun and not done, so that neither a check nor a rerun takes it
 * for applied; a rerun goes through the script from its start, where a DROP of what is gone is done.
 */
async function undoUnwrapped(run: Rollback, { migration, down, drops }: Step, index: number): Promise<number> {
  const { ctx, client, session, deadline, options } = run;
  const started = now();
  const name = escapeLiteral(migration.name);
  await begin(client, session);
  const { rows } = await client.query("SELECT pg_catalog.to_regclass('kasm_db.seeds') IS NOT NULL AS seeds");
  const losses = options.allowDataLoss ? [] : await lossesIn(client, drops, false);
  await rollbackTransaction(client);
  if (losses.length > 0) throw refusal(`${migration.name} was not rolled back, as it`, losses, migration.name);
  const halfDone = `UPDATE kasm_db.migrations SET statements_done = 0, statements_total = greatest(statements_total, 1), duration_ms = NULL WHERE name = ${name}`;
  const { applyNoTransaction } = await import('./execute-statements.js');
  await applyNoTransaction(ctx, client, down, {
    ...{ session, deadline, waits: run.waits, done: 0, begun: undefined, dropsAgain: true },
    mark: () => halfDone,
    unmark: () => halfDone,
    record: (done, total) => (done === total ? recordUndone(run, migration.name, index, rows[0].seeds) : halfDone),
  });
  return now() - started;
}
