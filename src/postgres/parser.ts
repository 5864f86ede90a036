import { KasmDbError, messageOf } from '../app/errors.js';
import { blankGaps, excerpt, lineAt, skipBlank, utf16Offset } from './statements.js';
import { syntaxHint } from './syntax-hint.js';

/** A statement as PostgreSQL's own parser sees it. */
export interface ParsedStatement {
  sql: string;
  /** UTF-16 offset in the script. */
  start: number;
  /** Node type of the parse tree (`IndexStmt`), and its fields. */
  type: string;
  // biome-ignore lint/suspicious/noExplicitAny: the parse tree's shape is PostgreSQL's own, some 700 node types.
  node: any;
}

/** The parser takes some 25 times a text in memory, and no signal is handled meanwhile. */
const MOST_CHARACTERS = 10_000_000;
/** A tree that is kept, or that nothing needs, may cost less: it takes some hundred times the memory of its text. */
export const MOST_TREE_CHARACTERS = 2_000_000;

/**
 * Parses a script with PostgreSQL's parser (WASM, some 35 ms to load: only where a tree is needed).
 * @param path for the error message
 * @throws KasmDbError failed, with the line of the syntax error; usage where it is too large
 */
export async function parseScript(sql: string, path: string): Promise<ParsedStatement[]> {
  if (sql.length > MOST_CHARACTERS) {
    throw new KasmDbError('usage', `${path} is larger than 10 MB, too large for PostgreSQL's parser to be looked at`, {
      file: path,
      hint: 'split it; only a migration that runs in one transaction may be as large, and that is not linted',
    });
  }
  const { loadModule, parseSync } = await import('./libpg-query.js');
  await loadModule();
  const parse = (text: string) => (parseSync(text) as { stmts?: RawStatement[] }).stmts ?? [];
  try {
    return placed(sql, parse(sql));
  } catch {
    // Only few files need it.
    try {
      return placed(sql, parse(blankGaps(sql)));
    } catch (error) {
      const at = (error as { sqlDetails?: { cursorPosition?: number } }).sqlDetails?.cursorPosition ?? 0;
      const offset = utf16Offset(sql, at);
      const line = lineAt(sql, offset);
      throw new KasmDbError('failed', `${path}:${line}: ${excerpt(messageOf(error))}`, {
        file: path,
        line,
        sqlstate: '42601',
        hint: syntaxHint(sql, path, { at: offset }) ?? 'correct the SQL; it cannot be looked at as it is',
        cause: error,
      });
    }
  }
}

/** The same for a file that is only looked at, or of which nothing was run yet. @throws KasmDbError usage */
export async function parseFile(sql: string, path: string): Promise<ParsedStatement[]> {
  return parseScript(sql, path).catch((error) => {
    throw error instanceof KasmDbError ? new KasmDbError('usage', error.message, error.details) : error;
  });
}

interface RawStatement {
  stmt?: object;
  stmt_location?: number;
  stmt_len?: number;
}

/** Statements with their texts. The parser counts bytes, and blank space and comments to the statement after them. */
function placed(sql: string, stmts: RawStatement[]): ParsedStatement[] {
  const bytes = Buffer.from(sql, 'utf8');
  let seen = 0;
  let offset = 0;
  return stmts.map(({ stmt, stmt_location = 0, stmt_len }) => {
    offset += bytes.toString('utf8', seen, stmt_location).length;
    seen = stmt_location;
    const raw = bytes.toString('utf8', stmt_location, stmt_len ? stmt_location + stmt_len : undefined);
    const start = skipBlank(raw);
    const [type, node] = Object.entries(stmt ?? {})[0] as [string, unknown];
    return { sql: raw.slice(start).replace(/;?\s*$/, ''), start: offset + start, type, node };
  });
}
