import { escapeIdentifier } from 'pg';
import type { Context } from '../app/context.js';
import { KasmDbError } from '../app/errors.js';
import { now, sleep } from '../app/time.js';
import type { Migration } from '../migrations/files.js';
import type { Client } from '../postgres/client.js';
import { isSessionSetting, needsNoTransaction, type ParsedStatement, parseScript } from '../postgres/parser.js';
import { cancellable } from '../postgres/query.js';
import { runScript } from '../postgres/script.js';
import { isServerError, sqlstateOf } from '../postgres/sqlstate.js';
import { excerpt, lineAt } from '../postgres/statements.js';
import { RESET_SQL, type SessionOptions, sessionSql } from '../postgres/transaction.js';
import { rollback } from './execute.js';
import { migrationFailure } from './failure.js';
import { doubtHint } from './in-doubt.js';
import { indexState, isSameIndex } from './index-leftover.js';
import { retryPause, type TableWaits, watched, withBlockers } from './table-wait.js';

export interface NoTransactionOptions {
  session: SessionOptions;
  deadline: number;
  /** Told who kept a statement from its lock. */
  waits: TableWaits;
  /** Statements that an earlier run has recorded as done. */
  done: number;
  /** 1-based number of the statement that an earlier run had begun when it died. */
  begun: number | undefined;
  /** SQL that says that the next statement is being run, so that a later run knows if this one dies. */
  mark: (done: number, total: number) => string;
  /** SQL that takes that back: the statement has failed, and the server said so. */
  unmark: () => string;
  /** SQL that records how many statements are done. */
  record: (done: number, total: number, ms: number) => string;
  /** A DROP of what is not there is done: an earlier run may have come so far (a down script keeps no count). */
  dropsAgain?: boolean;
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
export async function applyNoTransaction(
  ctx: Context,
  client: Client,
  migration: Migration,
  options: NoTransactionOptions,
): Promise<void> {
  const text = await migration.sql();
  const statements = await parseScript(text, migration.path);
  // Waiting for old transactions is part of building an index concurrently, so only the deadline bounds it.
  const lockTimeoutMs = migration.lockTimeoutMs ?? Math.max(options.deadline - now(), 1);
  await client.query(sessionSql({ ...options.session, lockTimeoutMs }));
  try {
    for (const [i, statement] of statements.entries()) {
      const before = i < options.done;
      if (before && !isSessionSetting(statement)) continue;
      const started = now();
      try {
        if (before) await client.query(statement.sql);
        else
          await watched(
            ctx,
            client,
            {
              migration: migration.name,
              pid: client.processID as number,
              lockTimeoutMs: options.session.lockTimeoutMs,
              waits: options.waits,
            },
            () => runOne(ctx, client, migration, statement, i, statements.length, options),
          );
      } catch (error) {
        if (ctx.signal.aborted || !isServerError(error)) throw error;
        if (options.dropsAgain && statement.type === 'DropStmt' && NOT_THERE.has(error.code)) {
          await asOurselves(client, options, options.record(i + 1, statements.length, 0));
          continue;
        }
        if (!before && !isTransactional(statement))
          await asOurselves(client, options, options.unmark()).catch(() => {});
        throw withBlockers(failure(error, migration, text, statement, i, statements.length), options.waits);
      }
      if (!before) {
        const ms = now() - started;
        if (!isTransactional(statement))
          await asOurselves(client, options, options.record(i + 1, statements.length, ms));
        ctx.events.statementDone?.(migration.name, i + 1, statements.length);
      }
    }
    if (statements.length === 0) await asOurselves(client, options, options.record(0, 0, 0));
  } finally {
    await client.query(RESET_SQL).catch(() => {});
  }
}

/** Writes to the history as the role that migrates, whatever role the file has SET. */
async function asOurselves(client: Client, options: NoTransactionOptions, sql: string): Promise<void> {
  try {
    await client.query(`BEGIN READ WRITE; ${ownRole(options)}; ${sql}; COMMIT`);
  } catch (error) {
    await rollback(client);
    throw error;
  }
}

/** Until the end of the transaction; then the file's role is back. */
function ownRole({ session }: NoTransactionOptions): string {
  return `SET LOCAL ROLE ${session.role ? escapeIdentifier(session.role) : 'NONE'}`;
}

function isTransactional(statement: ParsedStatement): boolean {
  return !needsNoTransaction(statement) && !isSessionSetting(statement);
}

async function runOne(
  ctx: Context,
  client: Client,
  migration: Migration,
  statement: ParsedStatement,
  i: number,
  total: number,
  options: NoTransactionOptions,
): Promise<void> {
  if (isSessionSetting(statement)) {
    await client.query(statement.sql);
    return;
  }
  if (isTransactional(statement)) {
    const ddlLockTimeoutMs = migration.lockTimeoutMs ?? options.session.lockTimeoutMs;
    await inTransaction(ctx, client, statement, ddlLockTimeoutMs, options, () => options.record(i + 1, total, 0));
    return;
  }
  const inDoubt = options.begun === i + 1;
  if (inDoubt && !REPEATABLE.has(statement.type)) throw doubt(migration, statement, i, total);
  if (statement.type === 'IndexStmt' && (await clearIndex(client, migration, statement, i, total, inDoubt))) return;
  await asOurselves(client, options, options.mark(i, total));
  try {
    await runScript(client, statement.sql, { completed: 0 }, ctx.signal);
  } catch (error) {
    // An index that an earlier run had dropped before it died is gone, as it should be.
    if (!(inDoubt && statement.type === 'DropStmt' && sqlstateOf(error) === '42704')) throw error;
  }
}

async function inTransaction(
  ctx: Context,
  client: Client,
  statement: ParsedStatement,
  lockTimeoutMs: number,
  options: NoTransactionOptions,
  record: () => string,
): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await client.query(`BEGIN READ WRITE; SET LOCAL lock_timeout = ${Math.round(lockTimeoutMs)}`);
      await runScript(client, statement.sql, { completed: 0 }, ctx.signal);
      await cancellable(client, ctx.signal, () => client.query(`${ownRole(options)}; ${record()}; COMMIT`));
      return;
    } catch (error) {
      await rollback(client);
      const pause = retryPause(tries, lockTimeoutMs);
      if (sqlstateOf(error) !== '55P03' || now() + pause > options.deadline) throw error;
      await sleep(pause, ctx.signal);
    }
  }
}

