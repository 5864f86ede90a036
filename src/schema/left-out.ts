import { dotted } from './ddl/names.js';
import type { Schema } from './model.js';

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
  const stays = (id: string) => !needs.has(id);
  const parts = <T extends Schema['tables'][number] | Schema['views'][number]>(relation: T): T => {
    const part = (kind: string, of: string) => stays(`${kind} ${dotted(relation)}.${of}`);
    return {
      ...relation,
      indexes: relation.indexes.filter((item) => part('index', item.name)),
      triggers: relation.triggers.filter((item) => part('trigger', item.name)),
      attachments: relation.attachments.filter((item) => part(item.kind, item.name)),
      ...('policies' in relation
        ? {
            constraints: relation.constraints.filter((item) => part('constraint', item.name)),
            policies: relation.policies.filter((item) => part('policy', item.name)),
          }
        : {}),
    };
  };
  const kept: Schema = {
    ...schema,
    types: schema.types.filter((item) => stays(`type ${dotted(item)}`)),
    routines: schema.routines.filter((item) => stays(`routine ${dotted(item)}(${item.arguments})`)),
    sequences: schema.sequences.filter((item) => stays(`sequence ${dotted(item)}`)),
    tables: schema.tables.filter((item) => stays(`table ${dotted(item)}`)).map(parts),
    views: schema.views.filter((item) => stays(`view ${dotted(item)}`)).map(parts),
  };
  const isPart = (id: string) => {
    const [, relation] = /^\w+ (.*)\.[^.]*$/.exec(id) ?? [];
    return relation !== undefined && (needs.has(`table ${relation}`) || needs.has(`view ${relation}`));
  };
  const leftOut = [...needs].filter(([id]) => !isPart(id)).map(([object, because]) => ({ object, needs: because }));
  return { schema: kept, leftOut: leftOut.sort((a, b) => (a.object < b.object ? -1 : 1)) };
}
