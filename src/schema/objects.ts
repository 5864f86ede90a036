import { identitySequence } from './ddl/columns.js';
import { dotted, ident, namePart, qualified } from './ddl/names.js';
import type { Column, DataType, Grant, Schema, Table, View } from './model.js';

/** One thing that can be missing, extra or changed, or has a comment; columns, constraints and the like are things of their own. */
export interface SchemaObject {
  /** `column public.users.email`; unique. */
  id: string;
  kind: string;
  /** What dependencies call it: they know one kind of view, of type and of routine. */
  unit: string;
  /** Under which table or view it is reported; of anything else, its own name. */
  group: string;
  /** The object that brings it along: it is not reported when that one is missing or extra. */
  parent?: string;
  /** As COMMENT ON and DROP name it: `INDEX public.users_mail`. */
  target: string;
  /** As GRANT names it, or what it is a column of. */
  granted: string;
  /** As it stands in the model. */
  item: object & { comment?: string; grants?: Grant[] };
  /** Which table or view it is a part of. */
  relation?: Table | View;
  /** undefined: it is not compared by itself. */
  compared?: object;
  /** It is compared where both have it: that one has not is told of what brings it along. */
  comesAlong?: true;
}

/** Takes a catalog apart, each object after the one that brings it along. */
export function objectsOf(schema: Schema): Map<string, SchemaObject> {
  const objects = [
    ...schema.schemas.map((item) => object('schema', item.name, `SCHEMA ${ident(item.name)}`, item)),
    // Where an extension's objects are is the administrator's choice.
    ...schema.extensions.map((item) => ({
      ...object('extension', item.name, `EXTENSION ${ident(item.name)}`, item),
      compared: {},
    })),
    ...schema.collations.map((item) => object('collation', dotted(item), `COLLATION ${qualified(item)}`, item)),
    ...schema.types.flatMap(typeObjects),
    ...schema.sequences.map((item) => object('sequence', dotted(item), `SEQUENCE ${qualified(item)}`, item)),
    ...schema.routines.map((item) => {
      const name = `${dotted(item)}(${item.arguments})`;
      const routine = object(item.kind, name, `ROUTINE ${qualified(item)}(${item.arguments})`, item);
      return { ...routine, unit: `routine ${name}`, compared: { ...item, kind: undefined } };
    }),
    ...[...schema.tables, ...schema.views].flatMap(relationObjects),
    ...schema.others.map(({ kind, name }) => object(kind, name, '', {})),
  ];
  return new Map(objects.map((item) => [item.id, item]));
}

function object(kind: string, name: string, target: string, item: SchemaObject['item']): SchemaObject {
  const id = `${kind} ${name}`;
  return { id, kind, unit: id, group: name, target, granted: target, item, compared: item };
}

type PartMaker = <P extends { name: string }>(kind: string, target: string, item: P, compared?: object) => SchemaObject;

const partsOf =
  (whole: SchemaObject, relation?: Table | View): PartMaker =>
  (kind, target, item, compared = item) => ({
    ...object(kind, `${whole.group}.${namePart(item.name)}`, target, item),
    ...{ group: whole.group, parent: whole.id, compared, ...(relation ? { relation } : {}) },
  });

function typeObjects(item: DataType): SchemaObject[] {
  const { constraints = [], attributes = [], kind, ...own } = item;
  const name = qualified(item);
  const type: SchemaObject = {
    ...object(
      kind === 'composite' ? 'type' : kind,
      dotted(item),
      `${kind === 'domain' ? 'DOMAIN' : 'TYPE'} ${name}`,
      item,
    ),
    unit: `type ${dotted(item)}`,
    granted: `TYPE ${name}`,
    compared: { ...own, attributes: item.attributes?.map((attribute) => ({ ...attribute, comment: undefined })) },
  };
  const part = partsOf(type);
  return [
    type,
    ...attributes.map((attribute) => ({
      ...part('attribute', `COLUMN ${name}.${ident(attribute.name)}`, attribute),
      compared: undefined,
    })),
    ...constraints.map((check) => part('constraint', `CONSTRAINT ${ident(check.name)} ON DOMAIN ${name}`, check)),
  ];
}

function relationObjects(item: Table | View): SchemaObject[] {
  const isTable = 'policies' in item;
  const name = qualified(item);
  const kind = isTable ? 'table' : item.kind;
  const { columns, indexes, triggers, attachments, ...own } = item;
  const relation: SchemaObject = {
    ...object(kind, dotted(item), `${kind.toUpperCase()} ${name}`, item),
    unit: `${isTable ? 'table' : 'view'} ${dotted(item)}`,
    granted: `TABLE ${name}`,
    compared: isTable
      ? { ...own, constraints: undefined, policies: undefined }
      : { ...own, kind: undefined, columns: columns.map((column) => `${column.name} ${column.type}`) },
  };
  const part = partsOf(relation, item);
  const within = ident(item.schema);
  return [
    relation,
    ...columns.flatMap((column) => columnObjects(column, item, part)),
    // Method, columns and uniqueness stand in the definition.
    ...indexes.map((index) =>
      part('index', `INDEX ${within}.${ident(index.name)}`, index, {
        definition: index.definition,
        valid: index.valid,
      }),
    ),
    ...triggers.map((trigger) => part('trigger', `TRIGGER ${ident(trigger.name)} ON ${name}`, trigger)),
    ...attachments.map((made) => {
      const target =
        made.kind === 'rule'
          ? `RULE ${ident(made.name)} ON ${name}`
          : `STATISTICS ${qualified({ schema: made.schema ?? item.schema, name: made.name })}`;
      return part(made.kind, target, made, { ...made, kind: undefined });
    }),
    ...(isTable
      ? [
          ...item.constraints.map((key) =>
            part('constraint', `CONSTRAINT ${ident(key.name)} ON ${name}`, key, { ...key, columns: undefined }),
          ),
          ...item.policies.map((policy) => part('policy', `POLICY ${ident(policy.name)} ON ${name}`, policy)),
        ]
      : []),
  ];
}

/** A column and the sequence of its identity. That a view has a column, and of which type, is the view's. */
function columnObjects(column: Column, relation: Table | View, part: PartMaker): SchemaObject[] {
  const { name, identity } = column;
  const own =
    'policies' in relation
      ? { identity: identity && { ...identity, comment: undefined } }
      : { type: undefined, collation: undefined };
  const object: SchemaObject = {
    ...part('column', `COLUMN ${qualified(relation)}.${ident(name)}`, column, { ...column, ...own }),
    granted: `TABLE ${qualified(relation)}`,
    ...('policies' in relation ? {} : { comesAlong: true }),
  };
  if (!identity) return [object];
  const target = `SEQUENCE ${identitySequence(relation, column)}`;
  const sequence = { ...part('identity', target, { name }), item: identity, parent: object.id, compared: undefined };
  return [object, sequence];
}

/** Says nothing of how a database works, or differs between servers that are alike. */
const NOT_COMPARED = new Set(['name', 'schema', 'comment', 'dependsOn', 'references', 'arguments', 'clusterOn']);

/** What is compared of an object, as texts. Comments, the order of columns, owners and the versions of extensions are no drift. */
export function factsOf({ compared = {} }: SchemaObject): Record<string, string> {
  return Object.fromEntries(
    Object.entries(compared)
      .filter(([key, value]) => !NOT_COMPARED.has(key) && value !== undefined)
      .map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]),
  );
}
