import { isRequired } from './against.js';
import { comment, ident } from './ddl/names.js';
import { type ExportedColumn, postgresType } from './export.js';
import type { Column } from './model.js';

/** The way to another release: statements up and down, for the two files of a migration. */
export interface Steps {
  up: string[];
  /** In the order in which they run. */
  down: string[];
}

/** A value for rows that are there when a column becomes required. @returns undefined when there is none that says nothing */
export function placeholder(type: string): string | undefined {
  const plain = type.replace(/\(.*\)/, '');
  if (plain.endsWith('[]')) return "'{}'";
  switch (plain) {
    case 'character varying':
    case 'character':
    case 'text':
      return "''";
    case 'boolean':
      return 'false';
    case 'integer':
    case 'bigint':
    case 'smallint':
    case 'double precision':
    case 'real':
    case 'numeric':
      return '0';
    case 'json':
    case 'jsonb':
      return "'{}'";
    case 'bytea':
      return "'\\x'";
    case 'timestamp without time zone':
    case 'timestamp with time zone':
    case 'date':
      return "'1970-01-01'";
    case 'time without time zone':
      return "'00:00'";
    default:
      return undefined;
  }
}

/** The same family converts by itself, and refuses what does not fit; a cast would cut it off in silence. */
function family(type: string): string {
  const plain = type.replace(/\(.*\)/, '');
  if (/^(character|character varying|text)$/.test(plain)) return 'text';
  if (/^(smallint|integer|bigint|numeric|real|double precision)$/.test(plain)) return 'number';
  return plain.replace(/^jsonb?$/, 'json');
}

const TEXT = 'text';
/** What has a conversion into one another (manual, 9.1 and CREATE CAST's catalog): besides text, which everything becomes and comes from. */
const CONVERSIONS: readonly (readonly [from: string, to: string])[] = [
  ['integer', 'boolean'],
  ['boolean', 'integer'],
  ...['timestamp without time zone', 'timestamp with time zone'].flatMap((time) =>
    (['timestamp without time zone', 'timestamp with time zone', 'date', 'time without time zone'] as const).map(
      (to) => [time, to] as const,
    ),
  ),
  ['date', 'timestamp without time zone'],
  ['date', 'timestamp with time zone'],
];

/**
 * Can PostgreSQL make one type of the other?
 * @param from as format_type() writes it
 * @param exportedType as the export writes it
 * @param how alike: what is likely to hold the same values
 */
export function canConvert(from: string, exportedType: string, how: 'at all' | 'alike' = 'at all'): boolean {
  const to = postgresType(exportedType) as string;
  const [a, b] = [family(from), family(to)];
  if (a === b || (exportedType.toUpperCase() === 'ARRAY' && from.endsWith('[]'))) return true;
  if (how === 'alike') return /^timestamp/.test(a) && /^timestamp/.test(b);
  return a === TEXT || b === TEXT || CONVERSIONS.some(([one, other]) => one === from && other === to);
}

const UNITS = { bytes: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 };
const SECONDS = { ms: 0.001, seconds: 1, secs: 1, minutes: 60, mins: 60, hours: 3600, days: 86_400 };

/** The unit that a column's name says, and another one that its new name says: `size_mb` and `size_bytes`. */
export function unitChange(from: string, to: string): { from: string; to: string; expression: string } | undefined {
  for (const units of [UNITS, SECONDS] as Record<string, number>[]) {
    const [a, b] = [from, to].map((name) => name.split('_').findLast((word) => word in units));
    if (a === undefined || b === undefined) continue;
    const factor = (units[a] as number) / (units[b] as number);
    if (factor !== 1) return { from: a, to: b, expression: factor > 1 ? `* ${factor}` : `/ ${1 / factor}` };
  }
  return undefined;
}

/** Type and NOT NULL of a column that stays. */
export function changeColumn(table: string, column: Column, facts: ExportedColumn): Steps {
  const name = ident(column.name);
  const alter = `ALTER TABLE ${ident(table)} ALTER COLUMN ${name}`;
  const type = postgresType(facts.type) as string;
  const array = facts.type.toUpperCase() === 'ARRAY' && column.type.endsWith('[]');
  const up: string[] = [];
  const down: string[] = [];
  const retype = (to: string, from: string) =>
    `${alter} TYPE ${to}${family(to) === family(from) ? '' : ` USING ${name}::${to}`};`;
  const becomes = facts.required && !isRequired(column);
  if (type !== column.type && !array && !canConvert(column.type, facts.type)) {
    up.push(
      comment(
        `${ident(table)}.${name} becomes ${type}, and PostgreSQL makes none of ${column.type}. Say how, then take the comments away:`,
      ),
      ...(column.default === undefined ? [] : [comment(`${alter} DROP DEFAULT;`)]),
      comment(`${alter} TYPE ${type} USING (… ${name} …);`),
    );
  } else if (type !== column.type && !array) {
    if (column.default !== undefined) up.push(`${alter} DROP DEFAULT;`);
    up.push(retype(type, column.type));
    if (column.default !== undefined && !becomes) up.push(`${alter} SET DEFAULT (${column.default})::${type};`);
    down.push(
      ...(column.default === undefined ? [] : [`${alter} DROP DEFAULT;`]),
      retype(column.type, type),
      ...(column.default === undefined ? [] : [`${alter} SET DEFAULT ${column.default};`]),
    );
  } else if (becomes && column.default !== undefined) {
    up.push(`${alter} DROP DEFAULT;`);
    down.push(`${alter} SET DEFAULT ${column.default};`);
  }
  if (becomes && !column.notNull) {
    const kept = array || canConvert(column.type, facts.type) ? type : column.type;
    const value = facts.references ? undefined : placeholder(kept);
    const check = ident(`kasm_db_${table}_${column.name}_required`.slice(0, 63));
    const change = `ALTER TABLE ${ident(table)}`;
    up.push(
      value === undefined
        ? `-- Fails while a row has none: fill it by hand then.`
        : `UPDATE ${ident(table)} SET ${name} = ${value} WHERE ${name} IS NULL;`,
      `${change} ADD CONSTRAINT ${check} CHECK (${name} IS NOT NULL) NOT VALID;`,
      `${change} VALIDATE CONSTRAINT ${check};`,
      `${alter} SET NOT NULL;`,
      `${change} DROP CONSTRAINT ${check};`,
    );
    down.unshift(`${alter} DROP NOT NULL;`);
  } else if (!facts.required && isRequired(column)) {
    up.push(`${alter} DROP NOT NULL;`);
    down.unshift(`${alter} SET NOT NULL;`);
  }
  return { up, down };
}
