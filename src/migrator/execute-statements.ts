import { KasmDbError } from '../app/errors.js';
import { now } from '../app/time.js';
import { recordSql, unmarkSql } from '../history/record.js';
import type { Migration } from '../migrations/files.js';
import { HOLDS_LOCK_SQL } from '../postgres/lock.js';
import { isSessionSetting, needsNoTransaction, type ParsedStatement, parseScript } from '../postgres/parser.js';
import { isServerError } from '../postgres/server-error.js';
import { sqlstateOf } from '../postgres/sqlstate.js';
import { excerpt, lineAt } from '../postgres/statements.js';
import { lockGivenAway } from './execute.js';
import { withoutPresentExtensions } from './extensions.js';
import { migrationFailure } from './failure.js';
import { LONGEST_ATTEMPT_MS } from './give-way.js';
import { inDoubtHint } from './in-doubt.js';
import { indexState, isMadeBy } from './index-leftover.js';
import { type Before, lookBefore, strongest, takenByStatement } from './locks-taken.js';
import { progressSql, type Run } from './run.js';
import { locksSql, recordOf } from './storage.js';

/** How a file's progress is recorded; SQL throughout. */
export interface Recording {
  /** Statements that an earlier run has recorded as done. */
  done: number;
  /** 1-based number of the statement that an earlier run had begun when it died. */
  begun: number | undefined;
  /** The next statement is being run: should this run die in it, a later one knows. */
  mark: (done: number, total: number) => string;
  /** It has failed, and the server said so. */
  unmark: () => string;
  /** So many statements are done. */
  record: (done: number, total: number, ms: number) => Promise<string>;
  /** A DROP of what is not there is done: an earlier run may have come so far (a down migration keeps no count). */
  dropsAgain?: boolean;
}

/** One statement of a file. */
interface Step {
  run: Run;
  migration: Migration;
  text: string;
  recording: Recording;
  /** The file. */
  before: Before;
  statement: ParsedStatement;
  /** From 0. */
  index: number;
  total: number;
}

/** Statements that may be run again when nobody knows whether they had ended. */
const REPEATABLE = new Set([
  'IndexStmt',
  'DropStmt',
  'ReindexStmt',
  'VacuumStmt',
  'ClusterStmt',
  'AlterSystemStmt',
  'AlterDatabaseStmt',
]);

/** No such object, no such table. */
const NOT_THERE = new Set(['42704', '42P01']);

/**
 * Runs a no-transaction file statement by statement, recording each, so that a rerun goes on where this run stops. What PostgreSQL
 * accepts in a transaction runs in one together with its record; only the rest can be in doubt after a crash.
 * @throws KasmDbError integrity when a statement's outcome is unknown and running it twice could do harm
 */
export async function executeStatements(run: Run, migration: Migration, down?: Recording): Promise<void> {
  const { session } = run.lock;
  const recording = down ?? recordingOf(run, migration);
  const text = await migration.sql();
  const statements = await parseScript(text, migration.path);
  const total = statements.length;
  const before = await session.reading(() => lookBefore(session, text));
  // Waiting for old transactions is part of building an index concurrently, so only the patience bounds it.
  await session.settle('file', { lockTimeoutMs: migration.lockTimeoutMs ?? run.waits.patienceMs });
  try {
    for (const [index, statement] of statements.entries()) {
      const step = { run, migration, text, recording, before, statement, index, total };
      if (index >= recording.done) {
        await executeStep(step);
        await requireLock(step);
      } else if (isSessionSetting(statement)) await session.script(statement.sql);
    }
    if (total === 0) await writeRecord(run, migration.name, await recording.record(0, 0, 0));
  } finally {
    await session.reset();
  }
}

/** As the history has it: how far an earlier run came. */
function recordingOf(run: Run, migration: Migration): Recording {
  const row = run.lock.state.history?.find(({ name }) => name === migration.name);
  const begun = row && row.statementsTotal !== null && row.durationMs === null;
  const recorded = (durationMs: number | null, done: number, total: number) =>
    recordSql({ ...recordOf(migration), durationMs, statements: { done, total } });
  return {
    done: row?.statementsDone ?? 0,
    // The mark stays unless the statement's end was seen.
    begun: begun ? (row.statementsDone ?? 0) + 1 : undefined,
    mark: (done, total) => recorded(null, done, total),
    unmark: () => unmarkSql(migration.name),
    record: async (done, total, ms) => {
      const ended = done < total ? [] : [...locksSql(run, migration.name), progressSql(run, migration.name)];
      return [recorded(ms, done, total), ...ended].join('; ');
    },
  };
}

