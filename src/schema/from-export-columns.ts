import { isRequired, isSomeArray } from './against.js';
import { comment, ident } from './ddl/names.js';
import { type ExportedColumn, postgresType } from './export.js';
import type { Column } from './model.js';

/** The way to another release: statements up and down, for the two files of a migration. */
export interface Steps {
  up: string[];
  /** In the order in which they run. */
  down: string[];
}

/** The same family converts by itself, and refuses what does not fit; a cast would cut it off in silence. */
function family(type: string): string {
  const plain = type.replace(/\(.*\)/, '');
  if (/^(character|character varying|text)$/.test(plain)) return 'text';
  if (/^(smallint|integer|bigint|numeric|real|double precision)$/.test(plain)) return 'number';
  return plain.replace(/^jsonb?$/, 'json');
}

/** By family; of an id there is none that says nothing. */
const PLACEHOLDERS: Record<string, string> = {
  text: "''",
  number: '0',
  json: "'{}'",
  boolean: 'false',
  bytea: "'\\x'",
  date: "'1970-01-01'",
  'timestamp without time zone': "'1970-01-01'",
  'timestamp with time zone': "'1970-01-01'",
  'time without time zone': "'00:00'",
};

/** A value for rows that are there when a column becomes required. @returns undefined when there is none that says nothing */
export function placeholder(type: string): string | undefined {
  return type.endsWith('[]') ? "'{}'" : PLACEHOLDERS[family(type)];
}

const TIMESTAMPS = ['timestamp without time zone', 'timestamp with time zone'];
const OF_TIMESTAMPS = [...TIMESTAMPS, 'date', 'time without time zone'];
/** What has a conversion into one another (manual, 9.1 and CREATE CAST's catalog): besides text, which everything becomes and comes from. */
const CONVERSIONS: Record<string, readonly string[]> = {
  integer: ['boolean'],
  boolean: ['integer'],
  'timestamp without time zone': OF_TIMESTAMPS,
  'timestamp with time zone': OF_TIMESTAMPS,
  date: TIMESTAMPS,
};

/**
 * Can PostgreSQL make one type of the other?
 * @param from as format_type() writes it
 * @param exportedType as the export writes it
 * @param how alike: what is likely to hold the same values
 */
export function canConvert(from: string, exportedType: string, how: 'at all' | 'alike' = 'at all'): boolean {
  const to = postgresType(exportedType) as string;
  const [a, b] = [family(from), family(to)];
  if (a === b || isSomeArray(exportedType, from)) return true;
  if (how === 'alike') return /^timestamp/.test(a) && /^timestamp/.test(b);
  return a === 'text' || b === 'text' || (CONVERSIONS[from]?.includes(to) ?? false);
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
  const up: string[] = [];
  const down: string[] = [];
  const retype = (to: string, from: string) =>
    `${alter} TYPE ${to}${family(to) === family(from) ? '' : ` USING ${name}::${to}`};`;
  const becomes = facts.required && !isRequired(column);
  const dropDefault = column.default === undefined ? [] : [`${alter} DROP DEFAULT;`];
  const setDefault = column.default === undefined ? [] : [`${alter} SET DEFAULT ${column.default};`];
  const retyped = type !== column.type && !isSomeArray(facts.type, column.type);
  const isPossible = canConvert(column.type, facts.type);
  if (retyped && !isPossible) {
    up.push(
      comment(
        `${ident(table)}.${name} becomes ${type}, and PostgreSQL makes none of ${column.type}. Say how, then take the comments away:`,
      ),
      ...dropDefault.map(comment),
      comment(`${alter} TYPE ${type} USING (… ${name} …);`),
    );
  } else if (retyped) {
    up.push(...dropDefault, retype(type, column.type));
    if (column.default !== undefined && !becomes) up.push(`${alter} SET DEFAULT (${column.default})::${type};`);
    down.push(...dropDefault, retype(column.type, type), ...setDefault);
  } else if (becomes) {
    up.push(...dropDefault);
    down.push(...setDefault);
  }
  if (becomes && !column.notNull) {
    const value = facts.references ? undefined : placeholder(isPossible ? type : column.type);
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
