import { KasmDbError } from '../app/errors.js';
import type { Migration } from '../migrations/files.js';
import type { Session } from '../postgres/session.js';
import { splitStatements } from '../postgres/statements.js';
import { withoutPresentExtensions } from './extensions.js';
import { migrationFailure } from './failure.js';
import { LONGEST_ATTEMPT_MS } from './give-way.js';
import { requireIntact, takeFromFile } from './hand-over.js';
import { type Before, lookBefore } from './locks-taken.js';
import type { Run } from './run.js';

/** A larger message is sent in pieces: the server needs some 25 times its size in memory to parse it. */
const MAX_MESSAGE_CHARACTERS = 1_000_000;

/** What else is looked at in the migration's own transaction; what these throw rolls it back. */
export interface Guards {
  /** After the lock. */
  locked?: () => Promise<void>;
  /** After the file. */
  done?: () => Promise<void>;
}

/**
 * Runs a migration's file in a transaction, which stays open: its record and COMMIT follow as one message (storage.ts). Gives way to traffic.
 * @throws KasmDbError; nothing of the migration is kept then
 */
export async function execute(run: Run, migration: Migration, guards: Guards = {}): Promise<void> {
  const { session } = run.lock;
  const sql = await migration.sql();
  await run.waits.giveWay({
    what: migration.name,
    longestMs: migration.lockTimeoutMs ?? LONGEST_ATTEMPT_MS,
    begin: (lockTimeoutMs) => run.lock.begin('migration', { lockTimeoutMs }),
    work: async () => {
      await guards.locked?.();
      const sent = await withoutPresentExtensions(session, sql);
      const before = await lookBefore(session, migration, sent);
      await sendFile(session, migration, sent);
      await takeBack(run, migration, sent, before);
      await guards.done?.();
    },
    rollback: () => session.rollback(),
  });
}

async function sendFile(session: Session, migration: Migration, sql: string): Promise<void> {
  for (const piece of pieces(sql)) {
    const settings = piece.at === 0 ? `${session.forFile()};\n` : '';
    const sent = { sql: settings + piece.sql, at: piece.at - settings.length, completed: 0 };
    await session.script(sent.sql, sent).catch((error) => {
      throw migrationFailure(error, migration, sql, sent);
    });
  }
}

/**
 * The transaction is ours again, still open, the migration lock still held, and the history as it was. What was deferred to COMMIT is done now, while the file's search_path
 * and role hold. A file in which COMMIT and BEGIN can be read was refused before anything was run (requireApplicable); this finds the hidden ones.
 * @throws KasmDbError failed
 */
async function takeBack({ lock, locks }: Run, migration: Migration, sql: string, before: Before): Promise<void> {
  const { session, state } = lock;
  const details = { migration: migration.name, file: migration.path };
  if (!session.inTransaction) {
    throw new KasmDbError('failed', `${migration.path} ended the transaction that kasm-db runs it in`, {
      ...details,
      hint: 'take COMMIT and ROLLBACK out of the file',
    });
  }
  const taken = await takeFromFile(session, migration, before).catch((error) => {
    throw migrationFailure(error, migration, sql, { sql: '', at: 0, completed: 0 });
  });
  locks.set(migration.name, taken.locks);
  requireIntact(taken.intact, migration, before, state.pooled);
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
