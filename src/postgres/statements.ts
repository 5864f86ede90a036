/** One statement of a script; `start` and `end` are offsets in UTF-16 units, `end` excludes the semicolon. */
export interface Statement {
  start: number;
  end: number;
  /** First keyword in lower case, '' for an empty statement. */
  keyword: string;
  /** The first four. */
  words: string[];
}

/**
 * The tokens that matter for finding the end of a statement, as psql's scanner knows them (PostgreSQL manual, 4.1).
 * The order decides: a longer form stands before the shorter one that it begins with.
 */
const TOKEN =
  /--[^\n]*|\/\*|[eE]'|'|"|\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$|[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*|\d[\w.]*|[();]|\s+|[\s\S]/gy;

/**
 * Splits a script at its top-level semicolons the way psql does: not inside strings, comments, dollar quotes, parentheses, or the
 * BEGIN ATOMIC body of a function. Empty statements are left out.
 */
export function* splitStatements(sql: string): Generator<Statement> {
  let start = -1;
  let keyword = '';
  let parens = 0;
  let bodies = 0;
  let words: string[] = [];
  TOKEN.lastIndex = 0;
  let at = 0;
  while (at < sql.length) {
    TOKEN.lastIndex = at;
    const token = (TOKEN.exec(sql) as RegExpExecArray)[0];
    const from = at;
    at += token.length;
    const c = token.charCodeAt(0);
    if (token === '/*') {
      at = endOfComment(sql, at);
      continue;
    }
    if (isSpace(c) || token.startsWith('--')) continue;
    if (token === ';' && parens === 0 && bodies === 0) {
      if (start >= 0) yield { start, end: from, keyword, words };
      start = -1;
      keyword = '';
      words = [];
      continue;
    }
    if (start < 0) start = from;
    if (c === DOLLAR && token.length > 1) {
      const end = sql.indexOf(token, at);
      at = end < 0 ? sql.length : end + token.length;
    } else if (token.endsWith("'") || token === '"') at = endOfQuote(sql, at, token);
    else if (token === '(') parens++;
    else if (token === ')') parens = Math.max(0, parens - 1);
    else if (isWord(c)) {
      const word = token.toLowerCase();
      if (words.length === 0) keyword = word;
      if (words.length < 4) words.push(word);
      if (parens === 0) bodies = bodyDepth(bodies, word, words);
    } else if (words.length === 0) {
      keyword = '';
      words.push('');
    }
  }
  if (start >= 0) yield { start, end: sql.length, keyword, words };
}

const DOLLAR = 36;

/** A doubled quote stands for itself; only an E string knows backslashes. Searched, not matched: a literal may have 50 MB. */
function endOfQuote(sql: string, at: number, open: string): number {
  const mark = open.length > 1 ? /\\[\s\S]|''|'/g : open === '"' ? /""|"/g : /''|'/g;
  mark.lastIndex = at;
  for (let match = mark.exec(sql); match; match = mark.exec(sql)) {
    if (match[0].length > 1) continue;
    // A literal goes on after blank space and line comments with a line break in them, and stays of its kind.
    const next = open === '"' ? undefined : CONTINUED.exec(sql.slice(mark.lastIndex, mark.lastIndex + MAX_GAP));
    if (!next) return mark.lastIndex;
    mark.lastIndex += next[0].length;
  }
  return sql.length;
}

const CONTINUED = /^[ \t\f\v\r]*(?:--[^\n]*)?\n(?:\s|--[^\n]*\n)*'/;
/** Longer blank space between two parts of one literal is not looked through. */
const MAX_GAP = 10_000;

function isSpace(c: number): boolean {
  return c === 32 || (c >= 9 && c <= 13) || c === 0xfeff || c === 0xa0;
}

function isWord(c: number): boolean {
  return (c >= 65 && c <= 90) || (c >= 97 && c <= 122) || c === 95 || c >= 0x80;
}

/** Comments nest in PostgreSQL. */
function endOfComment(sql: string, at: number): number {
  let depth = 1;
  const mark = /\/\*|\*\//g;
  mark.lastIndex = at;
  for (let match = mark.exec(sql); match; match = mark.exec(sql)) {
    depth += match[0] === '/*' ? 1 : -1;
    if (depth === 0) return mark.lastIndex;
  }
  return sql.length;
}

/** In CREATE FUNCTION or PROCEDURE, BEGIN … END may hold semicolons, and CASE … END may stand in between. */
function bodyDepth(depth: number, word: string, words: string[]): number {
  if (word !== 'begin' && word !== 'case' && word !== 'end') return depth;
  const rest = words[0] === 'create' ? words.slice(1).filter((w) => w !== 'or' && w !== 'replace') : [];
  if (rest[0] !== 'function' && rest[0] !== 'procedure') return depth;
  if (word === 'begin') return depth + 1;
  if (word === 'case') return depth > 0 ? depth + 1 : 0;
  return Math.max(0, depth - 1);
}

/** 1-based line of an offset. */
export function lineAt(sql: string, offset: number): number {
  let line = 1;
  for (let i = sql.indexOf('\n'); i >= 0 && i < offset; i = sql.indexOf('\n', i + 1)) line++;
  return line;
}

/** A statement cut to a length that fits an error message. */
export function excerpt(sql: string, max = 300): string {
  const text = sql.trim();
  return text.length <= max ? text : `${text.slice(0, max - 1)}…`;
}