async function executeStep(step: Step): Promise<void> {
  const { run, migration, recording, statement, index, total } = step;
  const started = now();
  const recorded = async () => recording.record(index + 1, total, now() - started);
  try {
    if (isSessionSetting(statement)) await run.lock.session.script(statement.sql);
    else if (needsNoTransaction(statement)) await executeAlone(step);
    else return await executeInTransaction(step, recorded);
  } catch (error) {
    if (run.ctx.signal.aborted || !isServerError(error)) throw error;
    if (!(recording.dropsAgain && statement.type === 'DropStmt' && NOT_THERE.has(error.code))) {
      if (mayCommit(statement)) throw partlyDone(error, step);
      await write(step, 'the failure', recording.unmark()).catch(() => {});
      throw failure(error, step);
    }
  }
  await write(step, 'the end', await recorded()).catch((error) => {
    throw notRecorded(error, step);
  });
  run.ctx.events.statementDone?.(migration.name, index + 1, total);
}

async function executeInTransaction(step: Step, recorded: () => Promise<string>): Promise<void> {
  const { run, migration, recording, before, statement, index, total } = step;
  const { session } = run.lock;
  // Who keeps the history's tables keeps what the statement has locked, too: the record gives way with it.
  let lockTimeoutMs = 0;
  await run.waits.giveWay({
    what: migration.name,
    longestMs: migration.lockTimeoutMs ?? LONGEST_ATTEMPT_MS,
    begin: async (attemptMs) => {
      lockTimeoutMs = attemptMs;
      await session.beginStatement(lockTimeoutMs);
      return session.client.processID as number;
    },
    work: async () => {
      try {
        // What is deferred to COMMIT is done now, while the file's search_path and role hold.
        const sql = await withoutPresentExtensions(session, statement.sql);
        await session.script(`${sql}\n; SET CONSTRAINTS ALL IMMEDIATE`);
      } catch (error) {
        if (run.ctx.signal.aborted || !isServerError(error)) throw error;
        if (recording.dropsAgain && statement.type === 'DropStmt' && NOT_THERE.has(error.code)) {
          await session.rollbackStatement();
          await session.beginStatement(0);
        } else throw failure(error, step);
      }
      const locks = [...(run.locks.get(migration.name) ?? []), ...(await takenByStatement(session, before))];
      run.locks.set(migration.name, strongest(locks));
      await session.commitStatement(migration.name, await recorded(), lockTimeoutMs);
    },
    rollback: () => session.rollbackStatement(),
  });
  run.ctx.events.statementDone?.(migration.name, index + 1, total);
}

/** Marked before, recorded after: what happens in between is in doubt when the run dies. */
async function executeAlone(step: Step): Promise<void> {
  const { run, recording, statement, index, total } = step;
  const inDoubt = recording.begun === index + 1;
  if (inDoubt && !REPEATABLE.has(statement.type)) throw doubt(step);
  if (statement.type === 'IndexStmt' && (await isIndexThere(step, inDoubt))) return;
  await write(step, 'the beginning', recording.mark(index, total));
  try {
    await run.waits.observed(step.migration.name, LONGEST_ATTEMPT_MS / 3, () => run.lock.session.script(statement.sql));
  } catch (error) {
    // An index that an earlier run had dropped before it died is gone, as it should be.
    if (!(inDoubt && statement.type === 'DropStmt' && sqlstateOf(error) === '42704')) throw error;
  }
}

/**
 * An interrupted or failed CREATE INDEX CONCURRENTLY leaves an invalid index of that name, which IF NOT EXISTS would accept.
 * @returns true when a valid one is there already, made by a run that died before it could record it
 */
async function isIndexThere(step: Step, inDoubt: boolean): Promise<boolean> {
  const { run, statement } = step;
  if (!statement.node.idxname) {
    if (inDoubt) throw doubt(step);
    return false;
  }
  const state = await indexState(run.lock.session, statement.node);
  if (state && !state.valid) {
    await run.lock.session.script(`DROP INDEX CONCURRENTLY ${state.name}`);
    return false;
  }
  if (!state || !inDoubt) return false;
  if (await isMadeBy(run.lock.session, statement, state)) return true;
  throw doubt(step);
}

