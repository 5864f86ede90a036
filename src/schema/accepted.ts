import { findHistoryTable } from '../history/tables.js';
import type { Session } from '../postgres/session.js';
import { toKasmDbError } from '../postgres/sqlstate.js';
import type { Difference } from './diff.js';

/** Differences that `adopt` was told to accept. @throws KasmDbError environment when the role may not read them; integrity */
export async function readAccepted(session: Session): Promise<Difference[]> {
  if (!(await findHistoryTable(session, 'kasm_db.differences'))) return [];
  try {
    return await session.query('SELECT object, change, property, actual FROM kasm_db.differences');
  } catch (error) {
    throw toKasmDbError(error, 'reading the accepted differences', {
      hint: 'as the owner of the history: GRANT SELECT ON kasm_db.differences TO <role>',
    });
  }
}

/** Leaves out what was accepted, as long as it still is as it was then. */
export function withoutAccepted(
  differences: readonly Difference[],
  accepted: readonly Difference[],
): { open: Difference[]; accepted: Difference[] } {
  const key = ({ object, change, property, actual }: Difference) =>
    JSON.stringify([object, change, property ?? '', actual ?? null]);
  const known = new Set(accepted.map(key));
  return {
    open: differences.filter((difference) => !known.has(key(difference))),
    accepted: differences.filter((difference) => known.has(key(difference))),
  };
}
