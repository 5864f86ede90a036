import { type KasmDbError, messageOf } from '../app/errors.js';
import type { Context } from '../config/context.js';
import { FORGET_LOCKS_SQL, type LockInfo } from '../history/locks.js';
import { newRun, type RunLog } from '../history/run-row.js';
import { ensureHistory, ensureLocksTable } from '../history/tables.js';
import { namingEventTrigger } from '../postgres/event-triggers.js';
import { toKasmDbError } from '../postgres/sqlstate.js';
import { LONGEST_ATTEMPT_MS, TableWaits } from './give-way.js';
import { LockTaken, type MigrationLock } from './with-lock.js';

/** One run under the migration lock: what everybody in it needs. */
export interface Run {
  ctx: Context;
  lock: MigrationLock;
  waits: TableWaits;
  log: RunLog;
  /** Names of the migrations to apply or to undo, in order. */
  names: readonly string[];
  /** What each migration has locked until its end, by its name. */
  locks: Map<string, LockInfo[]>;
  /** They are recorded too, for `status`. */
  recordsLocks: boolean;
}

export interface RunOptions {
  names: readonly string[];
  /** How long to wait for the tables of one migration, in milliseconds. */
  lockTimeoutMs: number;
  /** Who is idle in a transaction for longer than that and in the way is ended; default: nobody. */
  cancelBlockersMs?: number | undefined;
  doing: string;
  /** The names are those of migrations to undo. */
  rollback?: boolean;
}

/**
 * Makes the history where it is missing, says in the run row that a run is at work, does `work`, and says there how it ended.
 * @throws KasmDbError
 */
export async function inRun(
  ctx: Context,
  lock: MigrationLock,
  { names, lockTimeoutMs, cancelBlockersMs, doing, rollback = false }: RunOptions,
  work: (run: Run) => Promise<void>,
): Promise<void> {
  const waits = new TableWaits(ctx, lock, lockTimeoutMs, cancelBlockersMs);
  const run: Run = { ctx, lock, waits, log: newRun({ rollback }), names, locks: new Map(), recordsLocks: false };
  try {
    await start(run);
    await work(run);
  } catch (caught) {
    if (caught instanceof LockTaken) throw caught;
    await lock.session.rollback();
    const error = await namingEventTrigger(lock.session, failureOf(caught, ctx.signal, doing));
    await fail(run, error);
    throw error;
  } finally {
    waits.end();
  }
}

/** After the signal all failures come of it; one that says so itself knows more. */
function failureOf(caught: unknown, signal: AbortSignal, doing: string): KasmDbError {
  const error = toKasmDbError(caught, doing);
  return signal.aborted && error.outcome !== 'interrupted' ? toKasmDbError(signal.reason, doing) : error;
}

async function start(run: Run): Promise<void> {
  const { lock, log, names, waits } = run;
  const { session } = lock;
  const what = 'writing the run row (kasm_db.run)';
  await waits.giveWay({
    what,
    longestMs: LONGEST_ATTEMPT_MS,
    begin: (lockTimeoutMs) => lock.begin('write', { lockTimeoutMs }),
    work: async () => {
      await ensureHistory(session);
      run.recordsLocks = await ensureLocksTable(session);
      const forget = run.recordsLocks ? [FORGET_LOCKS_SQL] : [];
      await session.commit(what, [...forget, log.start(names.length, 'migrate', names[0])].join('; '));
    },
    rollback: () => session.rollback(),
  });
}

/** Gates and `status` find the failure in the run row; where that cannot be written, the lock that is free tells. */
async function fail({ lock, log }: Run, error: KasmDbError): Promise<void> {
  await lock.session.writeUninterrupted(log.fail(messageOf(error))).catch(() => lock.session.rollback());
}

/** SQL for the run row once migration `name` is done: the next one is being run, or all is done. */
export function progressSql({ log, names }: Run, name: string): string {
  const done = names.indexOf(name) + 1;
  const next = names[done];
  return next === undefined ? log.finish('done') : log.progress({ current: next, done });
}
