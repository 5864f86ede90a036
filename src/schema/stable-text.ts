import type { Schema } from './model.js';

/** `IN ('a', 'b')` on a varchar, as PostgreSQL writes it the first time: read again, it is written in another way. */
const FIRST_FORM =
  /\(ARRAY\[('(?:[^']|'')*'::character varying(?:, '(?:[^']|'')*'::character varying)*)\]\)::text\[\]/g;

/** An expression in the form that stays the same when it is written down and run again. */
function stableText(sql: string): string {
  return sql.replace(FIRST_FORM, (_, items: string) => {
    const casts = items.replace(/'(?:[^']|'')*'::character varying/g, (item) => `(${item})::text`);
    return `ARRAY[${casts}]`;
  });
}

const EXPRESSIONS = new Set(['definition', 'default', 'using', 'check', 'partitionKey']);

/** The same for all expressions of a catalog but the bodies of routines, which PostgreSQL keeps as they were written. */
export function stableSchema(schema: Schema): Schema {
  const { types, tables, views } = schema;
  return { ...schema, types: stable(types), tables: stable(tables), views: stable(views) };
}

function stable<T>(value: T): T {
  if (Array.isArray(value)) return value.map(stable) as T;
  if (!value || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      typeof item === 'string' ? (EXPRESSIONS.has(key) ? stableText(item) : item) : stable(item),
    ]),
  ) as T;
}
