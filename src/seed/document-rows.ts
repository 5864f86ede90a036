import { createHash } from 'node:crypto';
import { KasmDbError } from '../app/errors.js';
import { type Migration, vendorVersionOf } from '../migrations/files.js';
import type { SeedDocument, SeedRow } from './document.js';
import { mergeOverlay } from './overlay.js';

/** The rows of all documents. @throws KasmDbError seed where one is of another Kasm release than the migrations */
export function documentRows(documents: readonly SeedDocument[], migrations: Migration[]): SeedRow[] {
  const expected = vendorVersionOf(migrations);
  for (const { file, alembicVersion, overlay } of documents) {
    if (expected === undefined || (overlay && alembicVersion === undefined)) continue;
    if (alembicVersion?.value !== expected) {
      throw new KasmDbError(
        'seed',
        `${file} is for alembic_version ${alembicVersion?.value ?? '(none is given)'}, but this kasm-db makes ${expected}`,
        {
          file,
          line: alembicVersion?.line ?? 1,
          hint: `use documents of the same Kasm release; one of another build of it (an image with a rolling tag) is taken with ${expected} as its alembic_version`,
        },
      );
    }
  }
  return mergeOverlay(documents);
}

/** Which documents a build or a customer brings, as one short text; `check --seed` compares it. */
export function seedDigest(documents: readonly SeedDocument[]): string {
  const rows = mergeOverlay(documents).map((row) => [
    row.table,
    [...row.cells].map(([name, { value }]) => [name, value]),
  ]);
  return createHash('sha256').update(JSON.stringify(rows)).digest('hex').slice(0, 32);
}
