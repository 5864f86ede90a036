import type { LockInfo } from '../history/locks.js';
import { HOLDS_LOCK_SQL } from '../postgres/lock.js';
import type { Session } from '../postgres/session.js';
import { type Before, lookBefore, namedOf, strongest, takenSql } from './locks-taken.js';

/** Looks what there is, and gives the transaction to the file. @param sql of the file */
export function giveToFile(session: Session, sql: string): Promise<Before> {
  return lookBefore(session, sql, session.forFile());
}

/** Takes the transaction back, and looks. @returns is the migration lock still held by this session, and what else is locked */
export async function takeFromFile(session: Session, before: Before): Promise<{ held: boolean; locks: LockInfo[] }> {
  const holds = `SELECT ${HOLDS_LOCK_SQL} AS held`;
  const [first, ...taken] = await session.query(`${session.forUs()}; ${holds}; ${takenSql(before.newestOid)}`);
  return { held: first.held, locks: strongest(namedOf(taken, before)) };
}
