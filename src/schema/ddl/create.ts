import type * as Model from '../model.js';
import { objectsOf, type SchemaObject } from '../objects.js';
import { columnSettings, columnSql, notNullUnchecked } from './columns.js';
import { dotted, ident, literal, qualified } from './names.js';
import { addDomainCheck, createSequence, createType, grantSql, sequenceOwner } from './others.js';
import {
  addConstraint,
  createAttachment,
  createIndex,
  createPolicy,
  createTable,
  createTrigger,
  createView,
  inheritedChanges,
  isInline,
  rowSecurity,
} from './tables.js';

/** What is to be made, by id: each after what brings it along, tables after those that they are partitions of. */
type Made = ReadonlyMap<string, SchemaObject>;

/**
 * Statements that make what is in a schema, in an order that works: first what the columns of tables need, then tables and views by what
 * they need, then what goes between tables.
 * @param wanted says of an object's id (`column public.users.email`) whether it is to be made; parts of a wanted table are too
 */
export function createAll(schema: Model.Schema, wanted: (id: string) => boolean = () => true): string[] {
  const order = inOrder(needsOf(schema));
  const objects = objectsOf(parentsFirst(schema, order));
  const made = new Map<string, SchemaObject>();
  for (const object of objects.values())
    if (wanted(object.id) || made.has(object.parent ?? '')) made.set(object.id, object);

  const byUnit = new Map([...objects.values()].map((object) => [object.unit, object]));
  const units = order.map((unit) => byUnit.get(unit) as SchemaObject);
  const filled = units.filter(
    ({ id, kind, item }) => kind === 'materialized view' && made.has(id) && !(item as Model.View).empty,
  );
  return [
    ...createFirst(made),
    ...units.flatMap((unit) => createUnit(unit, made, schema)),
    ...createLast(made),
    ...filled.map(({ target }) => `REFRESH ${target}`),
    ...commentsAndGrants(made),
  ];
}

/**
 * The same catalog with its tables in an order in which each comes after what it needs. What is made on a parent or a partitioned table is made on its
 * heirs and partitions too, and takes what is like it there for its own: it comes first.
 */
export function parentsFirst(schema: Model.Schema, order: readonly string[] = inOrder(needsOf(schema))): Model.Schema {
  const places = new Map(order.map((unit, i) => [unit, i]));
  const place = (table: Model.Table) => places.get(`table ${dotted(table)}`) as number;
  return { ...schema, tables: schema.tables.toSorted((a, b) => place(a) - place(b)) };
}

/** Types, routines, tables and views, which may need each other in any direction, with what each needs. */
export function needsOf({ types, routines, tables, views }: Model.Schema): Map<string, readonly string[]> {
  const shells = new Map(types.map((type) => [`type ${dotted(type)}`, type.canonical]));
  const needs = (kind: string, item: Model.Table | Model.View | Model.DataType): [string, readonly string[]] => [
    `${kind} ${dotted(item)}`,
    item.dependsOn ?? [],
  ];
  return new Map([
    ...types.map((type) => needs('type', type)),
    // A range's canonical function takes the range: it is made when only the range's name is there.
    ...routines.map((routine): [string, readonly string[]] => [
      `routine ${dotted(routine)}(${routine.arguments})`,
      (routine.dependsOn ?? []).filter((id) => shells.get(id) !== qualified(routine)),
    ]),
    ...tables.map((table) => needs('table', table)),
    ...views.map((view) => needs('view', view)),
  ]);
}

/** Ids in an order in which each comes after all that it needs; those that need each other come as they are. */
export function inOrder(needs: ReadonlyMap<string, readonly string[]>): string[] {
  const order = new Set<string>();
  const seen = new Set<string>();
  const visit = (id: string) => {
    if (seen.has(id)) return;
    seen.add(id);
    for (const needed of needs.get(id) ?? []) if (needs.has(needed)) visit(needed);
    order.add(id);
  };
  for (const id of needs.keys()) visit(id);
  return [...order];
}

/** The statements for each object of some kinds. */
function each<T>(made: Made, kinds: string[], create: (item: T, object: SchemaObject) => string[]): string[] {
  return [...made.values()]
    .filter(({ kind }) => kinds.includes(kind))
    .flatMap((object) => create(object.item as T, object));
}

/** What needs nothing else. */
function createFirst(made: Made): string[] {
  return [
    ...each(made, ['schema'], (_, { target }) => [`CREATE ${target}`]),
    ...each<Model.Extension>(made, ['extension'], ({ name, schema }) => [
      `CREATE EXTENSION IF NOT EXISTS ${ident(name)}${schema === 'public' ? '' : ` SCHEMA ${ident(schema)}`}`,
    ]),
    ...each<Model.Collation>(made, ['collation'], ({ options }, { target }) => [`CREATE ${target} (${options})`]),
    ...each<Model.Sequence>(made, ['sequence'], (item) => [createSequence(item)]),
    ...each<Model.DataType>(made, ['range'], ({ canonical }, { target }) => (canonical ? [`CREATE ${target}`] : [])),
  ];
}

