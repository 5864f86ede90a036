import type { Constraint, Extension, Schema, Table, View } from '../model.js';
import { columnSettings } from './columns.js';
import { commentsAndGrants, type Wanted } from './comments.js';
import { dotted, ident, qualified } from './names.js';
import { createSequence } from './others.js';
import {
  addConstraint,
  createAttachment,
  createIndex,
  createPolicy,
  createTrigger,
  isInline,
  rowSecurity,
} from './tables.js';
import { inOrder, shellsOf, unitsOf } from './units.js';

/**
 * Statements that make what is in a schema, in an order that works: first what the columns of tables need, then tables and views by what
 * they need, then what goes between tables.
 */
export function createAll(schema: Schema, wanted: Wanted = () => true): string[] {
  const units = new Map(unitsOf(schema, wanted).map((unit) => [unit.id, unit]));
  const order = inOrder(new Map([...units].map(([id, { needs }]) => [id, needs])));
  const places = new Map(order.map((id, i) => [id, i]));
  const place = (kind: 'table' | 'view', item: Table | View) => places.get(`${kind} ${dotted(item)}`) as number;
  // What is made on a partitioned table is made on its partitions too, and takes what is like it there for its own: it comes first.
  const tables = schema.tables.toSorted((a, b) => place('table', a) - place('table', b));
  const filled = schema.views
    .filter((view) => view.kind === 'materialized view' && !view.empty && isNew(view, wanted))
    .sort((a, b) => place('view', a) - place('view', b));
  return [
    ...createFirst(schema, wanted),
    ...order.flatMap((id) => units.get(id)?.create() ?? []),
    ...createLast(schema, tables, wanted),
    ...filled.map((view) => `REFRESH MATERIALIZED VIEW ${qualified(view)}`),
    ...commentsAndGrants(schema, wanted),
  ];
}

/** What needs nothing else. */
function createFirst(schema: Schema, wanted: Wanted): string[] {
  return [
    ...schema.schemas
      .filter((item) => wanted(`schema ${item.name}`))
      .map((item) => `CREATE SCHEMA ${ident(item.name)}`),
    ...schema.extensions.filter((item) => wanted(`extension ${item.name}`)).map(createExtension),
    ...schema.collations
      .filter((item) => wanted(`collation ${dotted(item)}`))
      .map((item) => `CREATE COLLATION ${qualified(item)} (${item.options})`),
    ...schema.sequences.filter((item) => wanted(`sequence ${dotted(item)}`)).map(createSequence),
    ...shellsOf(schema)
      .filter((item) => wanted(`range ${dotted(item)}`))
      .map((item) => `CREATE TYPE ${qualified(item)}`),
  ];
}

function createExtension({ name, schema }: Extension): string {
  return `CREATE EXTENSION IF NOT EXISTS ${ident(name)}${schema === 'public' ? '' : ` SCHEMA ${ident(schema)}`}`;
}

/** What tables and views consist of besides, and what goes between them. @param tables those of the schema, wholes before their partitions */
function createLast(schema: Schema, tables: readonly Table[], wanted: Wanted): string[] {
  const { views, sequences } = schema;
  const relations = [...tables, ...views];
  const constraints = (...kinds: Constraint['kind'][]) =>
    tables.flatMap((table) => createConstraints(table, kinds, wanted));
  return [
    ...[...tables, ...views.filter(({ kind }) => kind === 'materialized view')].flatMap((relation) =>
      partsOf(relation, relation.columns, 'column', wanted).flatMap((part) =>
        columnSettings(qualified(relation), part),
      ),
    ),
    ...sequences
      .filter((item) => item.ownedBy && wanted(`sequence ${dotted(item)}`))
      .map((item) => `ALTER SEQUENCE ${qualified(item)} OWNED BY ${item.ownedBy}`),
    ...constraints('primary key', 'unique'),
    ...constraints('exclusion', 'check'),
    ...relations.flatMap((relation) => partsOf(relation, relation.indexes, 'index', wanted).flatMap(createIndex)),
    ...constraints('foreign key'),
    ...schema.tables
      .filter((table) => table.replicaIdentity && isNew(table, wanted))
      .map((table) => `ALTER TABLE ${qualified(table)} REPLICA IDENTITY ${table.replicaIdentity}`),
    ...relations.flatMap((relation) =>
      relation.clusterOn && isNew(relation, wanted)
        ? [`ALTER TABLE ${qualified(relation)} CLUSTER ON ${ident(relation.clusterOn)}`]
        : [],
    ),
    ...relations.flatMap((relation) =>
      partsOf(relation, relation.attachments, ({ kind }) => kind, wanted).flatMap((part) =>
        createAttachment(relation, part),
      ),
    ),
    ...relations.flatMap((relation) =>
      partsOf(relation, relation.triggers, 'trigger', wanted).flatMap((part) => createTrigger(relation, part)),
    ),
    ...tables.flatMap((table) =>
      partsOf(table, table.policies, 'policy', wanted).map((part) => createPolicy(table, part)),
    ),
    ...schema.tables.filter((table) => isNew(table, wanted)).flatMap(rowSecurity),
  ];
}

function isNew(relation: Table | View, wanted: Wanted): boolean {
  return wanted(`${relation.kind.endsWith('table') ? 'table' : relation.kind} ${dotted(relation)}`);
}

/** Of a relation that is new all parts, else those that are. */
function partsOf<P extends { name: string }>(
  relation: Table | View,
  parts: readonly P[],
  kind: string | ((part: P) => string),
  wanted: Wanted,
): readonly P[] {
  if (isNew(relation, wanted)) return parts;
  const kindOf = (part: P) => (typeof kind === 'string' ? kind : kind(part));
  return parts.filter((part) => wanted(`${kindOf(part)} ${dotted(relation)}.${part.name}`));
}

function createConstraints(table: Table, kinds: readonly Constraint['kind'][], wanted: Wanted): string[] {
  return partsOf(table, table.constraints, 'constraint', wanted)
    .filter((constraint) => kinds.includes(constraint.kind) && !(isInline(constraint) && isNew(table, wanted)))
    .map((constraint) => addConstraint(table, constraint));
}
