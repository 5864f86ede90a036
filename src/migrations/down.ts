import { KasmDbError } from '../app/errors.js';
import { type ParsedStatement, parseFile } from '../postgres/parser.js';
import { downMigration, type Migration } from './files.js';
import { refuseUnrunnable } from './refused.js';

/** A down migration that can be run. */
export interface Down {
  down: Migration;
  statements: ParsedStatement[];
}

/**
 * Reads a down migration and refuses, before anything is run, what `rollback` could not run: `lint` and `plan` look at it by the same rules, long before
 * the day on which it is needed.
 * @returns undefined where there is none
 * @throws KasmDbError usage, with file and line
 */
export async function readDown(migration: Migration): Promise<Down | undefined> {
  const down = await downMigration(migration);
  if (!down) return undefined;
  const sql = await down.sql();
  refuseUnrunnable(down, sql);
  if (!down.transaction && migration.transaction)
    throw new KasmDbError(
      'usage',
      `${down.path} is no-transaction, but ${migration.name} itself is not: half of it undone could not be recorded`,
      {
        migration: migration.name,
        file: down.path,
        hint: 'write the down script so that it runs in one transaction',
      },
    );
  return { down, statements: await parseFile(sql, down.path) };
}
