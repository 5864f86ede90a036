import { escapeIdentifier } from 'pg';
import type { Context } from '../app/context.js';
import { KasmDbError } from '../app/errors.js';
import { now, sleep } from '../app/time.js';
import type { Migration } from '../migrations/files.js';
import type { Client } from '../postgres/client.js';
import { tryTransactionLock } from '../postgres/lock.js';
import type { LockHolder } from '../postgres/lock-holder.js';
import { cancellable } from '../postgres/query.js';
import { runScript, sendScript } from '../postgres/script.js';
import { isConnectionLost, sqlstateOf, toKasmDbError } from '../postgres/sqlstate.js';
import { splitStatements } from '../postgres/statements.js';
import { beginSql, RESET_SQL, type SessionOptions } from '../postgres/transaction.js';
import { migrationFailure } from './failure.js';
import { Distrusted, isDistrusted, type OwnSession } from './own-session.js';
import { addWait, retryPause, type TableWaits, watched, withBlockers } from './table-wait.js';

/** A larger message is sent in pieces: the server needs some 25 times its size in memory to parse it. */
const MAX_MESSAGE_CHARACTERS = 1_000_000;
/** 55P03 lock_timeout, 40P01 deadlock, 40001 serialization: the same transaction may succeed a moment later. */
const RETRYABLE = new Set(['55P03', '40P01', '40001']);

export interface ApplyOptions {
  session: SessionOptions;
  /** When to give up waiting for table locks (now() clock). */
  deadline: number;
  /** Told what was waited for table locks. */
  waits: TableWaits;
  /** Take the migration lock inside the transaction, then ask `stillPending` (behind a pooler). */
  perTransaction?: { stillPending: () => Promise<boolean>; ownSession?: boolean } | undefined;
  /** Looks at the database in the same transaction, before the file and after it; what they throw rolls back. */
  before?: () => Promise<void>;
  after?: () => Promise<void>;
  /** SQL that goes into the migration's own transaction: its history row and the run row. */
  record: (ms: number) => string;
  /** The run's own session, and which of its migrations this is. */
  own?: { session: OwnSession; index: number };
}

export type Applied =
  | { outcome: 'applied'; ms: number }
  | { outcome: 'elsewhere' }
  | { outcome: 'busy'; holder: LockHolder | undefined };

/**
 * Applies one migration and records it, in one transaction on this connection. Gives way to traffic: a table lock that isn't granted
 * within lock_timeout rolls the attempt back, and it is tried again until the deadline.
 * @throws KasmDbError
 */
export async function applyInTransaction(
  ctx: Context,
  client: Client,
  migration: Migration,
  options: ApplyOptions,
): Promise<Applied> {
  const sql = await migration.sql();
  const patienceMs = options.deadline - now();
  let { deadline } = options;
  for (let tries = 0; ; tries++) {
    const started = now();
    try {
      return await attempt(ctx, client, migration, sql, options);
    } catch (error) {
      await rollback(client);
      options.own?.session.unsettle();
      // Work that came before the lock was asked for is no waiting either.
      if (tries === 0) deadline = now() + patienceMs;
      if (error instanceof Distrusted) {
        options.own?.session.distrust(options.own.index);
        continue;
      }
      const retryable = RETRYABLE.has(sqlstateOf(error) ?? '');
      const pause = retryPause(tries, migration.lockTimeoutMs ?? options.session.lockTimeoutMs);
      if (!retryable || now() + pause > deadline) {
        if (retryable) addWait(options.waits, started);
        throw withBlockers(error, options.waits);
      }
      ctx.events.waitForTable?.(migration.name, toKasmDbError(error, `after ${Math.round(now() - started)} ms`));
      // The lock belongs to this session, which is idle meanwhile; behind a pooler there is no session of ours.
      if ((!options.perTransaction || options.perTransaction.ownSession) && options.session.serverVersion >= 140_000)
        await client.query('SET idle_session_timeout = 0');
      await sleep(pause, ctx.signal);
      addWait(options.waits, started);
    }
  }
}

async function attempt(
  ctx: Context,
  client: Client,
  migration: Migration,
  sql: string,
  options: ApplyOptions,
): Promise<Applied> {
  const started = now();
  const lockTimeoutMs = migration.lockTimeoutMs ?? options.session.lockTimeoutMs;
  const { own } = options;
  if (!own) await begin(client, { ...options.session, lockTimeoutMs });
  else if (!own.session.isBegun(own.index)) {
    await own.session.begin(own.index).catch((error) => {
      throw beginError(error, options.session);
    });
  }
  let pid = client.processID as number;
  if (options.perTransaction) {
    const lock = await tryTransactionLock(client);
    if (!lock.locked) {
      await rollback(client);
      return { outcome: 'busy', holder: lock.holder };
    }
    pid = lock.pid;
    if (!(await options.perTransaction.stillPending())) {
      await rollback(client);
      return { outcome: 'elsewhere' };
    }
  }
  const watch = { migration: migration.name, pid, lockTimeoutMs, waits: options.waits };
  if (own && (await own.session.quick(own.index)) !== undefined) {
    await watched(ctx, client, watch, () => applyQuick(ctx, client, migration, sql, own));
    return { outcome: 'applied', ms: now() - started };
  }
  await watched(ctx, client, watch, async () => {
    await options.before?.();
    for (const piece of pieces(sql)) {
      const run = { completed: 0 };
      try {
        await runScript(client, piece.sql, run, ctx.signal);
      } catch (error) {
        if (ctx.signal.aborted) throw error;
        throw migrationFailure(error, migration, sql, { ...piece, completed: run.completed });
      }
    }
  });
  if (client.getTransactionStatus() !== 'T') {
    throw new KasmDbError('failed', `${migration.path} ended the transaction that kasm-db runs it in`, {
      migration: migration.name,
      file: migration.path,
      hint: 'take COMMIT and ROLLBACK out of the file',
    });
  }
  await options.after?.();
  const ms = now() - started;
  await commit(ctx, client, migration, options, ms);
  return { outcome: 'applied', ms };
}

