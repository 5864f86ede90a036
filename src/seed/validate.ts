import * as z from 'zod';
import { dictionary } from '../app/dictionary.js';
import { type Breathe, breather } from '../app/time.js';
import type { Column, Table } from './catalog.js';
import { type Problem, problemOf, type SeedRow, valueIn } from './document.js';
import { docKeyOf, NATURAL_KEYS } from './row-keys.js';
import { looksLikeToken, parseToken, tokensIn } from './tokens.js';

const TIMESTAMP =
  /^\d{4}-\d{2}-\d{2}([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?( ?(Z|[+-](0\d|1[0-5])(:?[0-5]\d)?))?)?$/;

const uuid = z.guid('is not a UUID');
const day = z.iso.date();
const isRealDate = (value: string) => day.safeParse(value.slice(0, 10)).success;
const timestamp = z.string().regex(TIMESTAMP, 'is not a timestamp').refine(isRealDate, 'is not a day of the calendar');
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
  uuid,
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
  timestamp,
  timestamptz: timestamp,
  date: z
    .string()
    .regex(/^\d{4}-\d{2}-\d{2}$/, 'is not a date')
    .refine(isRealDate, 'is not a day of the calendar'),
  time: z.iso.time('is not a time of day'),
  json,
  jsonb: json,
  bytea: z.union([z.instanceof(Uint8Array), text]),
  _varchar: z.array(text),
  _text: z.array(text),
});

/**
 * Everything that is wrong with the rows, before anything is written: unknown tables, columns and tokens, wrong types, values that are
 * too long, required columns without a value, duplicates. Pure.
 * @param isGiven does something else than the documents give a row the value of that column?
 */
export async function validateRows(
  rows: readonly SeedRow[],
  catalog: ReadonlyMap<string, Table>,
  isGiven: (row: SeedRow, table: Table, column: string) => boolean,
  breathe: Breathe = breather(),
): Promise<Problem[]> {
  const problems: Problem[] = [];
  const seen = new Map<string, SeedRow>();
  for (const row of rows) {
    await breathe();
    const { table: name, file } = row;
    const table = catalog.get(name);
    if (!table) {
      problems.push(problemOf(row, `the database has no table "${name}"`));
      continue;
    }
    for (const [columnName, { value, line }] of row.cells) {
      const column = table.columns.get(columnName);
      if (!column) problems.push({ file, line, message: `table "${name}" has no column "${columnName}"` });
      const message = column && cellProblem(column, value);
      if (message) problems.push({ file, line, message: `${name}.${columnName} ${message}` });
    }
    for (const column of table.columns.values()) {
      if (!column.notNull || column.hasDefault || valueIn(row, column.name) !== null) continue;
      if (!isGiven(row, table, column.name)) problems.push(problemOf(row, `${name}.${column.name} is required`));
    }
    for (const [what, identity] of identities(row, table)) {
      const key = JSON.stringify([name, what, identity]);
      const other = seen.get(key);
      if (other) {
        const message = `${name}: the same row stands in ${other.file}:${other.line} (same ${what})`;
        problems.push(problemOf(row, message));
      } else seen.set(key, row);
    }
  }
  return problems;
}

/** By what a row must not stand in the documents twice: its id, its natural key; one that has neither, all its values. */
function identities(row: SeedRow, table: Table): [what: string, identity: unknown][] {
  const keys = [table.primaryKey, NATURAL_KEYS[row.table] ?? []].filter((columns) =>
    columns.some((column) => valueIn(row, column) !== null),
  );
  if (keys.length === 0) return [['values', docKeyOf(row, table)]];
  return keys.map((columns) => [columns.join(', '), columns.map((column) => valueIn(row, column))]);
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
  const offer = (table: string, column: string, value: unknown) => `${table}.${column}\0${String(value).toLowerCase()}`;
  const targets = new Set(
    [...catalog.values()].flatMap(({ foreignKeys }) => foreignKeys.map(({ table, target }) => `${table}.${target}`)),
  );
  const offered = new Set(
    rows.flatMap(({ table, cells }) =>
      [...cells].flatMap(([column, { value }]) =>
        targets.has(`${table}.${column}`) ? [offer(table, column, value)] : [],
      ),
    ),
  );
  return rows.flatMap((row) =>
    (catalog.get(row.table)?.foreignKeys ?? []).flatMap(({ column, table, target }) => {
      const cell = row.cells.get(column);
      if (!cell || cell.value === null) return [];
      if (offered.has(offer(table, target, cell.value)) || inDatabase(table, target, String(cell.value))) return [];
      // Only ids are shown: what else a customer's foreign key starts from may be secret.
      const id = isId(cell.value) ? `${cell.value}` : 'a value';
      const message = `${row.table}.${column} refers to ${id}, and neither a document nor the database has that row of ${table}`;
      return [{ file: row.file, line: cell.line, message }];
    }),
  );
}

const isId = (value: unknown) => typeof value === 'number' || uuid.safeParse(value).success || looksLikeToken(value);

function cellProblem(column: Column, value: unknown): string | undefined {
  if (value === null) return undefined;
  if (looksLikeToken(value)) {
    const token = parseToken(value);
    if (!token) return `has an unknown token ${value}`;
    return token.types.includes(column.type) ? undefined : `is of type ${column.type}, which ${value} does not make`;
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
