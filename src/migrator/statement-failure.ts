import { KasmDbError } from '../app/errors.js';
import { plural } from '../app/plural.js';
import type { Migration } from '../migrations/files.js';
import type { ParsedStatement } from '../postgres/parser.js';
import { isServerError } from '../postgres/server-error.js';
import { isConnectionLost, toKasmDbError } from '../postgres/sqlstate.js';
import { isRepeatable, needsNoTransaction } from '../postgres/statement-kinds.js';
import { excerpt, lineAt } from '../postgres/statements.js';
import { migrationFailure } from './failure.js';
import { inDoubtHint } from './in-doubt.js';
import type { Recording } from './recording.js';

/** A statement of a no-transaction file, and where it stands. */
export interface StatementPlace {
  migration: Migration;
  /** The file's text. */
  text: string;
  recording: Pick<Recording, 'dropsAgain'>;
  statement: ParsedStatement;
  /** From 0. */
  index: number;
  /** How many the file has. */
  total: number;
}

/** The server has refused it. */
export function statementFailure(
  error: unknown,
  { migration, text, statement, index, total }: StatementPlace,
): KasmDbError {
  const base = migrationFailure(error, migration, text, { sql: statement.sql, at: statement.start, completed: 0 });
  // Inside of a DO block it is further down.
  const line = base.details.line ?? lineAt(text, statement.start);
  const said = error as Error & { code: string };
  return new KasmDbError(
    base.outcome,
    `${migration.name} failed at ${migration.path}:${line}, statement ${index + 1} of ${total}; the ${index} before it are kept and recorded: ${excerpt(said.message)} (SQLSTATE ${said.code})`,
    { ...base.details, line, statement: excerpt(statement.sql), cause: error },
  );
}

/** It has failed, and may have committed a part of its work. Its mark stays, so that the next run stops here instead of repeating it. */
export function partlyDone(error: unknown, place: StatementPlace): KasmDbError {
  const { message, details } = statementFailure(error, place);
  const { name } = place.migration;
  const wayOut = place.recording.dropsAgain
    ? `do the rest of the down script by hand, then: kasm-db repair --pending ${name}`
    : inDoubtHint(name, place.index);
  return new KasmDbError(
    'integrity',
    `${message}. What it had committed before it failed is kept, and a retry would repeat it`,
    { ...details, hint: `look at the database; ${wayOut}`, cause: error },
  );
}

/** The statement was completed. Its mark stays where the record was not written, and not every statement shows the next run that it is done. */
export function notRecorded(error: unknown, { migration, recording, statement, index }: StatementPlace): unknown {
  const isNamed = statement.type !== 'IndexStmt' || statement.node.idxname !== undefined;
  const isFoundOut = !needsNoTransaction(statement) || (isRepeatable(statement) && isNamed);
  if (!(error instanceof KasmDbError)) return error;
  const { outcome, details, exitCode } = error;
  const message = `${error.message}; the statement itself was completed`;
  const call = `kasm-db repair --pending ${migration.name} --statements-done ${index + 1}`;
  if (isFoundOut || recording.dropsAgain)
    return new KasmDbError(outcome, message, { ...details, exitCode, cause: error });
  if (outcome === 'locked') {
    const hint = `as soon as the history is free: ${call}; then run the same command again`;
    return new KasmDbError('integrity', message, { ...details, hint, cause: error });
  }
  const hint = `run the same command again; where that cannot know whether the statement was completed, it was: ${call}`;
  return new KasmDbError(outcome, message, { ...details, exitCode, hint, cause: error });
}

/** What came before is kept, and of the statement itself the next run finds out what became of it, or says that nobody knows. */
export function connectionLost(
  error: unknown,
  { migration, recording, statement, index, total }: StatementPlace,
): unknown {
  if (error instanceof KasmDbError || isServerError(error) || !isConnectionLost(error)) return error;
  const next = recording.dropsAgain
    ? 'it goes through the script again from its start'
    : `it goes on after what is recorded (${index} of ${plural(total, 'statement')})`;
  return toKasmDbError(error, `${migration.name}, statement ${index + 1} of ${total}`, {
    migration: migration.name,
    file: migration.path,
    statement: excerpt(statement.sql),
    hint: `run the same command again: ${next}`,
  });
}

/** A run died in it. */
export function inDoubt({ migration, statement, index, total }: StatementPlace): KasmDbError {
  return new KasmDbError(
    'integrity',
    `${migration.name}: nobody knows whether statement ${index + 1} of ${total} was completed; the run that began it died`,
    {
      migration: migration.name,
      file: migration.path,
      statement: excerpt(statement.sql),
      hint: `look at the database; ${inDoubtHint(migration.name, index)}`,
    },
  );
}
