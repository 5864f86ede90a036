import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { isKasmDbError, KasmDbError, messageOf } from '../errors.js';

/** One value of a row, and where it stands. */
export interface Cell {
  value: unknown;
  line: number;
}

export interface SeedRow {
  table: string;
  file: string;
  line: number;
  cells: Map<string, Cell>;
}

export interface SeedDocument {
  file: string;
  alembicVersion: { value: string; line: number } | undefined;
  rows: SeedRow[];
  /** A `custom` overlay: merged into the others instead of standing beside them. */
  overlay: boolean;
}

export interface Problem {
  file: string;
  line: number;
  message: string;
}

/** More than any configuration export has; what is larger is no seed document. */
const MAX_BYTES = 64 * 1024 * 1024;
/** Expanding an alias more often than this is a YAML bomb. */
const MAX_ALIASES = 1000;

/** The name that the vendor gives the overlay; a customer's file may begin with "custom" too. */
const OVERLAY = /^custom(_properties)?\.ya?ml$/;

/** One error that lists everything that is wrong. @throws KasmDbError seed */
export function refuse(problems: readonly Problem[]): void {
  if (problems.length === 0) return;
  const sorted = [...problems].sort((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1));
  const [first] = sorted as [Problem];
  const shown = sorted.slice(0, MAX_SHOWN).map(({ file, line, message }) => `${file}:${line}: ${message}`);
  const more = sorted.length > MAX_SHOWN ? [`and ${sorted.length - MAX_SHOWN} more`] : [];
  throw new KasmDbError(
    'seed',
    `${sorted.length} problem${sorted.length === 1 ? '' : 's'} in the seed documents, nothing was written:\n${[...shown, ...more].join('\n')}`,
    { file: first.file, line: first.line, hint: 'correct the documents and run the command again' },
  );
}

const MAX_SHOWN = 50;

/** The documents that ship with this build. */
export async function shippedDocuments(): Promise<SeedDocument[]> {
  const { documents } = await import('kasm-db:seeds');
  return Object.entries(documents).map(([file, text]) => parseSeed(`seeds/${file}`, text));
}

/**
 * Reads `--seeds`: a file (such as Kasm's default_properties.yaml or export_data.yaml), or a folder of them. custom_properties.yaml is an
 * overlay; alone, it goes over the documents that ship with this build.
 * @throws KasmDbError seed, usage
 */
export async function readDocuments(path: string | undefined): Promise<SeedDocument[]> {
  if (path === undefined) return shippedDocuments();
  const files = listFiles(path);
  const documents = files.map((file) => parseSeed(file, readText(file)));
  return documents.every((document) => document.overlay) ? [...(await shippedDocuments()), ...documents] : documents;
}

function listFiles(path: string): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    const files = readdirSync(path)
      .filter((file) => /\.ya?ml$/.test(file) && !file.startsWith('.'))
      .sort();
    if (files.length === 0) throw new KasmDbError('usage', `--seeds: ${path} holds no .yaml file`);
    return files.map((file) => join(path, file));
  } catch (error) {
    if (isKasmDbError(error)) throw error;
    throw new KasmDbError('usage', `--seeds: cannot read ${path} (${messageOf(error)})`, { hint: 'correct --seeds' });
  }
}

function readText(file: string): string {
  if (!existsSync(file) || statSync(file).size > MAX_BYTES) {
    throw new KasmDbError('seed', `${file} is larger than ${MAX_BYTES / 1024 / 1024} MB; that is no seed document`, {
      file,
    });
  }
  const bytes = readFileSync(file);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new KasmDbError('seed', `${file} is not UTF-8 text`, { file });
  }
  if (text.includes('\0')) throw new KasmDbError('seed', `${file} holds a NUL byte; it is no text`, { file });
  return text;
}

/**
 * Reads one document of Kasm's seed format: `alembic_version`, and a list of rows for each table.
 * @throws KasmDbError seed, with file and line
 */
export function parseSeed(file: string, text: string): SeedDocument {
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
  const result: SeedDocument = { file, alembicVersion: undefined, rows: [], overlay: OVERLAY.test(basename(file)) };
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
