import type { Schema } from '../model.js';
import { columnSettings, columnSql, notNullUnchecked } from './columns.js';
import { commentsAndGrants, type Wanted } from './comments.js';
import { ident, qualified } from './names.js';
import { createSequence, createType } from './others.js';
import {
  addConstraint,
  createAttachment,
  createIndex,
  createPolicy,
  createTable,
  createTrigger,
  createView,
  isInline,
  rowSecurity,
} from './tables.js';

/** Ids in an order in which each comes after all that it needs; those that need each other come as they are. */
export function inOrder(needs: ReadonlyMap<string, readonly string[]>): string[] {
  const order: string[] = [];
  const seen = new Set<string>();
  const visit = (id: string) => {
    if (seen.has(id)) return;
    seen.add(id);
    for (const needed of needs.get(id) ?? []) if (needs.has(needed)) visit(needed);
    order.push(id);
  };
  for (const id of needs.keys()) visit(id);
  return order;
}

/**
 * Statements that make what is in a schema, in an order that works: first what the columns of tables need, then tables and views by what
 * they need, then what goes between tables.
 */
export function createAll(schema: Schema, wanted: Wanted = () => true): string[] {
  const units = new Map<string, () => string[]>();
  const needs = new Map<string, readonly string[]>();
  const unit = (id: string, dependsOn: readonly string[] | undefined, create: () => string[]) => {
    units.set(id, create);
    needs.set(id, dependsOn ?? []);
  };
  const name = (item: { schema: string; name: string }) => `${item.schema}.${item.name}`;
  for (const item of schema.types) {
    const kind = item.kind === 'composite' ? 'type' : item.kind;
    unit(`type ${name(item)}`, item.dependsOn, () => {
      if (wanted(`${kind} ${name(item)}`)) return [createType(item)];
      const checks = (item.constraints ?? []).filter((check) => wanted(`constraint ${name(item)}.${check.name}`));
      return checks.map(
        (check) => `ALTER DOMAIN ${qualified(item)} ADD CONSTRAINT ${ident(check.name)} ${check.definition}`,
      );
    });
  }
  // A range's canonical function takes the range: it is made when only the range's name is there.
  const shells = new Map(
    schema.types
      .filter(({ canonical }) => canonical !== undefined)
      .map((item) => [`type ${name(item)}` as string, item]),
  );
  for (const item of schema.routines) {
    const id = `${name(item)}(${item.arguments})`;
    const canonical = (needed: string) => shells.get(needed)?.canonical === qualified(item);
    unit(
      `routine ${id}`,
      item.dependsOn?.filter((needed) => !canonical(needed)),
      () => (wanted(`${item.kind} ${id}`) ? [item.definition] : []),
    );
  }
  const byName = new Map(schema.tables.map((item) => [qualified(item), item]));
  for (const item of schema.tables)
    unit(`table ${name(item)}`, item.dependsOn, () =>
      wanted(`table ${name(item)}`)
        ? createTable(item, byName)
        : item.columns
            .filter((column) => wanted(`column ${name(item)}.${column.name}`))
            .flatMap((column) => [
              `ALTER TABLE ${qualified(item)} ADD COLUMN ${columnSql(column, item.schema)}`,
              ...notNullUnchecked(qualified(item), column),
            ]),
    );
  for (const item of schema.views)
    unit(`view ${name(item)}`, item.dependsOn, () => (wanted(`${item.kind} ${name(item)}`) ? createView(item) : []));
  const order = inOrder(needs);
  const place = new Map(order.map((id, i) => [id, i]));
  // What is made on a partitioned table is made on its partitions too, and takes what is like it there for its own: it comes first.
  const tables = [...schema.tables].sort(
    (a, b) => (place.get(`table ${name(a)}`) as number) - (place.get(`table ${name(b)}`) as number),
  );
  const views = new Map(schema.views.map((item) => [`view ${name(item)}`, item]));
  const filled = order.flatMap((id) => {
    const view = views.get(id);
    if (view?.kind !== 'materialized view' || view.empty || !wanted(`${view.kind} ${name(view)}`)) return [];
    return [`REFRESH MATERIALIZED VIEW ${qualified(view)}`];
  });
  const isNew = (item: { schema: string; name: string; kind: string }) =>
    wanted(`${item.kind.endsWith('table') ? 'table' : item.kind} ${name(item)}`);
  const constraints = tables.flatMap((table) => {
    const all = isNew(table);
    return table.constraints
      .filter((constraint) => (all ? !isInline(constraint) : wanted(`constraint ${name(table)}.${constraint.name}`)))
      .map((constraint) => ({ kind: constraint.kind, sql: addConstraint(table, constraint) }));
  });
  const ofKind = (test: (kind: string) => boolean) =>
    constraints.filter(({ kind }) => test(kind)).map(({ sql }) => sql);
  const relations = [...tables, ...schema.views];
  const parts = <P extends { name: string }>(
    list: (relation: (typeof relations)[number]) => readonly P[],
    kind: (part: P) => string,
    create: (part: P, relation: (typeof relations)[number]) => string[],
  ) =>
    relations.flatMap((relation) => {
      const all = isNew(relation);
      return list(relation)
        .filter((part) => all || wanted(`${kind(part)} ${name(relation)}.${part.name}`))
        .flatMap((part) => create(part, relation));
    });
  return [
    ...schema.schemas
      .filter((item) => wanted(`schema ${item.name}`))
      .map((item) => `CREATE SCHEMA ${ident(item.name)}`),
    ...schema.extensions
      .filter((item) => wanted(`extension ${item.name}`))
      .map(
        (item) =>
          `CREATE EXTENSION IF NOT EXISTS ${ident(item.name)}${item.schema === 'public' ? '' : ` SCHEMA ${ident(item.schema)}`}`,
      ),
    ...schema.collations
      .filter((item) => wanted(`collation ${name(item)}`))
      .map((item) => `CREATE COLLATION ${qualified(item)} (${item.options})`),
    ...schema.sequences.filter((item) => wanted(`sequence ${name(item)}`)).map(createSequence),
    ...[...shells.values()]
      .filter((item) => wanted(`range ${name(item)}`))
      .map((item) => `CREATE TYPE ${qualified(item)}`),
    ...order.flatMap((id) => units.get(id)?.() ?? []),
    ...[...tables, ...schema.views.filter(({ kind }) => kind === 'materialized view')].flatMap((item) => {
      const all = isNew(item);
      return item.columns
        .filter((column) => all || wanted(`column ${name(item)}.${column.name}`))
        .flatMap((column) => columnSettings(qualified(item), column));
    }),
    ...schema.sequences
      .filter((item) => item.ownedBy && wanted(`sequence ${name(item)}`))
      .map((item) => `ALTER SEQUENCE ${qualified(item)} OWNED BY ${item.ownedBy}`),
    ...ofKind((kind) => kind === 'primary key' || kind === 'unique'),
    ...ofKind((kind) => kind === 'exclusion' || kind === 'check'),
    ...parts(
      (relation) => relation.indexes,
      () => 'index',
      createIndex,
    ),
    ...ofKind((kind) => kind === 'foreign key'),
    ...schema.tables
      .filter((table) => table.replicaIdentity && isNew(table))
      .map((table) => `ALTER TABLE ${qualified(table)} REPLICA IDENTITY ${table.replicaIdentity}`),
    ...relations.flatMap((relation) =>
      relation.clusterOn && isNew(relation)
        ? [`ALTER TABLE ${qualified(relation)} CLUSTER ON ${ident(relation.clusterOn)}`]
        : [],
    ),
    ...parts(
      (relation) => relation.attachments,
      ({ kind }) => kind,
      (attachment, relation) => createAttachment(relation, attachment),
    ),
    ...parts(
      (relation) => relation.triggers,
      () => 'trigger',
      (trigger, relation) => createTrigger(relation, trigger),
    ),
    ...parts(
      (relation) => ('policies' in relation ? relation.policies : []),
      () => 'policy',
      (policy, relation) => [createPolicy(relation, policy)],
    ),
    ...schema.tables.filter(isNew).flatMap(rowSecurity),
    ...filled,
    ...commentsAndGrants(schema, wanted),
  ];
}
