import { createAll } from './ddl/create.js';
import { comment, statement } from './ddl/names.js';
import { type LeftOut, withoutLeftOut } from './left-out.js';
import type { Schema } from './model.js';
import { objectsOf } from './objects.js';

export interface Captured {
  /** A migration that makes the same catalog in an empty database. */
  sql: string;
  /** What the model knows and the migration leaves out. */
  leftOut: LeftOut[];
}

/**
 * Pure.
 * @param from where it comes from, for its first line
 */
export function capture(whole: Schema, from: string): Captured {
  const { schema, leftOut } = withoutLeftOut(whole);
  const roles = grantees(schema);
  const invalid = [...schema.tables, ...schema.views].flatMap((relation) =>
    relation.indexes.filter(({ valid }) => !valid).map(({ name }) => `${relation.schema}.${name}`),
  );
  const notes = [
    `The catalog of ${from}, captured by kasm-db. Not part of it are rows and large objects, owners, roles and`,
    'default privileges, settings of roles and the database, tablespaces and table access methods,',
    'statistics targets of index expressions and extended statistics, subscriptions and user mappings, security labels, and the comments on the database, its extensions and schema public. Keys whose triggers are disabled are enforced.',
    ...(roles.length > 0 ? [`These roles must be there: ${roles.join(', ')}.`] : []),
    ...schema.others.map(({ kind, name }) => `Left out, make it by hand: ${kind} ${name}`),
    ...leftOut.map(({ object, needs }) => `Left out, as it needs ${needs}: ${object}`),
    ...invalid.map((name) => `Left out, it was invalid (a CREATE INDEX CONCURRENTLY that failed): index ${name}`),
  ];
  const head = [
    ...notes.map(comment),
    '',
    '-- Bodies of functions may name what comes later; and texts are read as they were written, whatever the role has set.',
    'SET LOCAL check_function_bodies = off;',
    "SET LOCAL IntervalStyle = 'postgres';",
    'SET LOCAL xmloption = content;',
    'SET LOCAL array_nulls = on;',
    'SET LOCAL transform_null_equals = off;',
  ];
  return { sql: `${[...head, ...createAll(schema).map(statement)].join('\n')}\n`, leftOut };
}

function grantees(schema: Schema): string[] {
  const objects = [...objectsOf(schema).values()];
  const names = new Set([
    ...objects.flatMap(({ item: { grants = [] } }) => grants.map(({ grantee }) => grantee)),
    ...schema.tables.flatMap(({ policies }) => policies.flatMap(({ roles }) => roles)),
  ]);
  return [...names].filter((name) => name !== 'PUBLIC' && name !== 'OWNER').sort();
}
