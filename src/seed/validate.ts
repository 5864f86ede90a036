import { z } from 'zod';
import type { Column, Table } from './catalog.js';
import type { Problem, SeedRow } from './documents.js';
import { NATURAL_KEYS } from './natural-keys.js';
import { looksLikeToken, parseToken } from './tokens.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const TIMESTAMP = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?( ?(Z|[+-]\d{2}(:?\d{2})?))?)?$/;
const TIME = /^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?$/;

const text = z.string().refine((value) => !value.includes('\0'), 'holds a NUL character');
const integer = (bits: 16 | 32 | 64) => {
  const limit = 2 ** (bits - 1);
  return z
    .number()
    .int('is not a whole number')
    .min(-limit, 'is too small')
    .max(limit - 1, 'is too large');
};
const json = z.json();

/** What a column of each type takes, as the vendor's loader would hand it to the server. */
const TYPES: Record<string, z.ZodType> = {
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
  timestamp: z.string().regex(TIMESTAMP, 'is not a timestamp').refine(isRealDate, 'is no day of the calendar'),
  timestamptz: z.string().regex(TIMESTAMP, 'is not a timestamp').refine(isRealDate, 'is no day of the calendar'),
  date: z
    .string()
    .regex(/^\d{4}-\d{2}-\d{2}$/, 'is not a date')
    .refine(isRealDate, 'is no day of the calendar'),
  time: z.string().regex(TIME, 'is not a time of day'),
  json,
  jsonb: json,
  bytea: z.union([z.instanceof(Uint8Array), text]),
  _varchar: z.array(text),
  _text: z.array(text),
};

function isRealDate(value: string): boolean {
  const [year = 0, month = 0, day = 0] = value.slice(0, 10).split('-').map(Number);
  const date = new Date(Date.UTC(year, month - 1, day));
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day && !Number.isNaN(Date.parse(value.slice(0, 10)));
}

/**
 * Everything that is wrong with the rows, before anything is written: unknown tables, columns and tokens, wrong types, values that are
 * too long, required columns without a value, duplicates. Pure.
 * @param filled columns that credentials fill in, `users.pw_hash`
 */
export function validateRows(
  rows: readonly SeedRow[],
  catalog: ReadonlyMap<string, Table>,
  filled: ReadonlySet<string>,
): Problem[] {
  const problems: Problem[] = [];
  const seen = new Map<string, SeedRow>();
  for (const row of rows) {
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
    for (const column of table.columns.values()) {
      const value = row.cells.get(column.name)?.value ?? null;
      if (column.notNull && !column.hasDefault && value === null && !filled.has(`${row.table}.${column.name}`)) {
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

/** By what a row must not stand in the documents twice. */
function identities(row: SeedRow, table: Table): string[] {
  const value = (column: string) => row.cells.get(column)?.value ?? null;
  const keys = [table.primaryKey, NATURAL_KEYS[row.table] ?? []].filter((columns) => columns.length > 0);
  return keys
    .filter((columns) => columns.some((column) => value(column) !== null))
    .map((columns) => JSON.stringify([row.table, columns.join(', '), columns.map(value)]));
}

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
