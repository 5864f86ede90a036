import { groupBy } from '../app/group-by.js';
import { dotted } from './ddl/names.js';
import { type Grantable, grantsReader } from './grants.js';
import type * as Model from './model.js';

/** An object as a query gives it: null where there is nothing, and privileges as grantsOf() reads them. */
type Row<T> = {
  [K in keyof T]: undefined extends T[K] ? (K extends 'grants' ? string : T[K]) | null : T[K];
};
/** With the OID of the table or view that it is or belongs to. */
type RelationRow<T> = Row<T> & { oid: string };
type Parts = 'columns' | 'constraints' | 'indexes' | 'triggers' | 'policies' | 'attachments';

/** Rows of the catalog queries, sorted; the columns of each stand in the order in which a snapshot has them. */
export interface Rows {
  schemas: Row<Model.Namespace>[];
  extensions: Model.Extension[];
  collations: Row<Model.Collation>[];
  types: Row<Model.DataType>[];
  sequences: Row<Model.Sequence>[];
  routines: Row<Model.Routine>[];
  relations: RelationRow<Omit<Model.Table, Parts> | Omit<Model.View, Parts>>[];
  columns: RelationRow<Model.Column>[];
  constraints: RelationRow<Model.Constraint>[];
  indexes: RelationRow<Model.Index>[];
  triggers: RelationRow<Model.Trigger>[];
  policies: RelationRow<Model.Policy>[];
  attachments: RelationRow<Model.Attachment>[];
  others: Row<Model.Other>[];
  dependencies: { dependent: string; needed: string[] }[];
}

/** Puts the rows together; pure. */
export function assemble(rows: Rows): Model.Schema {
  const grantsOf = grantsReader();
  const needs = new Map(rows.dependencies.map(({ dependent, needed }) => [dependent, needed]));
  /** @param id as dependencies have it */
  const made = <T>(kind: Grantable, row: { grants?: unknown }, id = '') =>
    compact<T>({ ...row, grants: grantsOf(kind, row.grants as string | null), dependsOn: needs.get(id) });

  const columns = byRelation<Model.Column>(rows.columns, (row) =>
    made('column', Object.assign(row, { identity: row.identity && made('sequence', row.identity) })),
  );
  const [constraints, indexes] = [byRelation(rows.constraints), byRelation(rows.indexes)];
  const [triggers, policies, attachments] = [
    byRelation(rows.triggers),
    byRelation(rows.policies),
    byRelation(rows.attachments),
  ];
  const relations = rows.relations.map(({ oid, ...row }) => {
    const isTable = row.kind.endsWith('table');
    return {
      ...made<object>('table', row, `${isTable ? 'table' : 'view'} ${dotted(row)}`),
      ...{ columns: columns(oid), indexes: indexes(oid), triggers: triggers(oid), attachments: attachments(oid) },
      ...(isTable ? { constraints: constraints(oid), policies: policies(oid) } : {}),
    } as Model.Table | Model.View;
  });
  return {
    schemas: rows.schemas.map((row) => made('schema', row)),
    extensions: rows.extensions,
    collations: rows.collations.map((row) => compact(row)),
    types: rows.types.map((row) => made('type', row, `type ${dotted(row)}`)),
    sequences: rows.sequences.map((row) => made('sequence', row)),
    routines: rows.routines.map((row) => made('routine', row, `routine ${dotted(row)}(${row.arguments})`)),
    tables: relations.filter((relation) => 'policies' in relation),
    views: relations.filter((relation): relation is Model.View => !('policies' in relation)),
    others: rows.others.map((row) => compact(row)),
  };
}

/** The parts of each table and view, by its OID. */
function byRelation<T>(rows: readonly RelationRow<T>[], make: (row: Row<T>) => T = compact): (oid: string) => T[] {
  const groups = groupBy(rows, ({ oid }) => oid);
  return (oid) => (groups.get(oid) ?? []).map(({ oid: _, ...row }) => make(row as Row<T>));
}

/** Without what is not there. */
function compact<T>(row: object): T {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null && value !== undefined)) as T;
}
