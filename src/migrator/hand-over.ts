import { KasmDbError } from '../app/errors.js';
import type { LockInfo } from '../history/locks.js';
import { othersSql } from '../history/record.js';
import { ADDED_SQL } from '../history/tables.js';
import type { Migration } from '../migrations/files.js';
import { HOLDS_LOCK_SQL } from '../postgres/lock.js';
import type { Session } from '../postgres/session.js';
import { type Before, named, strongest, takenSql } from './locks-taken.js';

/** SQL: is what the record needs as it was before the file? @param name of the migration */
export const intactSql = (name: string) =>
  `SELECT ${HOLDS_LOCK_SQL} AS held, ${ADDED_SQL} AS added, ${othersSql(name)} AS others`;

/** A row of intactSql. */
export interface Intact {
  /** The migration lock is still held by this session. */
  held: boolean;
  /** What keeps the history from being written. */
  added: string | null;
  /** Other migrations in the history. */
  others: number;
  /** The file has set its transaction to write nothing more. */
  readOnly?: boolean;
}

/** Takes the transaction back from a file, and looks. What was deferred to COMMIT is done first, while the file's search_path and role hold. */
export async function takeFromFile(
  session: Session,
  { name }: Migration,
  before: Before,
): Promise<{ intact: Intact; locks: LockInfo[] }> {
  const looks = `${intactSql(name)}, current_setting('transaction_read_only') = 'on' AS "readOnly"`;
  const message = ['SET CONSTRAINTS ALL IMMEDIATE', session.forUs(), looks, takenSql(before.newestOid)].join('; ');
  const [intact, ...taken] = await session.query(message);
  return { intact, locks: strongest(await named(session, taken, before)) };
}

/**
 * @param before the file
 * @param pooled no session has the lock
 * @throws KasmDbError failed, naming the file and what it has done
 */
export function requireIntact(
  { held, added, others, readOnly }: Intact,
  { name, path }: Migration,
  before: Before,
  pooled: boolean,
): void {
  const of = { migration: name, file: path };
  if (added !== null)
    throw new KasmDbError('failed', `${path} has made ${added}, so it cannot be recorded`, {
      ...of,
      hint: 'leave schema kasm_db out of it: its tables are written by kasm-db alone',
    });
  if (others < before.others)
    throw new KasmDbError(
      'failed',
      `${path} has taken rows out of kasm_db.migrations, so nobody could say what is applied`,
      {
        ...of,
        hint: 'leave schema kasm_db out of it; kasm-db repair mends the history, and kasm-db rollback undoes migrations',
      },
    );
  if (readOnly)
    throw new KasmDbError('failed', `${path} has set its transaction to READ ONLY, so it cannot be recorded`, {
      ...of,
      hint: 'take SET TRANSACTION READ ONLY (or SET transaction_read_only) out of the file',
    });
  if (!held && !pooled)
    throw new KasmDbError('failed', `${path} gave the migration lock away, so another migrator may be at work`, {
      ...of,
      hint: 'take pg_advisory_unlock_all() and DISCARD ALL out of the file',
    });
}
