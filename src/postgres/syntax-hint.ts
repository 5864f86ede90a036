import { isQuote, lineAt, tokensOf } from './statements.js';

/** Characters that look like blank space, or like nothing, and that SQL takes for letters of a name. */
const INVISIBLE = /[\u0085\u00a0\u00ad\u1680\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\ufeff]/;
/** What word processors make of quotes and dashes; letters of a name, too. */
const TYPOGRAPHIC = /[\u2010-\u2015\u2018-\u201f\u2212\u00ab\u00bb]/;
/** No text has them; PostgreSQL before 16 does not take the vertical tab for blank space. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const CONTROL = /^[\x01-\x08\x0b\x0e-\x1f\x7f]/;

/** What people write for other programs than a server, as it stands where the server stops; $1 is named. */
const OF_OTHERS: readonly (readonly [begins: RegExp, hint: string])[] = [
  [/^(:(["'])\w+\2|:\w+)/, '$1 is a variable of psql, which only psql fills in: write the value itself'],
  [/^(:\{\?\w+\}?)/, '$1 is a variable of psql, which only psql fills in: write the value itself'],
  [/^(\{\{|\$\{|\{%|@\w+@|%\()/, '$1 begins a placeholder, which another program fills in: write the value itself'],
  [/^(DELIMITER)\b/i, '$1 is a command of MySQL: take the line out, and end statements with a semicolon'],
  [/^(GO)\s*(?:\n|$)/i, '$1 is a command of SQL Server: take the line out, and end statements with a semicolon'],
  [/^(\/)\s*(?:\n|$)/, 'a line with $1 is for SQL*Plus: take it out, and end statements with a semicolon'],
  [/^(#)/, 'a comment begins with --, not with $1'],
  [/^(`)/, 'names stand in double quotes ("name"), not in $1'],
  [/^\/\*/, 'the comment has no end: close it with */ (comments nest)'],
];

/**
 * What to do about SQL that cannot be read, where its text says it.
 * @param path of the text
 * @param where the offset at which the parser stopped, and the statement; default: nobody knows, and everywhere
 */
export function syntaxHint(
  sql: string,
  path: string,
  { at, part = [0, sql.length] }: { at?: number | undefined; part?: [start: number, end: number] | undefined } = {},
): string | undefined {
  return (at === undefined ? undefined : hintAt(sql, path, at)) ?? lookalikeHint(sql, path, part);
}

function hintAt(sql: string, path: string, at: number): string | undefined {
  const rest = sql.slice(at, at + 100);
  if (CONTROL.test(rest)) return `${characterAt(sql, path, at)}: take it out`;
  for (const [begins, hint] of OF_OTHERS) {
    const match = begins.exec(rest);
    if (match) return hint.replace('$1', match[1] ?? '');
  }
  return isOpen(sql, at) ? 'the quote that begins there has no end: close it' : undefined;
}

/** A literal, a quoted name or a dollar quote begins there and goes on to the end. */
function isOpen(sql: string, at: number): boolean {
  const [token] = tokensOf(sql.slice(at));
  if (!token || token.start > 0 || !isQuote(token) || token.text === '$') return false;
  const { text, end } = token;
  const close = text.startsWith('$') ? text : text.slice(-1);
  return end === sql.length - at && (end < text.length + close.length || !sql.endsWith(close));
}

/** About the first character outside of quotes and comments that looks like another one. */
function lookalikeHint(sql: string, path: string, [from, to]: [number, number]): string | undefined {
  const text = sql.slice(from, to);
  if (!INVISIBLE.test(text) && !TYPOGRAPHIC.test(text)) return undefined;
  for (const token of tokensOf(sql)) {
    if (token.start >= to) return undefined;
    if (token.start < from || isQuote(token)) continue;
    const space = token.text.search(INVISIBLE);
    if (space >= 0)
      return `${characterAt(sql, path, token.start + space)}, which looks like blank space or nothing and is a letter to SQL: take it out, or write a plain space`;
    const mark = token.text.search(TYPOGRAPHIC);
    if (mark >= 0)
      return `${characterAt(sql, path, token.start + mark)}, which looks like a quote or a dash and is a letter to SQL: write a plain one (' or -)`;
  }
  return undefined;
}

function characterAt(sql: string, path: string, at: number): string {
  const code = sql.charCodeAt(at).toString(16).toUpperCase().padStart(4, '0');
  const column = at - sql.lastIndexOf('\n', at - 1);
  return `there is a character U+${code} at ${path}:${lineAt(sql, at)}:${column} (line and column)`;
}
