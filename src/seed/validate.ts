import * as z from 'zod';
import { dictionary } from '../app/dictionary.js';
import { type Breathe, breather } from '../app/time.js';
import type { Column, Table } from './catalog.js';
import type { SeedRow } from './document.js';
import { NATURAL_KEYS } from './natural-keys.js';
import type { Problem } from './problems.js';
import { recordId } from './records.js';
import { docKeyOf } from './row-keys.js';
import { looksLikeToken, parseToken, tokensIn } from './tokens.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const TIMESTAMP =
  /^\d{4}-\d{2}-\d{2}([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?( ?(Z|[+-](0\d|1[0-5])(:?[0-5]\d)?))?)?$/;
const TIME = /^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?$/;

const text = z
  .string()
  .refine((value) => !value.includes('\0'), 'holds a NUL character')
  .refine((value) => !/\p{Surrogate}/u.test(value), 'holds half of a surrogate pair');
const integer = (bits: 16 | 32 | 64) => {
  // What YAML has read beyond 2^53 is already another number.
  const largest = Math.min(2 ** (bits - 1) - 1, Number.MAX_SAFE_INTEGER);
  return z
    .number()
    .refine(Number.isInteger, { error: 'is not a whole number', abort: true })
    .min(-largest - (bits < 64 ? 1 : 0), 'is too small')
    .max(largest, 'is too large');
};
/** JSON.stringify writes both as an escape of four hex digits, which jsonb refuses; a backslash before it would be a plain text. */
const json = z
  .json()
  .refine(
    (value) => !/(?<!\\)(\\\\)*\\u(0000|d[89a-f])/.test(JSON.stringify(value)),
    'holds a NUL or half a character',
  );

/** What a column of each type takes, as the vendor's loader would hand it to the server. */
const TYPES = dictionary<z.ZodType>({
  uuid: z.string().regex(UUID, 'is not a UUID'),
  bool: z.boolean(),
  int2: integer(16),
  int4: integer(32),
  int8: integer(64),
  float4: z.number(),
  float8: z.number(),
  numeric: z.number(),
  varchar: text,
  bpchar: text,
  text,
  timestamp: z.string().regex(TIMESTAMP, 'is not a timestamp').refine(isRealDate, 'is not a day of the calendar'),
  timestamptz: z.string().regex(TIMESTAMP, 'is not a timestamp').refine(isRealDate, 'is not a day of the calendar'),
  date: z
    .string()
    .regex(/^\d{4}-\d{2}-\d{2}$/, 'is not a date')
    .refine(isRealDate, 'is not a day of the calendar'),
  time: z.string().regex(TIME, 'is not a time of day'),
  json,
  jsonb: json,
  bytea: z.union([z.instanceof(Uint8Array), text]),
  _varchar: z.array(text),
  _text: z.array(text),
});

function isRealDate(value: string): boolean {
  const [year = 0, month = 0, day = 0] = value.slice(0, 10).split('-').map(Number);
  const date = new Date(Date.UTC(year, month - 1, day));
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day && !Number.isNaN(Date.parse(value.slice(0, 10)));
}

/**
 * Everything that is wrong with the rows, before anything is written: unknown tables, columns and tokens, wrong types, values that are
 * too long, required columns without a value, duplicates. Pure.
 * @param filled columns that credentials fill in, `users.pw_hash`; `all`: no row will be inserted, so that none has to be given
 * @param known rows that an earlier seed has written or found, by recordId: they are not inserted again
 */
export async function validateRows(
  rows: readonly SeedRow[],
  catalog: ReadonlyMap<string, Table>,
  filled: ReadonlySet<string> | 'all',
  breathe: Breathe = breather(),
  known: ReadonlySet<string> = new Set(),
): Promise<Problem[]> {
  const problems: Problem[] = [];
  const seen = new Map<string, SeedRow>();
  for (const row of rows) {
    await breathe();
    const table = catalog.get(row.table);
    if (!table) {
      problems.push({ file: row.file, line: row.line, message: `the database has no table "${row.table}"` });
      continue;
    }
    for (const [name, { value, line }] of row.cells) {
      const column = table.columns.get(name);
      const message = column ? cellProblem(column, value) : `table "${row.table}" has no column "${name}"`;
      if (message)
        problems.push({ file: row.file, line, message: column ? `${row.table}.${name} ${message}` : message });
    }
    const written = filled === 'all' || known.has(recordId({ table: row.table, docKey: docKeyOf(row, table) }));
    for (const column of table.columns.values()) {
      const value = row.cells.get(column.name)?.value ?? null;
      const given = value !== null || written || filled.has(`${row.table}.${column.name}`);
      if (column.notNull && !column.hasDefault && !given) {
        problems.push({ file: row.file, line: row.line, message: `${row.table}.${column.name} is required` });
      }
    }
    for (const key of identities(row, table)) {
      const other = seen.get(key);
      if (other) {
        problems.push({
          file: row.file,
          line: row.line,
          message: `${row.table}: the same row stands in ${other.file}:${other.line} (same ${JSON.parse(key)[1]})`,
        });
      } else seen.set(key, row);
    }
  }
  return problems;
}

/** By what a row must not stand in the documents twice: its id, its natural key; one that has neither, all its values. */
function identities(row: SeedRow, table: Table): string[] {
  const value = (column: string) => row.cells.get(column)?.value ?? null;
  const keys = [table.primaryKey, NATURAL_KEYS[row.table] ?? []].filter((columns) =>
    columns.some((column) => value(column) !== null),
  );
  if (keys.length === 0) return [JSON.stringify([row.table, 'values', docKeyOf(row, table)])];
  return keys.map((columns) => JSON.stringify([row.table, columns.join(', '), columns.map(value)]));
}

/**
 * References to a row that neither a document nor the database has. Pure.
 * @param inDatabase is there a row of this table with this value (or token) in this column?
 */
export function danglingReferences(
  rows: readonly SeedRow[],
  catalog: ReadonlyMap<string, Table>,
  inDatabase: (table: string, column: string, value: string) => boolean,
): Problem[] {
  const plain = (value: unknown) => String(value).toLowerCase();
  const targets = new Set(
    [...catalog.values()].flatMap((table) => table.foreignKeys.map((key) => `${key.table}.${key.target}`)),
  );
  const offered = new Set(
    rows.flatMap((row) =>
      [...row.cells]
        .filter(([column]) => targets.has(`${row.table}.${column}`))
        .map(([column, { value }]) => `${row.table}.${column}\0${plain(value)}`),
    ),
  );
  return rows.flatMap((row) =>
    (catalog.get(row.table)?.foreignKeys ?? []).flatMap(({ column, table, target }) => {
      const cell = row.cells.get(column);
      if (!cell || cell.value === null) return [];
      if (offered.has(`${table}.${target}\0${plain(cell.value)}`)) return [];
      if (inDatabase(table, target, String(cell.value))) return [];
      // Only ids are shown: what else a customer's foreign key starts from may be secret.
      const id = isId(cell.value) ? `${cell.value}` : 'a value';
      const message = `${row.table}.${column} refers to ${id}, and neither a document nor the database has that row of ${table}`;
      return [{ file: row.file, line: cell.line, message }];
    }),
  );
}

const isId = (value: unknown) =>
  typeof value === 'number' || (typeof value === 'string' && (UUID.test(value) || looksLikeToken(value)));

function cellProblem(column: Column, value: unknown): string | undefined {
  if (value === null) return undefined;
  if (looksLikeToken(value)) {
    const token = parseToken(value);
    if (!token) return `has an unknown token ${value}`;
    const makes =
      token.kind === 'uuid'
        ? ['uuid', 'varchar', 'text']
        : token.kind === 'datetime'
          ? ['timestamp', 'timestamptz']
          : ['varchar', 'text', 'bytea'];
    return makes.includes(column.type) ? undefined : `is of type ${column.type}, which ${value} does not make`;
  }
  const unknown = tokensIn(value).find((token) => !parseToken(token));
  if (unknown) return `has an unknown token ${unknown}`;
  const type = TYPES[column.type];
  const parsed = type?.safeParse(value);
  if (parsed && !parsed.success) {
    const issue = parsed.error.issues[0] as z.core.$ZodIssue;
    return issue.code === 'invalid_type' || issue.code === 'invalid_union'
      ? `is not of type ${column.type}`
      : issue.message;
  }
  if (column.maxLength !== null && typeof value === 'string' && [...value].length > column.maxLength) {
    return `has ${[...value].length} characters, more than ${column.maxLength}`;
  }
  return undefined;
}
