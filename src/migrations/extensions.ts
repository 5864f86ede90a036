import { splitStatements } from '../postgres/statements.js';

/** A CREATE EXTENSION in a file. */
export interface CreatedExtension {
  /** As the catalog has it. */
  name: string;
  /** UTF-16 offsets in the file. */
  start: number;
  end: number;
  /** It says IF NOT EXISTS. */
  ifNotExists: boolean;
}

const CREATE = /^create\s+extension\s+(if\s+not\s+exists\s+)?("(?:[^"]|"")+"|\w+)/i;

/** The name as the catalog has it, and whether IF NOT EXISTS is said; undefined: the statement makes no extension. Pure. */
export function extensionOf(statement: string): Pick<CreatedExtension, 'name' | 'ifNotExists'> | undefined {
  const [, ifNotExists, written] = CREATE.exec(statement) ?? [];
  if (written === undefined) return undefined;
  const name = written.startsWith('"') ? written.slice(1, -1).replaceAll('""', '"') : written.toLowerCase();
  return { name, ifNotExists: ifNotExists !== undefined };
}

/** The extensions that a file makes, in its order. Pure. */
export function createdExtensions(sql: string): CreatedExtension[] {
  if (!/\bcreate\s+extension\b/i.test(sql)) return [];
  return [...splitStatements(sql)].flatMap(({ start, end }) => {
    const found = extensionOf(sql.slice(start, end));
    return found ? [{ ...found, start, end }] : [];
  });
}

/** A file without these statements; all else keeps its place, for error positions. Pure. */
export function leaveOut(sql: string, statements: readonly CreatedExtension[]): string {
  return statements.reduce(
    (text, { start, end }) => text.slice(0, start) + text.slice(start, end).replace(/[^\n]/g, ' ') + text.slice(end),
    sql,
  );
}
