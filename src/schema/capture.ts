import { createAll } from './ddl/create.js';
import { comment, statement } from './ddl/names.js';
import type { Grant, Schema } from './model.js';

/**
 * A migration that makes the same catalog in an empty database; pure.
 * @param from where it comes from, for its first line
 */
export function captureSql(schema: Schema, from: string): string {
  const roles = grantees(schema);
  const invalid = [...schema.tables, ...schema.views].flatMap((relation) =>
    relation.indexes.filter(({ valid }) => !valid).map(({ name }) => `${relation.schema}.${name}`),
  );
  const head = [
    comment(`The catalog of ${from}, captured by kasm-db. Rows, owners, roles and settings are not part of it.`),
    ...(roles.length > 0 ? [comment(`These roles must be there: ${roles.join(', ')}.`)] : []),
    ...schema.others.map(({ kind, name }) => comment(`Left out, make it by hand: ${kind} ${name}`)),
    ...invalid.map((name) =>
      comment(`Left out, it was invalid (a CREATE INDEX CONCURRENTLY that failed): index ${name}`),
    ),
    '',
    '-- Bodies of functions may name what comes later.',
    'SET LOCAL check_function_bodies = off;',
  ];
  return `${[...head, ...createAll(schema).map(statement)].join('\n')}\n`;
}

function grantees(schema: Schema): string[] {
  const relations = [...schema.tables, ...schema.views];
  const objects: { grants?: Grant[] }[] = [
    ...[schema.schemas, schema.types, schema.sequences, schema.routines, relations].flat(),
    ...relations.flatMap(({ columns }) => columns),
  ];
  const names = [
    ...objects.flatMap(({ grants = [] }) => grants.map(({ grantee }) => grantee)),
    ...schema.tables.flatMap(({ policies }) => policies.flatMap(({ roles }) => roles)),
  ];
  return [...new Set(names)].filter((name) => name !== 'PUBLIC' && name !== 'OWNER').sort();
}
