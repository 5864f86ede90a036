import { columnsOf } from './assemble-columns.js';
import { identitiesOf } from './assemble-sequences.js';
import { compact } from './compact.js';
import { dotted, ident } from './ddl/names.js';
import type { GrantsReader } from './grants.js';
import type { Attachment, Constraint, Index, Policy, Table, Trigger, View } from './model.js';
import { byName, bySchemaAndName, byText } from './order.js';
import type { RelationRow, Rows } from './rows.js';

/** What an object needs, by its id. */
export type DependencyReader = (id: string) => { dependsOn: string[] | undefined };

/** Puts tables and views together with all that they consist of. */
export function relationsOf(
  rows: Rows,
  grantsOf: GrantsReader,
  dependsOn: DependencyReader,
): { tables: Table[]; views: View[] } {
  const parts = partsReader(rows, grantsOf);
  const isTable = ({ kind }: RelationRow) => kind === 'r' || kind === 'p';
  const tables = rows.relations.filter(isTable).map((row) =>
    compact<Table>({
      schema: row.schema,
      name: row.name,
      kind: row.kind === 'p' ? 'partitioned table' : 'table',
      unlogged: row.persistence === 'u' || undefined,
      partitionKey: row.partitionKey,
      partitionBound: row.partitionBound,
      inherits: row.inherits,
      ofType: row.ofType,
      options: row.options?.sort(byText),
      clusterOn: row.clusterOn,
      rowSecurity: row.forceRowSecurity ? 'forced' : row.rowSecurity ? 'enabled' : undefined,
      replicaIdentity: row.replicaIdentity,
      comment: row.comment,
      grants: grantsOf('table', row.acl),
      ...dependsOn(`table ${dotted(row)}`),
      ...parts.ofRelation(row),
      ...parts.ofTable(row),
    }),
  );
  const views = rows.relations
    .filter((row) => !isTable(row))
    .map((row) =>
      compact<View>({
        schema: row.schema,
        name: row.name,
        kind: row.kind === 'v' ? 'view' : 'materialized view',
        options: row.options?.sort(byText),
        clusterOn: row.clusterOn,
        empty: !row.populated || undefined,
        definition: (row.definition as string).trim().replace(/;$/, ''),
        comment: row.comment,
        grants: grantsOf('table', row.acl),
        ...dependsOn(`view ${dotted(row)}`),
        ...parts.ofRelation(row),
      }),
    );
  return { tables: tables.sort(bySchemaAndName), views: views.sort(bySchemaAndName) };
}

function partsReader(rows: Rows, grantsOf: GrantsReader) {
  const [columns, constraints, indexes] = [grouped(rows.columns), grouped(rows.constraints), grouped(rows.indexes)];
  const [triggers, policies, attachments] = [grouped(rows.triggers), grouped(rows.policies), grouped(rows.attachments)];
  const identities = identitiesOf(rows.sequences, grantsOf);
  const namesOf = ({ oid }: RelationRow): ColumnNames =>
    new Map(columns(oid).map(({ number, name }) => [number, name]));
  return {
    ofRelation: (relation: RelationRow) => ({
      columns: columnsOf(columns(relation.oid), relation, identities, grantsOf),
      indexes: indexes(relation.oid)
        .map((row) => indexOf(row, namesOf(relation)))
        .sort(byName),
      triggers: triggers(relation.oid)
        .map(({ oid: _, ...row }) => compact<Trigger>({ ...row, inherited: row.inherited || undefined }))
        .sort(byName),
      attachments: attachments(relation.oid).map(attachmentOf).sort(byName),
    }),
    ofTable: (relation: RelationRow) => ({
      constraints: constraints(relation.oid)
        .map((row) => constraintOf(row, namesOf(relation)))
        .sort(byName),
      policies: policies(relation.oid).map(policyOf).sort(byName),
    }),
  };
}

/** Rows by the relation that they belong to. @returns those of one */
function grouped<R extends { oid: string }>(rows: readonly R[]): (oid: string) => readonly R[] {
  const groups = new Map<string, R[]>();
  for (const row of rows) {
    const group = groups.get(row.oid);
    if (group) group.push(row);
    else groups.set(row.oid, [row]);
  }
  return (oid) => groups.get(oid) ?? [];
}

function attachmentOf({ kind, name, definition, enabled, comment }: Rows['attachments'][number]): Attachment {
  return compact<Attachment>({ kind, name, definition: definition.replace(/;$/, ''), enabled, comment });
}

function policyOf({ oid: _, ...policy }: Rows['policies'][number]): Policy {
  return { ...compact<Policy>({ ...policy, roles: policy.roles.sort(byText) }), permissive: policy.permissive };
}

const CONSTRAINTS: Record<string, Constraint['kind']> = {
  p: 'primary key',
  u: 'unique',
  f: 'foreign key',
  c: 'check',
  x: 'exclusion',
};

/** Of a table's columns, by number. */
type ColumnNames = ReadonlyMap<number, string>;

function constraintOf(row: Rows['constraints'][number], names: ColumnNames): Constraint {
  return compact<Constraint>({
    name: row.name,
    kind: CONSTRAINTS[row.kind],
    definition: row.definition,
    columns: (row.columns ?? []).flatMap((number) => names.get(number) ?? []),
    references:
      row.kind === 'f'
        ? { schema: row.refSchema as string, table: row.refTable as string, columns: row.refColumns as string[] }
        : undefined,
    comment: row.comment,
  });
}

function indexOf(row: Rows['indexes'][number], names: ColumnNames): Index {
  const expressions = row.expressions?.values();
  const columnOf = (number: string) =>
    number === '0' ? (expressions?.next().value ?? '') : ident(names.get(Number(number)) ?? '');
  return Object.assign(
    compact<Omit<Index, 'unique' | 'valid'>>({
      name: row.name,
      // An index of a partitioned table is written ON ONLY; without it, it is made on the partitions too.
      definition: row.partitioned && row.valid ? row.definition.replace(' ON ONLY ', ' ON ') : row.definition,
      method: row.method,
      columns: row.columns.split(' ').map(columnOf),
      comment: row.comment,
    }),
    { unique: row.unique, valid: row.valid },
  );
}
