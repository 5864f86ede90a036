import { KasmDbError } from '../app/errors.js';
import type { Migration } from '../migrations/files.js';
import { isServerError, type ServerError, toKasmDbError } from '../postgres/sqlstate.js';
import { excerpt, lineAt, splitStatements, utf16Offset } from '../postgres/statements.js';
import { nextStep } from './next-step.js';

/**
 * Says where in its file a migration failed: by the server's error position, else by counting the statements it completed.
 * @param sql the text that was sent
 * @param at its offset in the file
 */
export function migrationFailure(
  error: unknown,
  migration: Migration,
  text: string,
  sent: { sql: string; at: number; completed: number },
): KasmDbError {
  const details = { migration: migration.name, file: migration.path };
  if (!isServerError(error)) return toKasmDbError(error, `applying ${migration.name}`, details);
  const where = locate(error, text, sent);
  const place = where ? `${migration.path}:${where.line}` : migration.path;
  const failure = toKasmDbError(error, `${migration.name} failed at ${place}, nothing of it was kept`, {
    ...details,
    ...(where ? { line: where.line } : {}),
    ...(where?.part ? { statement: excerpt(text.slice(...where.part)) } : {}),
  });
  // What depends on an object are names, no values of rows.
  const dependents = error.code === '2BP01' && error.detail ? `: ${excerpt(error.detail.replace(/\s+/g, ' '))}` : '';
  const missingExtension = extensionHint(failure.details.statement, error.code);
  const own = failure.outcome === 'failed' ? nextStep(error, { path: migration.path, text, ...where }) : undefined;
  const said = own && error.hint ? `; PostgreSQL says: ${excerpt(error.hint)}` : '';
  const hint = missingExtension ?? (own ? own + said : failure.details.hint);
  return new KasmDbError(missingExtension ? 'environment' : failure.outcome, failure.message + dependents, {
    ...failure.details,
    ...(hint ? { hint } : {}),
    cause: error,
  });
}

interface Where {
  line: number;
  part?: [start: number, end: number];
  /** Its text from where the server points to. */
  at?: string;
}

function locate(
  error: ServerError,
  text: string,
  sent: { sql: string; at: number; completed: number },
): Where | undefined {
  if (error.position) {
    const offset = sent.at + utf16Offset(sent.sql, Number(error.position) - 1);
    const line = lineAt(text, offset);
    for (const { start, end } of splitStatements(text))
      if (offset <= end) return { line, part: [start, end], at: text.slice(offset, offset + 100) };
    return { line };
  }
  let index = 0;
  for (const { start, end } of splitStatements(sent.sql)) {
    if (index++ < sent.completed) continue;
    const statement = sent.sql.slice(start, end);
    return {
      line: lineAt(text, sent.at + start) + lineInBlock(error, statement),
      part: [sent.at + start, sent.at + end],
    };
  }
  return undefined;
}

/** Of a DO block the server tells the line, counted from where its text begins; its words are in the server's language. */
function lineInBlock({ where = '' }: ServerError, statement: string): number {
  const line = Number(/\binline_code_block\D+(\d+)/.exec(where)?.[1] ?? 1);
  const body = /^do\b[^$']*(?:\$\w*\$|')/i.exec(statement);
  return body && line > 1 ? lineAt(body[0], body[0].length) - 1 + line - 1 : 0;
}

/** An extension that this role may not create, or whose files the server lacks, is an admin's to make. */
function extensionHint(statement: string | undefined, sqlstate: string): string | undefined {
  const name = /^CREATE\s+EXTENSION\s+(?:IF\s+NOT\s+EXISTS\s+)?("[^"]+"|\w+)/i.exec(statement ?? '')?.[1];
  if (!name) return undefined;
  if (sqlstate === '42501') return `an admin has to run in this database: CREATE EXTENSION IF NOT EXISTS ${name};`;
  if (sqlstate === '58P01' || sqlstate === '0A000' || sqlstate === '22023') {
    return `install the extension's files on the server (package postgresql-contrib), then an admin has to run in this database: CREATE EXTENSION IF NOT EXISTS ${name};`;
  }
  return undefined;
}
