import {
  Composer,
  CST,
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  Parser,
} from 'yaml';
import { type Breathe, breather } from './time.js';

/** For those who read a document's nodes. */
export { isAlias, isMap, isScalar, isSeq };

/** No document of Kasm's comes near these; what has more takes a parser longer, and more memory, than a small pod has. */
const LIMITS = {
  /** Names, values, signs, blank space. */
  parts: 1_000_000,
  rows: 20_000,
  anchors: 1000,
  aliases: 1000,
  tags: 1000,
  levels: 100,
};
const LIMIT_NAMES = Object.keys(LIMITS) as (keyof typeof LIMITS)[];
/** What else than a part of the text a token is. */
const COUNTED: Partial<Record<string, keyof typeof LIMITS>> = {
  'seq-item-ind': 'rows',
  anchor: 'anchors',
  alias: 'aliases',
  tag: 'tags',
};
/** So many items of a list are made at a time. */
const PIECE = 200;

export interface YamlDocument {
  contents: unknown;
  /** What an alias stands for: the last node before it with that anchor. Everything else stands for itself. */
  resolve(node: unknown): unknown;
  /** 1-based. */
  lineOf(node: unknown): number;
}

/** What is wrong with a document. */
export class YamlFault extends Error {
  constructor(
    /** 1-based. */
    readonly line: number,
    message: string,
  ) {
    super(message);
  }
}

/**
 * Parses one document of all that YAML knows, within LIMITS, and lets signals in while it does.
 * @throws YamlFault; the signal's reason
 */
export async function parseYaml(text: string, signal?: AbortSignal): Promise<YamlDocument> {
  const counter = new LineCounter();
  const lineAt = (offset: number) => counter.linePos(offset).line;
  const breathe = breather(signal);

  counter.addNewLine(0);
  const parser = new Parser(counter.addNewLine);
  const tokens: CST.Token[] = [];
  const counts = { parts: 0, rows: 0, anchors: 0, aliases: 0, tags: 0, levels: 0 };
  let isText = false;
  for (const lexeme of new Lexer().lex(text)) {
    // The lexer says that a text follows, which may begin with anything.
    const kind = isText ? undefined : COUNTED[CST.tokenType(lexeme) ?? ''];
    isText = lexeme === CST.SCALAR;
    counts.parts++;
    counts.levels = parser.stack.length;
    if (kind) counts[kind]++;
    const most = LIMIT_NAMES.find((what) => counts[what] > LIMITS[what]);
    if (most) throw new YamlFault(1, `it has more than ${LIMITS[most].toLocaleString('en-US')} ${most}`);
    tokens.push(...parser.next(lexeme));
    await breathe();
  }
  tokens.push(...parser.end());
  const [, another] = tokens.filter(({ type }) => type === 'document');
  if (another) throw new YamlFault(lineAt(another.offset), 'not YAML: it holds several documents');

  // Its own search for keys that stand twice compares each with all.
  const composer = new Composer({ lineCounter: counter, customTags: ['binary'], uniqueKeys: false });
  const made: Document.Parsed[] = [];
  for (const token of tokens.flatMap((one) => [...piecesOf(one)])) {
    made.push(...(composer.next(token) as Iterable<Document.Parsed>));
    // What follows the first error is mostly its echo.
    if (made.at(-1)?.errors.length) break;
    await breathe();
  }
  made.push(...(composer.end(true, text.length) as Iterable<Document.Parsed>));
  const error = made.flatMap(({ errors }) => errors)[0];
  if (error) throw new YamlFault(lineAt(error.pos[0]), `not YAML: ${plainly(error.message)}`);
  const contents = joined(made.map((document) => document.contents));

  const lineOf = (node: unknown) => lineAt((node as Node | undefined)?.range?.[0] ?? 0);
  const { targets, twice } = await readNames(contents, breathe);
  if (twice !== undefined) throw new YamlFault(lineOf(twice), 'not YAML: Map keys must be unique');
  return { contents, resolve: (node) => (isAlias(node) ? targets.get(node) : node), lineOf };
}

/** The parser's words without what it quotes: a configuration export holds secrets. */
function plainly(message: string): string {
  return message.split(/:? at line |: "|\n/)[0] as string;
}

/** A document in pieces, none of which takes long to make: a map's entries, and of an entry's list some items. */
function* piecesOf(token: CST.Token): Generator<CST.Token> {
  if (token.type !== 'document' || token.value?.type !== 'block-map') return yield token;
  const root = token.value;
  for (const entry of root.items) {
    const list = entry.value?.type === 'block-seq' ? entry.value : undefined;
    for (let from = 0; from === 0 || from < (list?.items.length ?? 0); from += PIECE) {
      const items = list?.items.slice(from, from + PIECE) ?? [];
      const some = list ? { ...entry, value: { ...list, offset: startOf(items[0]) ?? list.offset, items } } : entry;
      const value = { ...root, offset: startOf(entry) ?? root.offset, items: [some as typeof entry] };
      yield { ...token, value };
    }
  }
}

/** Where an entry begins. */
function startOf(entry: CST.CollectionItem | undefined): number | undefined {
  return (entry?.start[0] ?? entry?.key ?? entry?.sep?.[0] ?? entry?.value)?.offset;
}

/** What was made of the pieces, put together: those of one entry have its key, which stands in one place. */
function joined([root, ...rest]: unknown[]): unknown {
  if (!isMap(root)) return root;
  const placeOf = ({ key }: { key: unknown }) => (key as Node | undefined)?.range?.[0];
  for (const piece of rest) {
    const [pair] = isMap(piece) ? piece.items : [];
    const last = root.items.at(-1);
    if (!pair || !last) continue;
    if (placeOf(pair) === placeOf(last) && isSeq(last.value) && isSeq(pair.value))
      last.value.items.push(...pair.value.items);
    else root.items.push(pair);
  }
  return root;
}

/** Finds what each alias stands for, and a key that its map has twice. */
async function readNames(contents: unknown, breathe: Breathe) {
  const anchors = new Map<string, unknown>();
  const targets = new Map<unknown, unknown>();
  let twice: unknown;
  const nodes: unknown[] = [contents];
  for (let node = nodes.pop(); node !== undefined && twice === undefined; node = nodes.pop()) {
    if (isAlias(node)) targets.set(node, anchors.get(node.source));
    else if (isNode(node) && node.anchor) anchors.set(node.anchor, node);
    if (isSeq(node)) for (const item of node.items.toReversed()) nodes.push(item);
    if (isMap(node)) {
      twice = keyTwice(node.items.map(({ key }) => key));
      for (const { key, value } of node.items.toReversed()) nodes.push(value, key);
    }
    await breathe();
  }
  return { targets, twice };
}

function keyTwice(keys: readonly unknown[]): unknown {
  const seen = new Set<unknown>();
  return keys.find((key) => {
    const name = isScalar(key) ? key.value : key;
    if (seen.has(name)) return true;
    seen.add(name);
    return false;
  });
}
