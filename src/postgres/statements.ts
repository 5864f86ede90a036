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
 * The tokens that matter for finding the end of a statement, as psql's scanner knows them (PostgreSQL manual, 4.1). A backslash begins a command
 * of psql, to the end of its line; SQL has none outside of quotes.
 * The order decides: a longer form stands before the shorter one that it begins with.
 */
const TOKEN =
  /--[^\n]*|\/\*|\\[^\n]*|[eE]'|'|"|\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$|[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*|\d[\w.]*|[();]|[ \t\n\v\f\r]+|[\s\S]/gy;

interface Token {
  /** Of a literal, a quoted name or a dollar quote only how it begins. */
  text: string;
  start: number;
  end: number;
}

/** Everything but blank space and comments, in order. @param gaps told where blank space and comments stand between the parts of one literal */
export function* tokensOf(sql: string, gaps?: [start: number, end: number][]): Generator<Token> {
  let at = 0;
  while (at < sql.length) {
    TOKEN.lastIndex = at;
    const text = (TOKEN.exec(sql) as RegExpExecArray)[0];
    const start = at;
    at += text.length;
    const c = text.charCodeAt(0);
    if (text === '/*') at = endOfComment(sql, at);
    else if (!isSpace(c) && !text.startsWith('--')) {
      if (c === DOLLAR && text.length > 1) {
        const end = sql.indexOf(text, at);
        at = end < 0 ? sql.length : end + text.length;
      } else if (text.endsWith("'") || text === '"') at = endOfQuote(sql, at, text, gaps);
      yield { text, start, end: at };
    }
  }
}

/**
 * Splits a script at its top-level semicolons the way psql does: not inside strings, comments, dollar quotes, parentheses, or the
 * BEGIN ATOMIC body of a function. Empty statements are left out.
 */
export function* splitStatements(sql: string): Generator<Statement> {
  let start = -1;
  let parens = 0;
  let bodies = 0;
  let words: string[] = [];
  for (const token of tokensOf(sql)) {
    if (token.text === ';' && parens === 0 && bodies === 0) {
      if (start >= 0) yield { start, end: token.start, keyword: words[0] ?? '', words };
      start = -1;
      words = [];
      continue;
    }
    if (start < 0) start = token.start;
    if (token.text === '(') parens++;
    else if (token.text === ')') parens = Math.max(0, parens - 1);
    else if (isWord(token.text.charCodeAt(0)) && !token.text.endsWith("'")) {
      const word = token.text.toLowerCase();
      if (words.length < 4) words.push(word);
      if (parens === 0) bodies = bodyDepth(bodies, word, words);
    } else if (words.length === 0 && !isQuote(token)) words.push('');
  }
  if (start >= 0) yield { start, end: sql.length, keyword: words[0] ?? '', words };
}

/**
 * A literal may go on behind a line break and comments, which PostgreSQL reads and libpg-query, that keeps comments, does not: they are made blank.
 * No other byte of the script moves.
 */
export function blankGaps(sql: string): string {
  const gaps: [number, number][] = [];
  for (const _ of tokensOf(sql, gaps));
  let out = '';
  let at = 0;
  for (const [start, end] of gaps) {
    const blank = sql.slice(start, end).replace(/--[^\n]*/g, (comment) => ' '.repeat(Buffer.byteLength(comment)));
    out += sql.slice(at, start) + blank;
    at = end;
  }
  return out + sql.slice(at);
}

/** Commands of psql (`\connect other`), outside of quotes and comments. */
export function* psqlCommands(sql: string): Generator<{ start: number; end: number; name: string }> {
  if (!sql.includes('\\')) return;
  for (const { text, start, end } of tokensOf(sql)) {
    if (text.startsWith('\\')) yield { start, end, name: /^\\(?:[a-z_]+|.)/i.exec(text)?.[0] ?? text };
  }
}

/** The server counts characters, JavaScript UTF-16 units. */
export function utf16Offset(text: string, characters: number): number {
  let offset = 0;
  for (let i = 0; i < characters && offset < text.length; i++) {
    const code = text.charCodeAt(offset);
    offset += code >= 0xd800 && code < 0xdc00 ? 2 : 1;
  }
  return offset;
}

/** Where the first token begins: behind blank space and comments, or at the end. */
export function skipBlank(sql: string): number {
  return tokensOf(sql).next().value?.start ?? sql.length;
}

/** A literal, a quoted name or a dollar quote. */
export function isQuote({ text }: Pick<Token, 'text'>): boolean {
  return /^["$]|'$/.test(text);
}

const DOLLAR = 36;

/** A doubled quote stands for itself; only an E string knows backslashes. Searched, not matched: a literal may have 50 MB. */
function endOfQuote(sql: string, at: number, open: string, gaps?: [number, number][]): number {
  const mark = open.length > 1 ? /\\[\s\S]|''|'/g : open === '"' ? /""|"/g : /''|'/g;
  mark.lastIndex = at;
  for (let match = mark.exec(sql); match; match = mark.exec(sql)) {
    if (match[0].length > 1) continue;
    // A literal goes on after blank space and line comments with a line break in them, and stays of its kind.
    const next = open === '"' ? undefined : CONTINUED.exec(sql.slice(mark.lastIndex, mark.lastIndex + MAX_GAP));
    if (!next) return mark.lastIndex;
    gaps?.push([mark.lastIndex, mark.lastIndex + next[0].length - 1]);
    mark.lastIndex += next[0].length;
  }
  return sql.length;
}

const CONTINUED = /^[ \t\f\v\r]*(?:--[^\n]*)?\n(?:[ \t\n\v\f\r]|--[^\n]*\n)*'/;
/** Longer blank space between two parts of one literal is not looked through. */
const MAX_GAP = 10_000;

function isSpace(c: number): boolean {
  return c === 32 || (c >= 9 && c <= 13);
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
  return lineCounter(sql)(offset);
}

/** The same for offsets in rising order, without counting from the start for each: a file may have 20,000 statements. */
export function lineCounter(sql: string): (offset: number) => number {
  let line = 1;
  let next = sql.indexOf('\n');
  return (offset) => {
    for (; next >= 0 && next < offset; next = sql.indexOf('\n', next + 1)) line++;
    return line;
  };
}

/** A statement cut to a length that fits an error message. */
export function excerpt(sql: string, max = 300): string {
  const text = sql.trim();
  return text.length <= max ? text : `${text.slice(0, max - 1)}…`;
}