/**
 * One message: forget the migration's settings, record it, commit, begin the next one's transaction. The file itself went ahead of this, in a
 * round trip of its own: of a run that was killed in it, nothing may be committed later.
 */
async function commit(
  ctx: Context,
  client: Client,
  migration: Migration,
  { session, record, own }: ApplyOptions,
  ms: number,
): Promise<void> {
  const role = session.role ? `SET LOCAL ROLE ${escapeIdentifier(session.role)}; ` : '';
  own?.session.unsettle();
  const beginning = await own?.session.beginning(own.index + 1);
  const run = { completed: 0, tags: [] };
  const message = `${RESET_SQL}; ${role}${record(ms)}; COMMIT${beginning ? `; ${beginning}` : ''}`;
  let failure: unknown;
  await cancellable(client, ctx.signal, () =>
    sendScript(client, message, run).catch((error) => {
      failure = error;
    }),
  );
  requireCommitted(failure, run.tags, migration);
  if (failure !== undefined) await rollback(client);
  else if (own) own.session.begun = beginning !== undefined;
}

/**
 * The file with its record and COMMIT in one message; see OwnSession.
 * @throws Distrusted when nothing of it was kept and it is to be applied in the careful way; KasmDbError
 */
async function applyQuick(
  ctx: Context,
  client: Client,
  migration: Migration,
  sql: string,
  { session, index }: NonNullable<ApplyOptions['own']>,
): Promise<void> {
  const { sent, error } = await cancellable(client, ctx.signal, async () => {
    const sent = await session.send(index);
    return { sent, ...(await sent.ended) };
  });
  const { run, statements } = sent;
  if (isDistrusted(error, sent)) throw new Distrusted();
  if (error && run.completed < statements) throw migrationFailure(error, migration, sql, { sql, at: 0, ...run });
  requireCommitted(error, run.tags, migration);
  if (session.committed(index, error)) return;
  await rollback(client);
  session.unsettle();
}

/** What was sent behind COMMIT may fail without harm: it shows again when it is done by itself. */
function requireCommitted(error: unknown, tags: string[], migration: Migration): void {
  if (tags.includes('COMMIT')) return;
  if (isConnectionLost(error)) {
    throw toKasmDbError(
      error,
      `${migration.name}: the answer to COMMIT was lost, so it is not known whether it is committed`,
      {
        migration: migration.name,
        file: migration.path,
        hint: 'run the same command again: it finds out, and applies what is missing',
      },
    );
  }
  // A transaction that had failed unnoticed answers COMMIT with ROLLBACK (TRAPS 9).
  const reason = error ?? new KasmDbError('failed', 'the server rolled back instead of committing');
  throw toKasmDbError(reason, `${migration.name} failed at COMMIT, nothing of it was kept`, {
    migration: migration.name,
    file: migration.path,
  });
}

export async function begin(client: Client, session: SessionOptions): Promise<void> {
  try {
    await client.query(beginSql(session));
  } catch (error) {
    throw beginError(error, session);
  }
}

function beginError(error: unknown, session: SessionOptions): unknown {
  const code = sqlstateOf(error);
  if (session.role && (code === '22023' || code === '42501')) {
    return new KasmDbError(
      'environment',
      `cannot SET ROLE "${session.role}": ${(error as Error).message} (SQLSTATE ${code})`,
      {
        sqlstate: code as string,
        cause: error,
        hint: `create the role, or GRANT it to the login; it comes from --role or KASM_DB_ROLE`,
      },
    );
  }
  // What a pooler says that gives every statement to another server connection; a server never does.
  if (code === '08P01') {
    return new KasmDbError(
      'environment',
      `a pooler refuses to begin a transaction: ${(error as Error).message} (SQLSTATE 08P01)`,
      {
        sqlstate: code,
        cause: error,
        hint: 'set KASM_DB_DIRECT_URL (or --direct-url) to PostgreSQL itself, or pool_mode=transaction for this database',
      },
    );
  }
  return toKasmDbError(error, 'beginning a transaction');
}

/** Rolls back where there is something to roll back; a dead connection has already done so. */
export async function rollback(client: Client): Promise<void> {
  await client.query('ROLLBACK').catch(() => {});
}

function* pieces(sql: string): Generator<{ sql: string; at: number }> {
  if (sql.length <= MAX_MESSAGE_CHARACTERS) {
    yield { sql, at: 0 };
    return;
  }
  let from = 0;
  let end = 0;
  for (const statement of splitStatements(sql)) {
    if (end > from && statement.end - from > MAX_MESSAGE_CHARACTERS) {
      yield { sql: sql.slice(from, end), at: from };
      from = end;
    }
    end = Math.min(statement.end + 1, sql.length);
  }
  if (end > from) yield { sql: sql.slice(from, end), at: from };
}
