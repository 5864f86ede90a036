import type { SeedContent, SeedRow } from './documents.js';

/** `table:` and `alembic_version: value`, at the left margin. */
const TOP = /^([A-Za-z_]\w*):(?: +(.*?))? *$/;
/** `  - column: value`, or without the dash. */
const CELL = /^( *)(- )?([A-Za-z_]\w*):(?: +(.*?))? *$/;
const BLANK = /^ *(?:#.*)?$/;

/**
 * Reads a seed document whose every value stands on one line and means the same to every reader of YAML, as nearly all of them do.
 * Whatever else YAML has (folded text, anchors, flow style, tags, a key given twice, a mistake) is left to the parser.
 * @returns undefined when the document has anything of that kind
 */
export function readPlain(file: string, text: string): SeedContent | undefined {
  // Also what a CSV of control characters would be to YAML: an error.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  if (/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]|\p{Surrogate}/u.test(text))
    return undefined;
  const content: SeedContent = { alembicVersion: undefined, rows: [] };
  const tables = new Set<string>();
  let table: string | undefined;
  /** Where the table's dashes stand; undefined before its first row. */
  let margin: string | undefined;
  let row: SeedRow | undefined;
  let line = 0;
  for (const source of text.split('\n')) {
    line++;
    if (BLANK.test(source)) continue;
    const top = TOP.exec(source);
    if (top) {
      const [, name = '', rest] = top;
      // A table without rows is seldom, and may go on in ways that only YAML knows.
      if (isWord(name) || tables.has(name) || (table !== undefined && row === undefined)) return undefined;
      tables.add(name);
      row = undefined;
      margin = undefined;
      table = undefined;
      if (name === 'alembic_version') {
        const value = rest === undefined ? undefined : scalar(rest);
        if (typeof value !== 'string') return undefined;
        content.alembicVersion = { value, line };
      } else if (rest === undefined) table = name;
      else return undefined;
      continue;
    }
    const cell = CELL.exec(source);
    if (!cell || table === undefined) return undefined;
    const [, indent = '', dash, column = '', rest] = cell;
    if (dash) {
      margin ??= indent;
      if (indent !== margin) return undefined;
      row = { table, file, line, cells: new Map() };
      content.rows.push(row);
    } else if (row === undefined || indent.length !== (margin as string).length + 2) return undefined;
    const value = rest === undefined ? null : scalar(rest);
    if (value === undefined || isWord(column) || row.cells.has(column)) return undefined;
    row.cells.set(column, { value, line });
  }
  return tables.size > 0 && (table === undefined || row !== undefined) ? content : undefined;
}

const SINGLE_QUOTED = /^'(?:[^']|'')*'$/;
const DOUBLE_QUOTED = /^"[^"\\]*"$/;
const NUMBER = /^-?(?:0|[1-9]\d{0,14})(?:\.\d{1,9})?$/;
const ID_OR_TIME =
  /^(?:[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}|\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?)?)$/i;
const TOKEN = /^\$\{\w+(?::\w+)*\}$/;
/** Printable ASCII that begins with a letter; a colon must not end a word, and a # would begin a comment. */
const PLAIN_TEXT = /^[A-Za-z_](?:[ !-"$-9;-~]|:(?=[!-"$-~]))*$/;

/** @returns undefined when only a parser can say what it is */
function scalar(text: string): unknown {
  if (SINGLE_QUOTED.test(text)) return text.slice(1, -1).replaceAll("''", "'");
  if (DOUBLE_QUOTED.test(text)) return text.slice(1, -1);
  if (TOKEN.test(text) || ID_OR_TIME.test(text)) return text;
  if (NUMBER.test(text)) return Number(text);
  if (text === 'true') return true;
  if (text === 'false') return false;
  if (text === 'null') return null;
  return PLAIN_TEXT.test(text) && !isWord(text) ? text : undefined;
}

/** YAML's words for something else than text, in whatever case. */
function isWord(text: string): boolean {
  return /^(?:null|true|false)$/i.test(text);
}
