import { KasmDbError } from '../app/errors.js';
import { extensionOf } from '../migrations/extensions.js';
import type { Migration } from '../migrations/files.js';
import { isServerError, type ServerError, withServerHint } from '../postgres/server-error.js';
import { toKasmDbError } from '../postgres/sqlstate.js';
import { excerpt, lineAt, splitStatements, utf16Offset } from '../postgres/statements.js';
import { extensionHint } from './extensions.js';
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
  const ofFile = { migration: migration.name, file: migration.path };
  if (!isServerError(error)) return toKasmDbError(error, `applying ${migration.name}`, ofFile);
  const where = locate(error, text, sent);
  const place = where ? `${migration.path}:${where.line}` : migration.path;
  const failure = toKasmDbError(error, `${migration.name} failed at ${place}, nothing of it was kept`, {
    ...ofFile,
    ...(where ? { line: where.line } : {}),
    ...(where?.part ? { statement: excerpt(text.slice(...where.part)) } : {}),
  });
  const extension = extensionOf(failure.details.statement ?? '');
  const missingExtension = extension && extensionHint(extension.name, error.code);
  const nextOfFile = () => nextStep(error, { path: migration.path, text, ...where });
  const own = missingExtension ?? (failure.outcome === 'failed' ? nextOfFile() : undefined);
  const { detail, ...details } = { ...failure.details, ...(own ? { hint: withServerHint(own, error) as string } : {}) };
  // What depends on an object is a part of the message.
  const inMessage = error.code === '2BP01' && detail !== undefined;
  const outcome = missingExtension ? 'environment' : failure.outcome;
  return new KasmDbError(outcome, inMessage ? `${failure.message}: ${detail}` : failure.message, {
    ...details,
    ...(detail !== undefined && !inMessage ? { detail } : {}),
    cause: error,
  });
}

interface Where {
  line: number;
  part?: [start: number, end: number];
  /** The offset that the server points to. */
  at?: number;
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
      if (offset <= end) return { line, part: [start, end], at: offset };
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
