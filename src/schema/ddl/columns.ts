import type { Column, Identity, SequenceOptions } from '../model.js';
import { ident, option, qualified } from './names.js';

const LARGEST: Record<string, string> = {
  smallint: '32767',
  integer: '2147483647',
  bigint: '9223372036854775807',
};

/** Options of a sequence, without those that are PostgreSQL's default. */
export function sequenceOptions(options: SequenceOptions, complete = false): string {
  const { type, start, increment, min, max, cache, cycle } = options;
  const up = !increment.startsWith('-');
  const largest = LARGEST[type] ?? (LARGEST.bigint as string);
  const smallest = `-${BigInt(largest) + 1n}`;
  const standard = { min: up ? '1' : smallest, max: up ? largest : '-1', start: up ? min : max };
  const parts = [
    complete || increment !== '1' ? `INCREMENT BY ${increment}` : '',
    complete || min !== standard.min ? `MINVALUE ${min}` : '',
    complete || max !== standard.max ? `MAXVALUE ${max}` : '',
    complete || start !== standard.start ? `START WITH ${start}` : '',
    complete || cache !== '1' ? `CACHE ${cache}` : '',
    cycle ? 'CYCLE' : complete ? 'NO CYCLE' : '',
  ];
  return parts.filter(Boolean).join(' ');
}

/** A column as CREATE TABLE and ADD COLUMN take it. @param schema of its table */
export function columnSql(column: Column, schema: string): string {
  const parts = [ident(column.name), column.type];
  if (column.collation) parts.push(`COLLATE ${column.collation}`);
  parts.push(...valueSql(column, schema));
  if (column.notNull && !column.notNullUnchecked)
    parts.push(column.notNullNoInherit ? 'NOT NULL NO INHERIT' : 'NOT NULL');
  return parts.join(' ');
}

function valueSql({ generated, default: expression, identity }: Column, schema: string): string[] {
  if (generated) return [`GENERATED ALWAYS AS (${expression}) ${generated.toUpperCase()}`];
  if (identity) return [identitySql(identity, schema)];
  return expression === undefined ? [] : [`DEFAULT ${expression}`];
}

/** GENERATED … AS IDENTITY. @param complete with every option of the sequence */
export function identitySql({ always, name, sequence }: Identity, schema: string, complete = false): string {
  const named = name === undefined ? '' : `SEQUENCE NAME ${qualified({ schema, name })}`;
  const options = [named, sequenceOptions(sequence, complete)].filter(Boolean).join(' ');
  return `GENERATED ${always ? 'ALWAYS' : 'BY DEFAULT'} AS IDENTITY${options ? ` (${options})` : ''}`;
}

/** The sequence of an identity column, by its own name. */
export function identitySequence(table: { schema: string; name: string }, column: Column): string {
  return qualified({ schema: table.schema, name: column.identity?.name ?? `${table.name}_${column.name}_seq` });
}

/** What only ALTER TABLE can set on a column, and what a child that is made later would take over from its parent. */
export function columnSettings(table: string, column: Column): string[] {
  const alter = `ALTER TABLE ONLY ${table} ALTER COLUMN ${ident(column.name)}`;
  return [
    ...(column.storage ? [`${alter} SET STORAGE ${column.storage}`] : []),
    ...(column.compression ? [`${alter} SET COMPRESSION ${column.compression}`] : []),
    ...(column.statistics === undefined ? [] : [`${alter} SET STATISTICS ${column.statistics}`]),
    ...(column.options ? [`${alter} SET (${column.options.map(option).join(', ')})`] : []),
  ];
}

/** PostgreSQL 18: NOT NULL for new rows only, which no CREATE TABLE takes. */
export function notNullUnchecked(table: string, column: Column): string[] {
  return column.notNullUnchecked ? [addNotNull(table, column)] : [];
}

/** PostgreSQL 18: ADD NOT NULL with all that it can say. */
export function addNotNull(table: string, { name, notNullNoInherit, notNullUnchecked: unchecked }: Column): string {
  return `ALTER TABLE ${table} ADD NOT NULL ${ident(name)}${notNullNoInherit ? ' NO INHERIT' : ''}${unchecked ? ' NOT VALID' : ''}`;
}
