import type { Client } from '../postgres/client.js';
import { toKasmDbError } from '../postgres/sqlstate.js';
import type { Difference } from './diff.js';

/** Differences that `adopt` was told to accept; made by the first adoption. */
export const CREATE_ACCEPTED = `CREATE TABLE IF NOT EXISTS kasm_db.differences (
  object      text NOT NULL,
  change      text NOT NULL CHECK (change IN ('missing', 'extra', 'changed')),
  property    text NOT NULL DEFAULT '',
  actual      text,
  accepted_at timestamptz NOT NULL DEFAULT now(),
  accepted_by text NOT NULL DEFAULT session_user,
  PRIMARY KEY (object, property)
);
COMMENT ON TABLE kasm_db.differences IS 'kasm-db: how this database was allowed to differ from the schema when it was adopted'`;

/** @throws KasmDbError environment when the role may not read them */
export async function readAccepted(client: Client): Promise<Difference[]> {
  try {
    const { rows: found } = await client.query("SELECT to_regclass('kasm_db.differences') IS NOT NULL AS there");
    if (!found[0].there) return [];
    const { rows } = await client.query('SELECT object, change, property, actual FROM kasm_db.differences');
    return rows;
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
