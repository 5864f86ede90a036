import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { messageOf } from '../app/errors.js';
import type { Cell, SeedContent } from './document.js';
import { type Problem, refuse } from './problems.js';

/** Expanding an alias more often than this is a YAML bomb. */
const MAX_ALIASES = 1000;

/** No seed document comes near these, and the parser takes seconds for what has more, in which no signal is answered. */
const LIMITS: [what: string, form: RegExp, most: number][] = [
  ['rows', /^[ ]*- /gm, 20_000],
  ['aliases', /(?:^|[\s[{,:?-])\*[^\s,[\]{}*]+/gm, MAX_ALIASES],
  ['tags', /(?:^|[\s[{,:?-])!/gm, 1000],
];

function refuseTooMuch(file: string, text: string): void {
  for (const [what, form, most] of LIMITS)
    if ((text.match(form)?.length ?? 0) > most)
      refuse([{ file, line: 1, message: `it has more than ${most.toLocaleString('en-US')} ${what}` }]);
}

/**
 * Reads a seed document with a parser that knows all of YAML.
 * @throws KasmDbError seed, with file and line
 */
export function readYaml(file: string, text: string): SeedContent {
  refuseTooMuch(file, text);
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, customTags: ['binary'], uniqueKeys: true });
  const lineOf = (node: unknown) => {
    const range = (node as Node | undefined)?.range;
    return range ? counter.linePos(range[0]).line : 1;
  };
  const problems: Problem[] = [];
  const problem = (line: number, message: string) => void problems.push({ file, line, message });
  // What follows the first is mostly its echo.
  const [syntax] = document.errors;
  if (syntax) problem(counter.linePos(syntax.pos[0]).line, `not YAML: ${plainly(syntax.message)}`);
  refuse(problems);
  const root = resolved(document.contents, document);
  const result: SeedContent = { alembicVersion: undefined, rows: [] };
  if (!isMap(root)) {
    problem(1, 'the top level must be a map of tables');
    refuse(problems);
    return result;
  }
  for (const { key, value } of root.items) {
    const table = String(isScalar(key) ? key.value : key);
    const line = lineOf(key);
    const content = resolved(value, document);
    if (table === 'alembic_version') {
      result.alembicVersion = { value: String(isScalar(content) ? content.value : ''), line };
      continue;
    }
    if (value === null || (isScalar(content) && content.value === null)) continue;
    if (!isSeq(content)) {
      problem(line, `"${table}" must be a list of rows`);
      continue;
    }
    for (const item of content.items) {
      const row = resolved(item, document);
      if (!isMap(row)) {
        problem(lineOf(item), `a row of "${table}" must be a map of column: value`);
        continue;
      }
      const cells = new Map<string, Cell>();
      for (const pair of row.items) {
        const column = String(isScalar(pair.key) ? pair.key.value : pair.key);
        const at = lineOf(pair.key);
        try {
          cells.set(column, { value: plainValue(pair.value, document), line: at });
        } catch (error) {
          problem(at, messageOf(error));
        }
      }
      result.rows.push({ table, file, line: lineOf(item), cells });
    }
  }
  refuse(problems);
  return result;
}

/** The parser's words without what it quotes: a configuration export holds secrets. */
function plainly(message: string): string {
  return message.split(/:? at line |: "|\n/)[0] as string;
}

function resolved(node: unknown, document: Document): unknown {
  return isAlias(node) ? node.resolve(document) : node;
}

function plainValue(node: unknown, document: Document): unknown {
  if (node === null || node === undefined) return null;
  const target = resolved(node, document) as Node | undefined;
  if (target === undefined) throw new Error('the alias has no anchor');
  // Nearly all values are: a map's way, with its counting of aliases, would cost as much as the parser.
  if (isScalar(target)) return target.value;
  let value: unknown;
  try {
    value = target.toJS(document, { maxAliasCount: MAX_ALIASES });
  } catch (error) {
    // Too many aliases; or one without an anchor, inside the value.
    throw new Error(`cannot be read: ${plainly(messageOf(error))}`);
  }
  try {
    // A loop of anchors makes a value that contains itself.
    JSON.stringify(value);
  } catch {
    throw new Error('an anchor contains itself');
  }
  return value;
}