/** @throws KasmDbError failed when a statement has given the migration lock away */
async function requireLock({ run, migration }: Step): Promise<void> {
  const { session } = run.lock;
  const [row] = await session.reading(() => session.query(`SELECT ${HOLDS_LOCK_SQL} AS held`));
  if (!row.held) throw lockGivenAway(migration);
}

/** Records what a statement of the file has come to. @param what of it, for messages */
function write({ run, migration, index, total }: Step, what: string, sql: string): Promise<void> {
  return writeRecord(run, `the record of ${what} of statement ${index + 1} of ${total} of ${migration.name}`, sql);
}

/** A statement of our own between those of the file. @param what for messages */
async function writeRecord({ lock, waits }: Run, what: string, sql: string): Promise<void> {
  const { session } = lock;
  await session.beginStatement(0);
  const commit = () => session.commitStatement(what, sql, waits.patienceMs);
  await waits.commit(what, commit).catch(async (error) => {
    await session.rollbackStatement();
    throw error;
  });
}

/** A DO block or a procedure may commit a part of its work and fail afterwards. */
function mayCommit({ type, sql }: ParsedStatement): boolean {
  return type === 'CallStmt' || (type === 'DoStmt' && /\b(?:commit|call)\b/i.test(sql));
}

/** Its mark stays, so that the next run stops here instead of repeating it. */
function partlyDone(error: unknown, step: Step): KasmDbError {
  const { message, details } = failure(error, step);
  const { name } = step.migration;
  const wayOut = step.recording.dropsAgain
    ? `do the rest of the down script by hand, then: kasm-db repair --pending ${name}`
    : inDoubtHint(name, step.index);
  return new KasmDbError(
    'integrity',
    `${message}. What it had committed before it failed is kept, and a retry would repeat it`,
    { ...details, hint: `look at the database; ${wayOut}`, cause: error },
  );
}

/** The statement was completed. Its mark stays where the record was not written, and not every statement shows the next run that it is done. */
function notRecorded(error: unknown, { migration, recording, statement, index }: Step): unknown {
  const isNamed = statement.type !== 'IndexStmt' || statement.node.idxname !== undefined;
  const isFoundOut = !needsNoTransaction(statement) || (REPEATABLE.has(statement.type) && isNamed);
  if (!(error instanceof KasmDbError)) return error;
  const { outcome, details, exitCode } = error;
  const message = `${error.message}; the statement itself was completed`;
  const call = `kasm-db repair --pending ${migration.name} --statements-done ${index + 1}`;
  if (isFoundOut || recording.dropsAgain)
    return new KasmDbError(outcome, message, { ...details, exitCode, cause: error });
  if (outcome === 'locked') {
    const hint = `as soon as the history is free: ${call}; then run the same command again`;
    return new KasmDbError('integrity', message, { ...details, hint, cause: error });
  }
  const hint = `run the same command again; where that cannot know whether the statement was completed, it was: ${call}`;
  return new KasmDbError(outcome, message, { ...details, exitCode, hint, cause: error });
}

function doubt({ migration, statement, index, total }: Step): KasmDbError {
  return new KasmDbError(
    'integrity',
    `${migration.name}: nobody knows whether statement ${index + 1} of ${total} was completed; the run that began it died`,
    {
      migration: migration.name,
      file: migration.path,
      statement: excerpt(statement.sql),
      hint: `look at the database; ${inDoubtHint(migration.name, index)}`,
    },
  );
}

function failure(error: unknown, { migration, text, statement, index, total }: Step): KasmDbError {
  const base = migrationFailure(error, migration, text, { sql: statement.sql, at: statement.start, completed: 0 });
  // Inside of a DO block it is further down.
  const line = base.details.line ?? lineAt(text, statement.start);
  const said = error as Error & { code: string };
  return new KasmDbError(
    base.outcome,
    `${migration.name} failed at ${migration.path}:${line}, statement ${index + 1} of ${total}; the ${index} before it are kept and recorded: ${excerpt(said.message)} (SQLSTATE ${said.code})`,
    { ...base.details, line, statement: excerpt(statement.sql), cause: error },
  );
}
