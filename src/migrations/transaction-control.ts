import { KasmDbError } from '../app/errors.js';
import { excerpt, lineAt, splitStatements } from '../postgres/statements.js';
import type { Migration } from './files.js';

const TRANSACTION_CONTROL = new Set(['begin', 'start', 'commit', 'end', 'rollback', 'abort', 'savepoint', 'release']);
/** Most files have none of the words anywhere, and need not be split. */
const ANY_OF_THEM = new RegExp(`\\b(?:${[...TRANSACTION_CONTROL, 'prepare'].join('|')})\\b`, 'i');

/**
 * Refuses transaction control in a file that runs in one transaction: a COMMIT would end it, and what follows would stay when a
 * later statement fails (TRAPS 9). Words in strings, comments and function bodies are no statements.
 * @throws KasmDbError usage, before anything is run
 */
export function refuseTransactionControl(migration: Migration, sql: string): void {
  if (!ANY_OF_THEM.test(sql)) return;
  for (const statement of splitStatements(sql)) {
    const text = sql.slice(statement.start, statement.end);
    if (TRANSACTION_CONTROL.has(statement.keyword) || statement.words.slice(0, 2).join(' ') === 'prepare transaction') {
      const line = lineAt(sql, statement.start);
      throw new KasmDbError(
        'usage',
        `${migration.path}:${line}: ${statement.keyword.toUpperCase()} inside a migration`,
        {
          hint: migration.transaction
            ? 'take it out: kasm-db runs the file in a transaction of its own; a file that cannot run in one begins with "-- kasm-db: no-transaction"'
            : 'take it out: kasm-db commits each statement of this file by itself',
          migration: migration.name,
          file: migration.path,
          line,
          statement: excerpt(text),
        },
      );
    }
  }
}
