import { readDown } from '../migrations/down.js';
import type { Migration } from '../migrations/files.js';
import { refuseUnrunnable } from '../migrations/refused.js';
import { MOST_TREE_CHARACTERS, parseFile } from '../postgres/parser.js';
import { excerpt, lineCounter } from '../postgres/statements.js';
import { Known } from './known.js';
import { byTable, type TableLock } from './lock-modes.js';
import { locksOf } from './locks.js';

/** A table lock of one statement of a migration. */
export interface StatementLock {
  migration: string;
  line: number;
  /** Its beginning. */
  statement: string;
  table: string;
  mode: TableLock['mode'];
  rewrite: TableLock['rewrite'];
  /** The table is made by what is pending: nobody waits for it. */
  fresh?: true;
}

/**
 * The table locks of all statements of pending migrations.
 * @param applied whose files tell the tables of indexes, and which tables are there
 * @returns with a warning for each file that was too large to be looked at
 * @throws KasmDbError usage for a file that migrate would refuse or that cannot be parsed, and for a down migration that rollback would refuse
 */
export async function locksOfFiles(
  applied: readonly Migration[],
  pending: readonly Migration[],
): Promise<{ locks: StatementLock[]; warnings: string[] }> {
  const known = new Known();
  const locks: StatementLock[] = [];
  const warnings: string[] = [];
  for (const migration of [...applied, ...pending]) {
    const isPending = pending.includes(migration);
    const text = await migration.sql();
    if (isPending) await readDown(migration);
    if (text.length > MOST_TREE_CHARACTERS) {
      if (isPending) warnings.push(`${migration.path} is too large to look for its locks`);
      continue;
    }
    if (isPending) refuseUnrunnable(migration, text);
    const statements = isPending
      ? await parseFile(text, migration.path)
      : await parseFile(text, migration.path).catch(() => []);
    const lineOf = lineCounter(text);
    for (const statement of statements) {
      const line = lineOf(statement.start);
      const found = byTable(locksOf(statement, known));
      if (isPending) {
        const fresh = new Map(found.map(({ table, creates }) => [table, creates === true || known.isFresh(table)]));
        for (const { table, mode, rewrite } of found)
          locks.push({
            ...{
              migration: migration.name,
              line,
              statement: excerpt(statement.sql.slice(0, 1000).replace(/\s+/g, ' '), 60),
            },
            ...{ table, mode, rewrite },
            ...(fresh.get(table) ? { fresh: true } : {}),
          });
      }
      known.take(statement, isPending);
    }
  }
  return { locks, warnings };
}
