import type { Schema, Table, View } from './model.js';
import { objectsOf } from './objects.js';

/** What a captured migration cannot make, and why. */
export interface LeftOut {
  /** `index public.users.users_mail` */
  object: string;
  /** What it cannot be made without, which the model only names. */
  needs: string;
}

/** The catalog without what stands on objects that the model only names; pure. Parts of what is left out are not listed again. */
export function withoutLeftOut(schema: Schema): { schema: Schema; leftOut: LeftOut[] } {
  const needs = new Map<string, string>();
  for (const { kind, name, neededBy = [] } of schema.others)
    for (const id of neededBy) if (!needs.has(id)) needs.set(id, `${kind} ${name}`);
  if (needs.size === 0) return { schema, leftOut: [] };
  const objects = [...objectsOf(schema).values()];
  const gone = new Set<object>(objects.flatMap(({ unit, item }) => (needs.has(unit) ? [item] : [])));
  const stays = <T extends object>(items: T[]) => items.filter((item) => !gone.has(item));
  const rest = <T extends Table | View>(relation: T): T => ({
    ...relation,
    indexes: stays(relation.indexes),
    triggers: stays(relation.triggers),
    attachments: stays(relation.attachments),
    ...('policies' in relation ? { constraints: stays(relation.constraints), policies: stays(relation.policies) } : {}),
  });
  const kept: Schema = {
    ...schema,
    types: stays(schema.types),
    routines: stays(schema.routines),
    sequences: stays(schema.sequences),
    tables: stays(schema.tables).map(rest),
    views: stays(schema.views).map(rest),
  };
  const isPart = (id: string) => {
    const [, relation] = /^\w+ (.*)\.(?:[^".]*|"(?:[^"]|"")*")$/.exec(id) ?? [];
    return relation !== undefined && (needs.has(`table ${relation}`) || needs.has(`view ${relation}`));
  };
  const leftOut = [...needs].filter(([id]) => !isPart(id)).map(([object, because]) => ({ object, needs: because }));
  return { schema: kept, leftOut: leftOut.sort((a, b) => (a.object < b.object ? -1 : 1)) };
}
