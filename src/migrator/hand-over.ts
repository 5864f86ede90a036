import type { LockInfo } from '../history/locks.js';
import { HOLDS_LOCK_SQL } from '../postgres/lock.js';
import type { Session } from '../postgres/session.js';
import { type Before, named, strongest, takenSql } from './locks-taken.js';

/**
 * Takes the transaction back from a file, and looks. What was deferred to COMMIT is done first, while the file's search_path and role hold.
 * @returns is the migration lock still held by this session, and what else is locked
 */
export async function takeFromFile(session: Session, before: Before): Promise<{ held: boolean; locks: LockInfo[] }> {
  const holds = `SELECT ${HOLDS_LOCK_SQL} AS held`;
  const message = ['SET CONSTRAINTS ALL IMMEDIATE', session.forUs(), holds, takenSql(before.newestOid)].join('; ');
  const [first, ...taken] = await session.query(message);
  return { held: first.held, locks: strongest(await named(session, taken, before)) };
}
