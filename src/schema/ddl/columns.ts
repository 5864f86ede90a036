import type { Column, SequenceOptions } from '../model.js';
import { ident } from './names.js';

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

/** A column as CREATE TABLE and ADD COLUMN take it. */
export function columnSql(column: Column): string {
  const parts = [ident(column.name), column.type];
  if (column.collation) parts.push(`COLLATE ${column.collation}`);
  parts.push(...valueSql(column));
  if (column.notNull && !column.notNullUnchecked) parts.push('NOT NULL');
  return parts.join(' ');
}

function valueSql({ generated, default: expression, identity }: Column): string[] {
  if (generated) return [`GENERATED ALWAYS AS (${expression}) ${generated.toUpperCase()}`];
  if (identity) {
    const options = sequenceOptions(identity.sequence);
    return [`GENERATED ${identity.always ? 'ALWAYS' : 'BY DEFAULT'} AS IDENTITY${options ? ` (${options})` : ''}`];
  }
  return expression === undefined ? [] : [`DEFAULT ${expression}`];
}

/** What only ALTER TABLE can set on a column. */
export function columnSettings(table: string, column: Column): string[] {
  const alter = `ALTER TABLE ONLY ${table} ALTER COLUMN ${ident(column.name)}`;
  return [
    ...(column.storage ? [`${alter} SET STORAGE ${column.storage}`] : []),
    ...(column.compression ? [`${alter} SET COMPRESSION ${column.compression}`] : []),
    ...(column.statistics === undefined ? [] : [`${alter} SET STATISTICS ${column.statistics}`]),
    ...(column.notNullUnchecked ? [`ALTER TABLE ${table} ADD NOT NULL ${ident(column.name)} NOT VALID`] : []),
  ];
}
