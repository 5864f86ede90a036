import { messageOf } from '../app/errors.js';
import { breather } from '../app/time.js';
import { isAlias, isMap, isScalar, isSeq, parseYaml, type YamlDocument, YamlFault } from '../app/yaml.js';
import { type Cell, type Problem, refuse, type SeedDocument } from './document.js';

/** What all values of a document may take, in bytes, with what its aliases stand for: more is a YAML bomb. */
const MOST_BYTES = 32 << 20;
/** What a value takes besides its text. */
const VALUE_BYTES = 32;

/**
 * Reads a seed document.
 * @throws KasmDbError seed, with file and line; the signal's reason
 */
export async function readYaml(
  file: string,
  text: string,
  signal?: AbortSignal,
): Promise<Pick<SeedDocument, 'alembicVersion' | 'rows'>> {
  const document = await parseYaml(text, signal).catch((error) => {
    if (error instanceof YamlFault) refuse([{ file, line: error.line, message: error.message }]);
    throw error;
  });
  const { resolve, lineOf } = document;
  const problems: Problem[] = [];
  const problem = (line: number, message: string) => void problems.push({ file, line, message });
  const rows: SeedDocument['rows'] = [];
  let alembicVersion: SeedDocument['alembicVersion'];
  const root = resolve(document.contents);
  if (!isMap(root)) problem(1, 'the top level must be a map of tables');
  const plain = plainValues(document);
  const breathe = breather(signal);
  for (const { key, value } of isMap(root) ? root.items : []) {
    const table = nameOf(key);
    const content = resolve(value);
    if (table === 'alembic_version') {
      alembicVersion = { value: String(isScalar(content) ? content.value : ''), line: lineOf(key) };
      continue;
    }
    if (value === null || (isScalar(content) && content.value === null)) continue;
    if (!isSeq(content)) problem(lineOf(key), `"${table}" must be a list of rows`);
    for (const item of isSeq(content) ? content.items : []) {
      await breathe();
      const row = resolve(item);
      if (!isMap(row)) {
        problem(lineOf(item), `a row of "${table}" must be a map of column: value`);
        continue;
      }
      const cells = new Map<string, Cell>();
      for (const pair of row.items) {
        const line = lineOf(pair.key);
        try {
          cells.set(nameOf(pair.key), { value: plain(pair.value), line });
        } catch (error) {
          problem(line, messageOf(error));
        }
      }
      rows.push({ table, file, line: lineOf(item), cells });
    }
  }
  refuse(problems);
  return { alembicVersion, rows };
}

const nameOf = (key: unknown) => String(isScalar(key) ? key.value : key);

/** @returns makes values of JavaScript of nodes; throws an Error that says why a node has none */
function plainValues({ resolve }: YamlDocument): (node: unknown) => unknown {
  const open = new Set<unknown>();
  let bytes = 0;
  const plain = (node: unknown): unknown => {
    const target = resolve(node);
    if (target === undefined && isAlias(node)) throw new Error('the alias has no anchor');
    bytes += VALUE_BYTES + (isScalar(target) && typeof target.value === 'string' ? target.value.length : 0);
    if (bytes > MOST_BYTES) throw new Error(`with its aliases the document is larger than ${MOST_BYTES >> 20} MB`);
    if (isScalar(target)) return target.value;
    if (!isMap(target) && !isSeq(target)) return null;
    if (open.has(target)) throw new Error('an anchor contains itself');
    open.add(target);
    try {
      return isMap(target)
        ? Object.fromEntries(target.items.map((pair) => [nameOf(pair.key), plain(pair.value)]))
        : target.items.map(plain);
    } finally {
      open.delete(target);
    }
  };
  return plain;
}
