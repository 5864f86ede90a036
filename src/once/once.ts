import { KasmDbError, messageOf } from '../app/errors.js';
import { sleep } from '../app/time.js';
import { VERSION } from '../app/version.js';
import { formatMs } from '../app/when.js';
import type { Context } from '../config/context.js';
import { type OnceRow, readOnce, recordOnceSql } from '../history/once.js';
import { readState } from '../history/read-state.js';
import { newRun, SEEDED_BY_PROGRAM } from '../history/run-row.js';
import { isAtWork, isOnce, type MigrationState, ONCE } from '../history/state.js';
import { ensureHistory, ONCE_TABLES } from '../history/tables.js';
import type { Migration } from '../migrations/files.js';
import { isReadyToSeed } from '../migrator/plan-for.js';
import { type MigrationLock, withMigrationLock } from '../migrator/with-lock.js';
import { type Session, withSession } from '../postgres/session.js';
import { GRACE_MS } from './keeper-words.js';
import { lookUpProgram } from './look-up.js';
import { commandText, type SuperviseOptions, supervise } from './supervise.js';

export interface OnceOptions extends SuperviseOptions {
  /** Its success counts as the seed. */
  seedsDatabase: boolean;
  /** How long to wait for another migrator, in milliseconds. */
  lockTimeoutMs: number;
}

export interface OnceResult {
  state: MigrationState;
  /** It was run now. */
  ran?: { ms: number };
  /** It was run earlier. */
  before?: OnceRow;
  /** The database is ahead of this build, so nothing is seeded. */
  skipped?: true;
}

/** A process of an earlier run that has lost its lock is killed within that time after it, in milliseconds. */
const LAST_RUN_ENDS_MS = GRACE_MS + 1000;

/**
 * Runs a program once for a database, under the migration lock. What has ended with 0 is recorded, and never run again; anything else is run again
 * by the next call.
 * @param migrations all of this build, where the program seeds the database
 * @throws KasmDbError usage, pending, environment behind a pooler; failed where the program did; unreachable where the lock was lost
 */
export async function runOnce(
  ctx: Context,
  migrations: Migration[] | undefined,
  options: OnceOptions,
): Promise<OnceResult> {
  const program = lookUpProgram(options.command[0] ?? '', options.env);
  const doing = `running ${ONCE}${options.name}`;
  const request = { vendor: migrations !== undefined };
  const first = await withSession(ctx, doing, async (session) => {
    const state = await readState(session, request);
    return { state, earlier: await findEarlier(session, state, options) };
  });
  if (first.earlier?.isDone) return { state: first.state, before: first.earlier.before };
  requireDirect(first.state, options.name);
  const held = holdable(ctx.signal);
  const waiting = { ...request, waitMs: options.lockTimeoutMs, doing };
  const { result } = await withMigrationLock({ ...ctx, signal: held.signal }, waiting, (lock) =>
    underLock(ctx, lock, { program, migrations, options, during: held.during }),
  );
  return result;
}

interface Work {
  program: string;
  migrations: Migration[] | undefined;
  options: OnceOptions;
  during: ReturnType<typeof holdable>['during'];
}

async function underLock(ctx: Context, lock: MigrationLock, work: Work): Promise<OnceResult> {
  const { session, state } = lock;
  const { program, migrations, options, during } = work;
  requireDirect(state, options.name);
  const earlier = await findEarlier(session, state, options);
  if (earlier?.isDone) return { state, before: earlier.before };
  if (!earlier && migrations && !isReadyToSeed(state, migrations)) return { state, skipped: true };
  const run = newRun();
  const end = options.seedsDatabase ? run.seeded(`${VERSION}:${SEEDED_BY_PROGRAM}`) : run.finish('done');
  const start = run.start(1, options.seedsDatabase ? 'seed' : 'migrate', ONCE + options.name);
  await lock.begin('write');
  await ensureHistory(session, ONCE_TABLES);
  await session.commit('writing the run row (kasm_db.run)', earlier ? `${start}; ${end}` : start);
  if (earlier) return { state, before: earlier.before };
  try {
    await session.settle('own', {});
    await untilLastRunHasEnded(ctx, state);
    const what = commandText(program, options.command.length - 1);
    const ms = await during(async () => {
      const ms = await supervise(ctx, session, program, options);
      await session.reset();
      await lock.begin('write');
      await session.commit(`recording ${ONCE}${options.name}`, `${recordOnceSql(options.name, what, ms)}; ${end}`);
      return ms;
    });
    return { state, ran: { ms } };
  } catch (error) {
    await session.rollback();
    await session.writeUninterrupted(run.fail(messageOf(error))).catch(() => session.rollback());
    throw error;
  }
}

/** A signal that comes later while a program runs: what it ends, the session and with it the lock, has to outlive the program and its record. */
function holdable(origin: AbortSignal) {
  const controller = new AbortController();
  let isHeld = false;
  const pass = () => {
    if (origin.aborted && !isHeld) controller.abort(origin.reason);
  };
  pass();
  origin.addEventListener('abort', pass, { once: true });
  const during = async <T>(work: () => Promise<T>): Promise<T> => {
    isHeld = true;
    const result = await work();
    isHeld = false;
    pass();
    return result;
  };
  return { signal: controller.signal, during };
}

/** An earlier run that counts; done: nothing is left to be recorded of it. */
async function findEarlier(
  session: Session,
  { history = [], run }: MigrationState,
  { name, seedsDatabase }: OnceOptions,
): Promise<{ before: OnceRow; isDone: boolean } | undefined> {
  const before = await readOnce(session, name);
  // What a program has seeded is gone where all migrations were rolled back since, and applied again.
  const isRebuilt = history.length > 0 && history.every(({ appliedAt }) => before && appliedAt > before.finishedAt);
  if (!before || (seedsDatabase && isRebuilt)) return undefined;
  // A program that seeded the database before anybody said that it does is believed now.
  return { before, isDone: !seedsDatabase || (run?.seedDigest ?? null) !== null };
}

/** @throws KasmDbError environment behind a pooler, where no session can hold a lock for as long as a program runs */
function requireDirect({ pooled }: MigrationState, name: string): void {
  if (!pooled) return;
  throw new KasmDbError(
    'environment',
    `${ONCE}${name} needs a session of its own that holds the migration lock, and a connection pooler stands before the server`,
    { hint: 'set KASM_DB_DIRECT_URL (or --direct-url) to PostgreSQL itself' },
  );
}

/**
 * The run row says that an earlier run is at it, and the lock is free: that run has lost its lock, and ends its program. Never two at a time: so this
 * one waits as long as that may take.
 */
async function untilLastRunHasEnded({ events, signal }: Context, { run }: MigrationState): Promise<void> {
  if (!isAtWork(run) || !isOnce(run)) return;
  events.progress?.(
    `${run?.current} was cut off (${run?.applicationName}): waiting ${formatMs(LAST_RUN_ENDS_MS)}, by when the program that it ran has ended`,
  );
  await sleep(LAST_RUN_ENDS_MS, signal);
}
