import type { Grant, Schema } from '../model.js';
import { identitySequence } from './columns.js';
import { dotted, ident, literal, qualified } from './names.js';
import { grantSql } from './others.js';

/** Says of an object's id (`column public.users.email`) whether it is to be made; parts of a wanted table are too. */
export type Wanted = (id: string) => boolean;

const hasComment = ({ comment }: { comment?: string }) => comment !== undefined;

/** What is said of an object. */
interface Said {
  comment?: string | undefined;
  grants?: Grant[] | undefined;
  /** What the privileges are on; default: the same. */
  on?: string;
  column?: string;
}

/** Comments on, and privileges of, what is made. */
export function commentsAndGrants(schema: Schema, wanted: Wanted): string[] {
  const out: string[] = [];
  /** @param ids the object is new when one of them is wanted: itself, or what brings it along */
  const say = (ids: string[], target: string, { comment, grants, on = target, column }: Said) => {
    if (!ids.some(wanted)) return;
    if (comment !== undefined) out.push(`COMMENT ON ${target} IS ${literal(comment)}`);
    if (grants) out.push(...grantSql(on, grants, [], column));
  };
  for (const { name, comment, grants } of schema.schemas)
    say([`schema ${name}`], `SCHEMA ${ident(name)}`, { comment, grants });
  for (const item of schema.collations) say([`collation ${dotted(item)}`], `COLLATION ${qualified(item)}`, item);
  for (const item of schema.types) {
    const id = `${item.kind === 'composite' ? 'type' : item.kind} ${dotted(item)}`;
    const target = `${item.kind === 'domain' ? 'DOMAIN' : 'TYPE'} ${qualified(item)}`;
    say([id], target, { ...item, on: `TYPE ${qualified(item)}` });
    for (const { name, comment } of item.attributes ?? [])
      say([id], `COLUMN ${qualified(item)}.${ident(name)}`, { comment });
    for (const { name, comment } of item.constraints ?? [])
      say([id, `constraint ${dotted(item)}.${name}`], `CONSTRAINT ${ident(name)} ON DOMAIN ${qualified(item)}`, {
        comment,
      });
  }
  for (const item of schema.sequences) say([`sequence ${dotted(item)}`], `SEQUENCE ${qualified(item)}`, item);
  for (const item of schema.routines) {
    const id = `${item.kind} ${dotted(item)}(${item.arguments})`;
    say([id], `ROUTINE ${qualified(item)}(${item.arguments})`, item);
  }
  for (const item of [...schema.tables, ...schema.views]) {
    const table = qualified(item);
    const kind = item.kind.endsWith('table') ? 'table' : item.kind;
    const own = `${kind} ${dotted(item)}`;
    say([own], `${kind.toUpperCase()} ${table}`, { ...item, on: `TABLE ${table}` });
    const part = (type: string, name: string) => [own, `${type} ${dotted(item)}.${name}`];
    for (const column of item.columns) {
      const { name, comment, grants, identity } = column;
      if (comment === undefined && !grants && !identity) continue;
      say(part('column', name), `COLUMN ${table}.${ident(name)}`, {
        comment,
        grants,
        on: `TABLE ${table}`,
        column: ident(name),
      });
      if (identity) say(part('column', name), `SEQUENCE ${identitySequence(item, column)}`, identity);
    }
    for (const { name, comment } of item.indexes.filter(hasComment))
      say(part('index', name), `INDEX ${ident(item.schema)}.${ident(name)}`, { comment });
    for (const { name, comment } of item.triggers.filter(hasComment))
      say(part('trigger', name), `TRIGGER ${ident(name)} ON ${table}`, { comment });
    for (const { kind: type, name, comment } of item.attachments) {
      const target =
        type === 'rule' ? `RULE ${ident(name)} ON ${table}` : `STATISTICS ${ident(item.schema)}.${ident(name)}`;
      say(part(type, name), target, { comment });
    }
    if (!('policies' in item)) continue;
    for (const { name, comment } of item.constraints.filter(hasComment))
      say(part('constraint', name), `CONSTRAINT ${ident(name)} ON ${table}`, { comment });
    for (const { name, comment } of item.policies.filter(hasComment))
      say(part('policy', name), `POLICY ${ident(name)} ON ${table}`, { comment });
  }
  return out;
}
