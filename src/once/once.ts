import { KasmDbError, messageOf } from '../app/errors.js';
import { plural } from '../app/plural.js';
import type { ProgramSignal } from '../app/signals.js';
import { now, sleep } from '../app/time.js';
import { VERSION } from '../app/version.js';
import { formatMs } from '../app/when.js';
import type { Context } from '../config/context.js';
import type { Environment } from '../config/variables.js';
import { type OnceRow, readOnce, recordOnceSql } from '../history/once.js';
import { readState } from '../history/read-state.js';
import { newRun, SEEDED_BY_PROGRAM } from '../history/run-row.js';
import { isAtWork, isOnce, type MigrationState, ONCE } from '../history/state.js';
import { ensureHistory, ONCE_TABLES } from '../history/tables.js';
import type { Migration } from '../migrations/files.js';
import { isReadyToSeed } from '../migrator/plan-for.js';
import { type MigrationLock, sessionOptions, withMigrationLock } from '../migrator/with-lock.js';
import { withSession } from '../postgres/session.js';
import { GRACE_MS } from './keeper-words.js';
import { lookUpProgram } from './look-up.js';
import { type Ending, startProgram } from './program.js';
import { sessionLost } from './watch.js';

export interface OnceOptions {
  name: string;
  /** The program and its arguments. */
  command: readonly string[];
  env: Environment;
  /** Descriptor that the program's standard output becomes. */
  output: 1 | 2;
  /** Its success counts as the seed. */
  seedsDatabase: boolean;
  /** How long it may run, in milliseconds; default: as long as it takes. */
  timeoutMs?: number | undefined;
  /** How long to wait for another migrator, in milliseconds. */
  lockTimeoutMs: number;
  /** Has signals of this process sent to the program from now on. @returns ends that */
  passSignals?: ((send: (signal: ProgramSignal) => void) => () => void) | undefined;
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
  const first = await withSession(ctx.resolve, { ...sessionOptions(ctx), doing }, async (session) => {
    const state = await readState(session, request);
    return { state, before: whereItCounts(await readOnce(session, options.name), state, options) };
  });
  if (first.before && isRecordedAsSeed(first.state, options)) return { state: first.state, before: first.before };
  requireDirect(first.state, options.name);
  const held = new HeldSignal(ctx.signal);
  const waiting = { ...request, waitMs: options.lockTimeoutMs, doing };
  const { result } = await withMigrationLock({ ...ctx, signal: held.signal }, waiting, (lock) =>
    underLock(ctx, lock, { program, migrations, options, held }),
  );
  return result;
}

interface Work {
  program: string;
  migrations: Migration[] | undefined;
  options: OnceOptions;
  held: HeldSignal;
}

async function underLock(ctx: Context, lock: MigrationLock, work: Work): Promise<OnceResult> {
  const { session, state } = lock;
  const { program, migrations, options, held } = work;
  requireDirect(state, options.name);
  const before = whereItCounts(await readOnce(session, options.name), state, options);
  if (before && isRecordedAsSeed(state, options)) return { state, before };
  if (!before && migrations && !isReadyToSeed(state, migrations)) return { state, skipped: true };
  const run = newRun();
  const end = options.seedsDatabase ? run.seeded(`${VERSION}:${SEEDED_BY_PROGRAM}`) : run.finish('done');
  const start = run.start(1, options.seedsDatabase ? 'seed' : 'migrate', ONCE + options.name);
  await lock.begin('write');
  await ensureHistory(session, ONCE_TABLES);
  await session.commit('writing the run row (kasm_db.run)', before ? `${start}; ${end}` : start);
  if (before) return { state, before };
  try {
    await session.settle('own', {});
    await untilLastRunHasEnded(ctx, state);
    const ms = await held.during(() => supervise(ctx, lock, program, options));
    await session.reset();
    await lock.begin('write');
    const what = commandText(program, options.command.length - 1);
    await session.commit(`recording ${ONCE}${options.name}`, `${recordOnceSql(options.name, what, ms)}; ${end}`);
    return { state, ran: { ms } };
  } catch (error) {
    await session.rollback();
    await session.writeUninterrupted(run.fail(messageOf(error))).catch(() => session.rollback());
    throw error;
  }
}

/** What a program has seeded is gone where all migrations were rolled back since, and applied again. */
function whereItCounts(
  row: OnceRow | undefined,
  { history = [] }: MigrationState,
  { seedsDatabase }: OnceOptions,
): OnceRow | undefined {
  const rebuilt = history.length > 0 && history.every(({ appliedAt }) => row && appliedAt > row.finishedAt);
  return seedsDatabase && rebuilt ? undefined : row;
}

