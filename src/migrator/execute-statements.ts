import { now } from '../app/time.js';
import type { Migration } from '../migrations/files.js';
import { parseScript } from '../postgres/parser.js';
import { isServerError } from '../postgres/server-error.js';
import {
  ifExists,
  isRepeatable,
  isSessionSetting,
  mayCommit,
  needsNoTransaction,
} from '../postgres/statement-kinds.js';
import { withoutPresentExtensions } from './extensions.js';
import { LONGEST_ATTEMPT_MS } from './give-way.js';
import { type Intact, intactSql, requireIntact } from './hand-over.js';
import { dropReindexLeftovers, indexState, isMadeBy } from './index-leftover.js';
import { type Before, lookBefore, strongest, takenByStatement } from './locks-taken.js';
import { type Recording, recordingOf } from './recording.js';
import type { Run } from './run.js';
import {
  connectionLost,
  inDoubt,
  notRecorded,
  partlyDone,
  type StatementPlace,
  statementFailure,
} from './statement-failure.js';

/** One statement of a file. */
interface Step extends StatementPlace {
  run: Run;
  recording: Recording;
  /** What was there before the file. */
  before: Before;
}

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
  const before = await session.reading(() => lookBefore(session, migration, text));
  // Waiting for old transactions is part of building an index concurrently, so only the patience bounds it.
  await session.settle('file', { lockTimeoutMs: migration.lockTimeoutMs ?? run.waits.patienceMs });
  try {
    for (const [index, statement] of statements.entries()) {
      const step = { run, migration, text, recording, before, statement, index, total };
      if (index >= recording.done) {
        await executeStep(step)
          .then(() => requireIntactAfter(step))
          .catch((error) => {
            throw connectionLost(error, step);
          });
      } else if (isSessionSetting(statement)) await session.script(statement.sql);
    }
    if (total === 0) await writeRecord(run, migration.name, await recording.record(0, 0, 0));
  } finally {
    await session.reset();
  }
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
    if (mayCommit(statement)) throw partlyDone(error, step);
    await write(step, 'the failure', recording.unmark()).catch(() => {});
    throw statementFailure(error, step);
  }
  await writeEnd(step, await recorded());
  run.ctx.events.statementDone?.(migration.name, index + 1, total);
}

/** What is sent. The goal of a DROP is reached where an earlier run may have come so far. */
function sqlOf({ recording, statement }: Step, again = false): string {
  return recording.dropsAgain || again ? ifExists(statement) : statement.sql;
}

async function executeInTransaction(step: Step, recorded: () => Promise<string>): Promise<void> {
  const { run, migration, before, index, total } = step;
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
        const sql = await withoutPresentExtensions(session, sqlOf(step));
        await session.script(`${sql}\n; SET CONSTRAINTS ALL IMMEDIATE`);
      } catch (error) {
        if (run.ctx.signal.aborted || !isServerError(error)) throw error;
        throw statementFailure(error, step);
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
  const again = recording.begun === index + 1;
  if (again && !isRepeatable(statement)) throw inDoubt(step);
  if (statement.type === 'IndexStmt' && (await isIndexThere(step, again))) return;
  if (statement.type === 'ReindexStmt') await dropReindexLeftovers(run.lock.session, statement.node);
  await write(step, 'the beginning', recording.mark(index, total));
  const sent = { completed: 0 };
  // An index that an earlier run had dropped before it died is gone, as it should be.
  const script = () => run.lock.session.script(sqlOf(step, again), sent);
  await run.waits.observed(step.migration.name, LONGEST_ATTEMPT_MS / 3, script).catch((error) => {
    // Else the signal came with the answer.
    if (sent.completed === 0) throw error;
  });
}

/**
 * An interrupted or failed CREATE INDEX CONCURRENTLY leaves an invalid index of that name, which IF NOT EXISTS would accept.
 * @param again an earlier run died in the statement
 * @returns true when a valid one is there already, made by a run that died before it could record it
 */
async function isIndexThere(step: Step, again: boolean): Promise<boolean> {
  const { run, statement } = step;
  if (!statement.node.idxname) {
    if (again) throw inDoubt(step);
    return false;
  }
  const state = await indexState(run.lock.session, statement.node);
  if (state && !state.valid) {
    await run.lock.session.script(`DROP INDEX CONCURRENTLY ${state.name}`);
    return false;
  }
  if (!state || !again) return false;
  if (await isMadeBy(run.lock.session, statement, state)) return true;
  throw inDoubt(step);
}

/** @throws KasmDbError failed when a statement has given the migration lock away, or keeps the history from being written */
async function requireIntactAfter({ run, migration, before, index, total }: Step): Promise<void> {
  const { session } = run.lock;
  const look = `${session.forUsInStatement()}; ${intactSql(migration.name)}`;
  const [intact] = await session
    .reading(() => session.query<Intact>(look))
    .catch((error) => {
      // The whole file is recorded, and this session runs nothing more.
      if (run.ctx.signal.aborted && index + 1 === total) return [];
      throw error;
    });
  if (intact) requireIntact(intact, migration, before, false);
}

/** Records what a statement of the file has come to. @param what of it, for messages */
function write({ run, migration, index, total }: Step, what: string, sql: string): Promise<void> {
  return writeRecord(run, `the record of ${what} of statement ${index + 1} of ${total} of ${migration.name}`, sql);
}

/** Recorded after the signal too: the statement was completed, and not every one shows the next run that it was. @throws KasmDbError */
async function writeEnd(step: Step, sql: string): Promise<void> {
  const { session } = step.run.lock;
  await write(step, 'the end', sql).catch(async (error) => {
    const isStopped = step.run.ctx.signal.aborted;
    const last = isStopped
      ? session.writeUninterrupted(`${session.forUsInStatement()}; ${sql}`)
      : Promise.reject(error);
    await last.catch(() => {
      throw notRecorded(error, step);
    });
  });
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
