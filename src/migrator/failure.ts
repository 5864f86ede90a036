import { KasmDbError } from '../app/errors.js';
import type { Migration } from '../migrations/files.js';
import { isServerError, toKasmDbError } from '../postgres/sqlstate.js';
import { excerpt, lineAt, splitStatements } from '../postgres/statements.js';

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
  const where = locate(error.position, text, sent);
  const place = where ? `${migration.path}:${where.line}` : migration.path;
  const failure = toKasmDbError(error, `${migration.name} failed at ${place}, nothing of it was kept`, {
    ...details,
    ...where,
  });
  const missingExtension = extensionHint(where?.statement, error.code);
  if (!missingExtension) return failure;
  return new KasmDbError('environment', failure.message, { ...failure.details, hint: missingExtension, cause: error });
}

function locate(position: string | undefined, text: string, sent: { sql: string; at: number; completed: number }) {
  if (position) {
    const offset = sent.at + utf16Offset(sent.sql, Number(position) - 1);
    for (const statement of splitStatements(text)) {
      if (offset <= statement.end) {
        return { line: lineAt(text, offset), statement: excerpt(text.slice(statement.start, statement.end)) };
      }
    }
    return { line: lineAt(text, offset) };
  }
  let index = 0;
  for (const statement of splitStatements(sent.sql)) {
    if (index++ === sent.completed) {
      return {
        line: lineAt(text, sent.at + statement.start),
        statement: excerpt(sent.sql.slice(statement.start, statement.end)),
      };
    }
  }
  return undefined;
}

/** The server counts characters, JavaScript UTF-16 units. */
function utf16Offset(text: string, characters: number): number {
  let offset = 0;
  for (let i = 0; i < characters && offset < text.length; i++) {
    const code = text.charCodeAt(offset);
    offset += code >= 0xd800 && code < 0xdc00 ? 2 : 1;
  }
  return offset;
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
