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

/**
 * Brings all expressions of a catalog into that form, in place, but for the bodies of routines, which PostgreSQL keeps as they were written.
 * @returns the same catalog
 */
export function stabilize(schema: Schema): Schema {
  const { types, tables, views } = schema;
  for (const objects of [types, tables, views]) stabilizeAll(objects);
  return schema;
}

function stabilizeAll(objects: readonly object[]): void {
  for (const object of objects as { [key: string]: unknown }[]) {
    for (const key in object) {
      const value = object[key];
      if (typeof value === 'string') {
        if (EXPRESSIONS.has(key)) object[key] = stableText(value);
      } else if (Array.isArray(value) && typeof value[0] === 'object') stabilizeAll(value);
    }
  }
}