/** A type, routine, table or view; of one that is there the columns, keys or checks that are to be made. */
function createUnit({ id, unit, item }: SchemaObject, made: Made, { tables }: Model.Schema): string[] {
  if (!made.has(id)) {
    const parts = [...made.values()].filter(({ parent }) => parent === id);
    return parts
      .toSorted((a, b) => rankOfPart(a) - rankOfPart(b))
      .flatMap((part) => addPart(item as Model.Table, part, tables));
  }
  if (unit.startsWith('type ')) return createType(item as Model.DataType);
  if (unit.startsWith('routine ')) return [(item as Model.Routine).definition];
  if (unit.startsWith('view ')) return createView(item as Model.View);
  const table = item as Model.Table;
  return createTable(table, tables, table.partitionBound === undefined ? [] : checksOfWhole(table, made, tables));
}

/** What is generated may need any other column, and keys need theirs, the primary one first. */
const rankOfPart = ({ kind, item }: SchemaObject) => {
  if (kind === 'column') return Number('generated' in item);
  return (item as Model.Constraint).kind === 'primary key' ? 2 : 3;
};

/** Checks that a partition must have before it becomes one: those of a whole table that is there. Others are made when all tables are. */
function checksOfWhole({ inherits }: Model.Table, made: Made, tables: readonly Model.Table[]): Model.Constraint[] {
  const whole = tables.find((table) => qualified(table) === inherits?.[0]);
  if (!whole) return [];
  const checks = made.has(`table ${dotted(whole)}`) ? [] : whole.constraints.filter(({ kind }) => kind === 'check');
  return [...checks, ...checksOfWhole(whole, made, tables)];
}

function addPart(
  whole: Model.Table | Model.DataType,
  { kind, item, relation }: SchemaObject,
  tables: readonly Model.Table[],
): string[] {
  const name = qualified(whole);
  if (!relation) return [addDomainCheck(whole as Model.DataType, item as Model.Constraint)];
  if (kind === 'constraint' && isInline(item as Model.Constraint))
    return [addConstraint(whole, item as Model.Constraint)];
  if (kind !== 'column' || !('policies' in relation)) return [];
  const column = item as Model.Column;
  // Its parent brings it.
  if (column.inherited) return inheritedChanges(relation, tables, [column]);
  return [`ALTER TABLE ${name} ADD COLUMN ${columnSql(column, whole.schema)}`, ...notNullUnchecked(name, column)];
}

/** What tables and views consist of besides, and what goes between them. */
function createLast(made: Made): string[] {
  type Relation = Model.Table | Model.View;
  const onRelation = <T>(kinds: string[], create: (relation: Relation, item: T) => string[]) =>
    each<T>(made, kinds, (item, { relation }) => (relation ? create(relation, item) : []));
  const constraints = (of: Model.Constraint['kind']) =>
    onRelation<Model.Constraint>(['constraint'], (table, item) =>
      item.kind === of ? [addConstraint(table, item)] : [],
    );
  return [
    ...onRelation<Model.Column>(['column'], (relation, column) =>
      relation.kind === 'view' ? [] : columnSettings(qualified(relation), column),
    ),
    ...each<Model.Sequence>(made, ['sequence'], sequenceOwner),
    ...constraints('check'),
    ...each<Model.Index>(made, ['index'], createIndex),
    ...constraints('foreign key'),
    ...each<Model.Table>(made, ['table'], ({ replicaIdentity }, { target }) =>
      replicaIdentity ? [`ALTER ${target} REPLICA IDENTITY ${replicaIdentity}`] : [],
    ),
    ...each<Relation>(made, ['table', 'materialized view'], ({ clusterOn }, { granted }) =>
      clusterOn ? [`ALTER ${granted} CLUSTER ON ${ident(clusterOn)}`] : [],
    ),
    ...onRelation<Model.Attachment>(['rule', 'statistics'], createAttachment),
    ...onRelation<Model.Trigger>(['trigger'], createTrigger),
    ...onRelation<Model.Policy>(['policy'], (table, policy) => [createPolicy(table, policy)]),
    ...each<Model.Table>(made, ['table'], rowSecurity),
  ];
}

function commentsAndGrants(made: Made): string[] {
  return [...made.values()].flatMap(({ kind, target, granted, item }) => [
    ...(item.comment === undefined ? [] : [`COMMENT ON ${target} IS ${literal(item.comment)}`]),
    ...(item.grants
      ? grantSql(granted, item.grants, [], kind === 'column' ? ident((item as Model.Column).name) : '')
      : []),
  ]);
}