/**
 * An interrupted or failed CREATE INDEX CONCURRENTLY leaves an invalid index of that name, which IF NOT EXISTS would accept (TRAPS 8).
 * @returns true when a valid one is there already, made by a run that died before it could record it
 */
async function clearIndex(
  client: Client,
  migration: Migration,
  statement: ParsedStatement,
  i: number,
  total: number,
  inDoubt: boolean,
): Promise<boolean> {
  if (!statement.node.idxname) {
    if (inDoubt) throw doubt(migration, statement, i, total);
    return false;
  }
  const state = await indexState(client, statement.node);
  if (state && !state.valid) {
    await client.query(`DROP INDEX CONCURRENTLY ${state.name}`);
    return false;
  }
  if (!state || !inDoubt) return false;
  if (await isSameIndex(statement.node, state.definition)) return true;
  throw doubt(migration, statement, i, total);
}

function doubt(migration: Migration, statement: ParsedStatement, i: number, total: number): KasmDbError {
  return new KasmDbError(
    'integrity',
    `${migration.name}: nobody knows whether statement ${i + 1} of ${total} was completed; the run that began it died`,
    {
      migration: migration.name,
      file: migration.path,
      statement: excerpt(statement.sql),
      hint: `look at the database; ${doubtHint(migration.name, i)}`,
    },
  );
}

function failure(
  error: unknown,
  migration: Migration,
  text: string,
  statement: ParsedStatement,
  i: number,
  total: number,
): KasmDbError {
  const base = migrationFailure(error, migration, text, { sql: statement.sql, at: statement.start, completed: 0 });
  const line = lineAt(text, statement.start);
  const said = error as Error & { code: string };
  return new KasmDbError(
    base.outcome,
    `${migration.name} failed at ${migration.path}:${line}, statement ${i + 1} of ${total}; the ${i} before it are kept and recorded: ${said.message} (SQLSTATE ${said.code})`,
    { ...base.details, line, statement: excerpt(statement.sql), cause: error },
  );
}
