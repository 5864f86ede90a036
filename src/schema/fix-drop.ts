import { comment, dotted, ident, qualified } from './ddl/names.js';
import type { Schema } from './model.js';

/** DROP for an object of the live catalog, by its id; a line for a person where kasm-db has no statement. */
export function dropStatement(id: string, actual: Schema): string[] {
  const named = <T extends { schema: string; name: string }>(list: readonly T[], kind: string) =>
    list.find((item) => id === `${kind} ${dotted(item)}`);
  const schema = actual.schemas.find(({ name }) => id === `schema ${name}`);
  if (schema) return [`DROP SCHEMA ${ident(schema.name)}`];
  const extension = actual.extensions.find(({ name }) => id === `extension ${name}`);
  if (extension) return [`DROP EXTENSION ${ident(extension.name)}`];
  const simple: [string, string, readonly { schema: string; name: string }[]][] = [
    ['table', 'TABLE', actual.tables],
    ['view', 'VIEW', actual.views.filter(({ kind }) => kind === 'view')],
    ['materialized view', 'MATERIALIZED VIEW', actual.views.filter(({ kind }) => kind !== 'view')],
    // A sequence may have gone with its column.
    ['sequence', 'SEQUENCE IF EXISTS', actual.sequences],
    ['collation', 'COLLATION', actual.collations],
    ['domain', 'DOMAIN', actual.types],
    ['enum', 'TYPE', actual.types],
    ['range', 'TYPE', actual.types],
    ['type', 'TYPE', actual.types],
  ];
  for (const [kind, word, list] of simple) {
    const item = named(list, kind);
    if (item) return [`DROP ${word} ${qualified(item)}`];
  }
  const routine = actual.routines.find((item) => id === `${item.kind} ${dotted(item)}(${item.arguments})`);
  if (routine) return [`DROP ROUTINE ${qualified(routine)}(${routine.arguments})`];
  for (const type of actual.types) {
    const check = type.constraints?.find(({ name }) => id === `constraint ${dotted(type)}.${name}`);
    if (check) return [`ALTER DOMAIN ${qualified(type)} DROP CONSTRAINT ${ident(check.name)}`];
  }
  for (const relation of [...actual.tables, ...actual.views]) {
    const table = qualified(relation);
    const part = (kind: string, name: string) => id === `${kind} ${dotted(relation)}.${name}`;
    const within = `${ident(relation.schema)}.`;
    for (const { name } of relation.columns)
      if (part('column', name)) return [`ALTER TABLE ${table} DROP COLUMN ${ident(name)}`];
    for (const { name } of relation.indexes) if (part('index', name)) return [`DROP INDEX ${within}${ident(name)}`];
    for (const { name, inherited } of relation.triggers)
      if (part('trigger', name))
        return inherited
          ? [comment(`By hand: enable or disable ${id} as on the table that it comes from`)]
          : [`DROP TRIGGER ${ident(name)} ON ${table}`];
    for (const { kind, name } of relation.attachments)
      if (part(kind, name))
        return [kind === 'rule' ? `DROP RULE ${ident(name)} ON ${table}` : `DROP STATISTICS ${within}${ident(name)}`];
    if (!('policies' in relation)) continue;
    for (const { name } of relation.constraints)
      if (part('constraint', name)) return [`ALTER TABLE ${table} DROP CONSTRAINT ${ident(name)}`];
    for (const { name } of relation.policies)
      if (part('policy', name)) return [`DROP POLICY ${ident(name)} ON ${table}`];
  }
  return [comment(`By hand: drop ${id}`)];
}
