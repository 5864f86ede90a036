import { KasmDbError } from '../app/errors.js';
import { parseDuration } from '../config/duration.js';
import { checksum } from './checksum.js';

/** What is known of a migration without running it. */
export interface MigrationHeader {
  /** File name without ending: `0003_zones_and_managers`. */
  name: string;
  /** Its first four digits. */
  number: string;
  /** SHA-256, hex. */
  checksum: string;
  /** false: run statement by statement, each on its own (`no-transaction`). */
  transaction: boolean;
  /** A build whose newest migration has a smaller number must not run on a database that has this one. */
  minCompatible?: string;
  /** How long one attempt may wait for a table lock, in milliseconds. */
  lockTimeoutMs?: number;
  /** May be applied after newer ones. */
  outOfOrder: boolean;
  hasDown: boolean;
  /** Tables that it creates, to recognise a database that someone else has set up. */
  creates: readonly string[];
  /** The alembic_version it writes: the release of Kasm that the database then is. */
  vendorVersion?: string;
}

const NONE: readonly string[] = [];

/** A part of a text by itself: engines let it share the whole, and a file of 90 MB would stay in memory for the name of a table. */
const copyOf = (part: string) => Buffer.from(part).toString();

/** What is written nearly as a directive would silently be a comment. */
const NEARLY =
  /^\s*--+\s*kasm[-_ ]?db\b\s*:?\s*(no[-_ ]?transaction|min[-_ ]?compatible|lock[-_ ]?timeout|out[-_ ]?of[-_ ]?order|lint[-_ ]?ignore)\b/i;
const DIRECTIVE = /^\s*--\s*kasm-db:\s*(\S*)\s*(.*?)\s*$/;

/**
 * Reads the directives at the top of a migration, and what else of its text decides how it is planned.
 * @param path for messages
 * @throws KasmDbError usage, with file and line
 */
export function parseMigration(name: string, path: string, text: string, hasDown: boolean): MigrationHeader {
  const header: MigrationHeader = {
    name,
    number: name.slice(0, 4),
    checksum: checksum(text),
    transaction: true,
    outOfOrder: false,
    hasDown,
    creates: NONE,
  };
  // One glance instead of four: a history may be long, and few of its files have any of these.
  if (!/CREATE\s+TABLE|alembic_version|kasm/i.test(text)) return header;
  header.creates = [...text.matchAll(/^\s*CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(?:public\.)?"?(\w+)"?/gim)].map(
    (m) => copyOf(m[1] as string),
  );
  const vendor = /^\s*(?:INSERT\s+INTO|UPDATE)\s+(?:public\.)?alembic_version\b[^;]*?'(\w+)'/im.exec(text);
  if (vendor) header.vendorVersion = copyOf(vendor[1] as string);

  // Line by line is slow.
  if (/kasm/i.test(text)) readDirectives(header, path, text);
  return header;
}

function readDirectives(header: MigrationHeader, path: string, text: string): void {
  const fail = (line: number, message: string, hint: string): never => {
    throw new KasmDbError('usage', `${path}:${line}: ${message}`, { file: path, line, migration: header.name, hint });
  };
  let top = true;
  let depth = 0;
  for (const [i, line] of text.split('\n').entries()) {
    const directive = DIRECTIVE.exec(line);
    if (top) {
      if (directive && depth > 0)
        fail(i + 1, 'a directive stands inside of a comment', 'move it to a line of its own behind the */');
      const seen = outsideOfComments(line, depth);
      depth = seen.depth;
      if (seen.rest.trim() !== '') top = false;
    }
    // For `lint` alone, and about the statement below it.
    if (directive?.[1] === 'lint-ignore') continue;
    if (!directive && NEARLY.test(line))
      fail(i + 1, `"${line.trim()}" is nearly a directive`, 'write it as "-- kasm-db: NAME", all in small letters');
    if (directive) {
      if (!top) fail(i + 1, 'a directive must stand above the first statement', 'move it to the top of the file');
      applyDirective(header, directive[1] as string, directive[2] as string, (message, hint) =>
        fail(i + 1, message, hint),
      );
    }
  }
}

/** A line without its comments, which nest. @param depth of those that are open at its beginning */
function outsideOfComments(line: string, depth: number): { rest: string; depth: number } {
  let rest = '';
  let [at, open] = [0, depth];
  for (const { 0: mark, index } of line.matchAll(/\/\*|\*\/|--/g)) {
    if (open === 0) rest += line.slice(at, index);
    at = index + mark.length;
    if (mark === '--' && open === 0) return { rest, depth: 0 };
    if (mark === '/*') open++;
    if (mark === '*/') open = Math.max(0, open - 1);
  }
  return { rest: open === 0 ? rest + line.slice(at) : rest, depth: open };
}

function applyDirective(
  header: MigrationHeader,
  directive: string,
  value: string,
  fail: (message: string, hint: string) => never,
): void {
  switch (directive) {
    case 'no-transaction':
    case 'out-of-order':
      if (value) fail(`${directive} takes no value`, `write "-- kasm-db: ${directive}"`);
      if (directive === 'no-transaction') header.transaction = false;
      else header.outOfOrder = true;
      return;
    case 'min-compatible':
      if (!/^\d{4}$/.test(value))
        fail(`min-compatible "${value}" is not a number NNNN`, 'write "-- kasm-db: min-compatible 0003"');
      if (value > header.number)
        fail(`min-compatible ${value} is newer than this migration`, 'it names an older migration, or this one');
      header.minCompatible = copyOf(value);
      return;
    case 'lock-timeout':
      try {
        header.lockTimeoutMs = parseDuration(value, 'lock-timeout');
      } catch {
        fail(`lock-timeout "${value}" is not a duration`, 'write "-- kasm-db: lock-timeout 2s"');
      }
      // PostgreSQL takes 0 for no limit.
      if (header.lockTimeoutMs === 0)
        fail(`lock-timeout "${value}" would wait for ever`, 'write "-- kasm-db: lock-timeout 2s"');
      return;
    default:
      fail(
        `unknown directive "${directive}"`,
        'known are no-transaction, min-compatible NNNN, lock-timeout DURATION, out-of-order, lint-ignore RULE REASON',
      );
  }
}
