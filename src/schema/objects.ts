import { dotted } from './ddl/names.js';
import type { Column, Schema } from './model.js';

/** One thing that can be missing, extra or changed; columns, constraints and the like are things of their own. */
export interface SchemaObject {
  /** `column public.users.email`; unique. */
  id: string;
  kind: string;
  /** Under which table or view it is reported; of anything else, its own name. */
  group: string;
  /** The object that brings it along: it is not reported when that one is missing or extra. */
  parent?: string;
  /** What is compared, as texts. */
  facts: Record<string, string>;
}

/** Says nothing of how a database works, or differs between servers that are alike. */
const NOT_COMPARED = new Set(['name', 'schema', 'comment', 'dependsOn', 'references', 'arguments', 'clusterOn']);

/** Takes a catalog apart. Comments, the order of columns, owners and the versions of extensions are left out: no drift. */
export function objectsOf(schema: Schema): Map<string, SchemaObject> {
  const objects = new Map<string, SchemaObject>();
  const add = (kind: string, name: string, group: string, value: object, parent?: string): string => {
    const id = `${kind} ${name}`;
    objects.set(id, { id, kind, group, ...(parent ? { parent } : {}), facts: factsOf(value) });
    return id;
  };
  for (const item of schema.schemas) add('schema', item.name, item.name, item);
  // Where an extension's objects are is the administrator's choice.
  for (const { name } of schema.extensions) add('extension', name, name, {});
  for (const item of schema.collations) add('collation', dotted(item), dotted(item), item);
  for (const item of schema.types) {
    const { constraints = [], ...type } = item;
    const attributes = item.attributes?.map(({ comment: _, ...attribute }) => attribute);
    const id = add(item.kind === 'composite' ? 'type' : item.kind, dotted(item), dotted(item), {
      ...type,
      attributes,
      kind: undefined,
    });
    for (const check of constraints) add('constraint', `${dotted(item)}.${check.name}`, dotted(item), check, id);
  }
  for (const item of schema.sequences) add('sequence', dotted(item), dotted(item), item);
  for (const item of schema.routines) {
    const name = `${dotted(item)}(${item.arguments})`;
    add(item.kind, name, name, { ...item, kind: undefined });
  }
  for (const item of schema.tables) {
    const { columns, constraints, indexes, triggers, policies, attachments, ...table } = item;
    const name = dotted(item);
    const id = add('table', name, name, table);
    for (const part of columns) add('column', `${name}.${part.name}`, name, comparedColumn(part), id);
    for (const part of constraints)
      add('constraint', `${name}.${part.name}`, name, { ...part, columns: undefined }, id);
    for (const part of policies) add('policy', `${name}.${part.name}`, name, part, id);
    addParts(name, id, { indexes, triggers, attachments });
  }
  for (const item of schema.views) {
    const { columns, indexes, triggers, attachments, ...view } = item;
    const name = dotted(item);
    const id = add(item.kind, name, name, {
      ...view,
      kind: undefined,
      columns: columns.map((column) => `${column.name} ${column.type}`),
    });
    addParts(name, id, { indexes, triggers, attachments });
    for (const part of columns) if (part.grants || part.default) add('column', `${name}.${part.name}`, name, part, id);
  }
  for (const { kind, name } of schema.others) add(kind, name, name, {});
  return objects;

  function addParts(
    name: string,
    id: string,
    parts: Pick<Schema['views'][number], 'indexes' | 'triggers' | 'attachments'>,
  ): void {
    // Method, columns and uniqueness stand in the definition.
    for (const part of parts.indexes)
      add('index', `${name}.${part.name}`, name, { definition: part.definition, valid: part.valid }, id);
    for (const part of parts.triggers) add('trigger', `${name}.${part.name}`, name, part, id);
    for (const part of parts.attachments)
      add(part.kind, `${name}.${part.name}`, name, { ...part, kind: undefined }, id);
  }
}

function comparedColumn(column: Column): object {
  if (!column.identity) return column;
  const { comment: _, ...identity } = column.identity;
  return { ...column, identity };
}

function factsOf(value: object): Record<string, string> {
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, item]) => !NOT_COMPARED.has(key) && item !== undefined)
      .map(([key, item]) => [key, typeof item === 'string' ? item : JSON.stringify(item)]),
  );
}