/** A program that seeded the database before anybody said that it does is believed now. */
function isRecordedAsSeed({ run }: MigrationState, { seedsDatabase }: OnceOptions): boolean {
  return !seedsDatabase || (run?.seedDigest ?? null) !== null;
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

type Reason = 'signal' | 'timeout' | KasmDbError;

/** Runs the program until it has ended by itself, or has to. @returns milliseconds @throws KasmDbError */
async function supervise(ctx: Context, lock: MigrationLock, program: string, options: OnceOptions): Promise<number> {
  ctx.signal.throwIfAborted();
  const { command, env, output, name } = options;
  const started = now();
  ctx.events.progress?.(`${ONCE}${name}: runs ${commandText(program, command.length - 1)}`);
  const done = new AbortController();
  const running = startProgram({ program, args: command.slice(1), env: withoutAdminLogin(env), output });
  const stopPassing = options.passSignals?.(running.send);
  let reason: Reason | undefined;
  const stop = (why: Reason) => {
    if (reason !== undefined) return;
    reason = why;
    // Where signals are passed on, the program has got that one already.
    if (why !== 'signal' || !stopPassing) running.send('SIGTERM');
    sleep(GRACE_MS, done.signal).then(
      () => running.send('SIGKILL'),
      () => {},
    );
  };
  const onSignal = () => stop('signal');
  ctx.signal.addEventListener('abort', onSignal, { once: true });
  if (ctx.signal.aborted) onSignal();
  void sessionLost(lock.session, done.signal).then(stop);
  if (options.timeoutMs !== undefined)
    sleep(options.timeoutMs, done.signal).then(
      () => stop('timeout'),
      () => {},
    );
  try {
    const ending = await running.ended;
    if (reason === undefined && ending.exitCode === 0 && ending.left === 0) return now() - started;
    throw new ProgramError(name, ending, failureOf(ctx, program, ending, reason, options));
  } finally {
    done.abort();
    stopPassing?.();
    ctx.signal.removeEventListener('abort', onSignal);
  }
}

/** Why it does not count as run. */
function failureOf(
  ctx: Context,
  program: string,
  ending: Ending,
  reason: Reason | undefined,
  { name, timeoutMs = 0 }: OnceOptions,
): KasmDbError {
  const who = `${ONCE}${name}: ${program}`;
  const how = endingText(ending);
  if (reason instanceof KasmDbError)
    return new KasmDbError(reason.outcome, `${who} was ended, since ${reason.message}; it ${how}`, reason.details);
  if (reason === 'signal') {
    const { exitCode } = ctx.signal.reason as KasmDbError;
    return new KasmDbError('interrupted', `${who} was interrupted; it ${how}, and counts as not run`, {
      exitCode,
      hint: 'run the same command again',
    });
  }
  if (reason === 'timeout')
    return new KasmDbError('failed', `${who} did not end within ${formatMs(timeoutMs)} (--timeout); it ${how}`, {
      hint: 'give it more time, or correct the program; then run the same command again',
    });
  if (ending.exitCode === 0)
    return new KasmDbError(
      'failed',
      `${who} ended with exit code 0, but left ${plural(ending.left, 'process', 'processes')} running, which kasm-db has ended`,
      { hint: 'run it in the foreground, so that it ends when all is done; then run the same command again' },
    );
  return new KasmDbError('failed', `${who} ${how}`, {
    hint: "find the cause in the program's own output and correct it; then run the same command again",
  });
}

function endingText({ exitCode, signal }: Ending): string {
  return signal ? `was ended by ${signal}` : `ended with exit code ${exitCode}`;
}

/** A failure that tells how the program has ended. */
class ProgramError extends KasmDbError {
  /** Goes into the result. */
  readonly fields: { once: { name: string; ran: true; exitCode?: number; signal?: string } };

  constructor(name: string, { exitCode, signal }: Ending, error: KasmDbError) {
    super(error.outcome, error.message, { ...error.details, exitCode: error.exitCode, cause: error.cause });
    this.fields = {
      once: { name, ran: true, ...(exitCode === null ? {} : { exitCode }), ...(signal ? { signal } : {}) },
    };
  }
}

/** Arguments may hold secrets. */
function commandText(program: string, args: number): string {
  return `${program} (${args} ${args === 1 ? 'argument' : 'arguments'})`;
}

/** What bootstrap may do is nothing for anybody else. */
function withoutAdminLogin(env: Environment): Environment {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('DATABASE_MASTER_')));
}

/** A signal that comes later while a program runs: what it ends, the session and with it the lock, has to outlive the program. */
class HeldSignal {
  readonly #controller = new AbortController();
  #holds = false;

  constructor(private readonly origin: AbortSignal) {
    if (origin.aborted) this.#pass();
    else origin.addEventListener('abort', () => this.#pass(), { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#holds = true;
    const result = await work();
    this.#holds = false;
    this.#pass();
    return result;
  }

  #pass(): void {
    if (this.origin.aborted && !this.#holds) this.#controller.abort(this.origin.reason);
  }
}
