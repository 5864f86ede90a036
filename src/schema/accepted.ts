import { escapeLiteral } from 'pg';
import { partition } from '../app/group-by.js';
import { HEAD_OBJECT, type MigrationState } from '../history/state.js';
import { DIFFERENCES_TABLE, findHistoryTable } from '../history/tables.js';
import type { Session } from '../postgres/session.js';
import { toKasmDbError } from '../postgres/sqlstate.js';
import { changed, type Difference } from './diff.js';

/** Differences that `adopt` was told to accept. @throws KasmDbError environment when the role may not read them; integrity */
export async function readAccepted(session: Session): Promise<Difference[]> {
  if (!(await findHistoryTable(session, DIFFERENCES_TABLE))) return [];
  try {
    return await session.query(`SELECT object, change, property, actual FROM ${DIFFERENCES_TABLE}`);
  } catch (error) {
    throw toKasmDbError(error, 'reading the accepted differences', {
      hint: 'as the owner of the history: GRANT SELECT ON kasm_db.differences TO <role>',
    });
  }
}

/** SQL that stores a difference as accepted, or copies one that is. */
export function acceptedSql({ object, change, property, actual }: Difference): string {
  const values = [object, change, property ?? '', actual].map((text) => (text == null ? 'NULL' : escapeLiteral(text)));
  return `INSERT INTO ${DIFFERENCES_TABLE} (object, change, property, actual) VALUES (${values.join(', ')})`;
}

/** Leaves out what was accepted, as long as it still is as it was then. */
export function withoutAccepted(
  differences: readonly Difference[],
  accepted: readonly Difference[],
): { open: Difference[]; accepted: Difference[] } {
  const key = ({ object, change, property, actual }: Difference) =>
    JSON.stringify([object, change, property ?? '', actual ?? null]);
  const known = new Set(accepted.map(key));
  const [still, open] = partition(differences, (difference) => known.has(key(difference)));
  return { open, accepted: still };
}

/** The alembic_version of another build of the same release, as a difference. @param known what the migrations write */
export function headDifference(known: string | undefined, actual: string): Difference {
  return changed(HEAD_OBJECT, 'public.alembic_version', 'version_num', known, actual);
}

/** That difference where it was accepted and is still so. */
export function acceptedHead(
  { vendorVersion, acceptedVersion }: MigrationState,
  known: string | undefined,
): Difference | undefined {
  return vendorVersion !== undefined && vendorVersion === acceptedVersion && vendorVersion !== known
    ? headDifference(known, vendorVersion)
    : undefined;
}
