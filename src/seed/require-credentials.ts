import { KasmDbError } from '../app/errors.js';
import { plural } from '../app/plural.js';
import { assignCredentials } from './assign.js';
import type { Credentials } from './credentials.js';
import type { SeedRow } from './document.js';
import type { PlannedWrites } from './plan-writes.js';
import type { ResolvedRow } from './resolve-rows.js';

/** @throws KasmDbError seed where a row has to be made whose credential nobody gives */
export function requireCredentials(
  rows: readonly ResolvedRow[],
  planned: PlannedWrites,
  credentials: Credentials,
): void {
  const missing = rows.flatMap((row) => {
    const { assignment } = row;
    const isMissing = assignment?.needed && assignment.secret === undefined && planned.places.get(row)?.inserted;
    return isMissing ? [`${assignment.key} (looked for in ${credentials.places(assignment.key)})`] : [];
  });
  if (missing.length === 0) return;
  throw new KasmDbError(
    'seed',
    `${plural(missing.length, 'credential is', 'credentials are')} missing, so nothing was written: ${missing.join('; ')}`,
    {
      hint: 'add the keys to the Secret that is mounted at --secrets (KASM_DB_SECRETS_DIR); kasm-db has no default credential',
    },
  );
}

/** Before anything is changed, the role's own password too. @throws KasmDbError seed where a key to rotate has no row or no value */
export function requireRotatable(rotate: string[] | 'all', rows: readonly SeedRow[], credentials: Credentials): void {
  if (rotate === 'all') return;
  const assignments = assignCredentials(rows, credentials);
  for (const key of rotate) {
    const found = assignments.find((assignment) => assignment.key === key);
    if (!found) {
      throw new KasmDbError('seed', `--rotate: no row of the seed documents takes the credential "${key}"`, {
        hint: `known are ${assignments.map((assignment) => assignment.key).join(', ')}`,
      });
    }
    if (found.secret === undefined) {
      throw new KasmDbError('seed', `--rotate: the credential "${key}" has no value`, {
        hint: 'add it to the mounted Secret',
      });
    }
  }
}
