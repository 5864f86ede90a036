import { breather } from '../app/time.js';
import { readDown } from '../migrations/down.js';
import type { Migration } from '../migrations/files.js';
import { refuseUnrunnable } from '../migrations/refused.js';
import { MOST_TREE_CHARACTERS, parseFile } from '../postgres/parser.js';
import { excerpt, lineCounter } from '../postgres/statements.js';
import { Known } from './known.js';
import { byTable, type LockMode, type Rewrite } from './lock-modes.js';
import { locksOf } from './locks.js';

/** A table lock of one statement of a migration. */
export interface StatementLock {
  migration: string;
  line: number;
  /** Its beginning. */
  statement: string;
  table: string;
  mode: LockMode;
  rewrite: Rewrite;
  /** The table is made by what is pending: nobody waits for it. */
  fresh?: true;
}

/**
 * The table locks of all statements of pending migrations.
 * @param applied whose files tell the tables of indexes, and which tables are there
 * @returns with a warning for each file that was too large to be looked at
 * @throws KasmDbError usage for a file that migrate would refuse or that cannot be parsed, and for a down migration that rollback would refuse;
 *   the signal's reason
 */
export async function locksOfFiles(
  applied: readonly Migration[],
  pending: readonly Migration[],
  signal?: AbortSignal,
): Promise<{ locks: StatementLock[]; warnings: string[] }> {
  const known = new Known();
  const locks: StatementLock[] = [];
  const warnings: string[] = [];
  const breathe = breather(signal);
  for (const migration of [...applied, ...pending]) {
    await breathe();
    const isPending = pending.includes(migration);
    const text = await migration.sql();
    if (isPending) await readDown(migration);
    if (text.length > MOST_TREE_CHARACTERS) {
      if (isPending) warnings.push(`${migration.path} is too large to look for its locks`);
      continue;
    }
    if (isPending) refuseUnrunnable(migration, text);
    const lineOf = lineCounter(text);
    const statements = parseFile(text, migration.path);
    for (const statement of await (isPending ? statements : statements.catch(() => []))) {
      for (const { table, mode, rewrite, creates } of isPending ? byTable(locksOf(statement, known)) : [])
        locks.push({
          migration: migration.name,
          line: lineOf(statement.start),
          statement: excerpt(statement.sql.slice(0, 1000).replace(/\s+/g, ' '), 60),
          ...{ table, mode, rewrite },
          ...(creates || known.isFresh(table) ? { fresh: true } : {}),
        });
      known.take(statement, isPending);
    }
  }
  return { locks, warnings };
}
