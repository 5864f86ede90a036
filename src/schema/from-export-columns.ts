import { isRequired } from './against.js';
import { ident } from './ddl/names.js';
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
  if (type !== column.type && !array) {
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
    const value = facts.references ? undefined : placeholder(type);
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
