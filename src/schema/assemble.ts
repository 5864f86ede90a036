import { columnsOf } from './assemble-columns.js';
import { compact } from './compact.js';
import { ident } from './ddl/names.js';
import { type GrantsReader, grantsReader } from './grants.js';
import type {
  Attachment,
  Constraint,
  DataType,
  Identity,
  Index,
  Other,
  Policy,
  Routine,
  Schema,
  Sequence,
  SequenceOptions,
  Table,
  Trigger,
  View,
} from './model.js';
import type { RelationRow, Rows, SequenceRow } from './rows.js';

const byText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
const byName = (a: { name: string }, b: { name: string }) => byText(a.name, b.name);
const bySchemaAndName = (a: { schema: string; name: string; arguments?: string }, b: typeof a) =>
  byText(a.schema, b.schema) || byName(a, b) || byText(a.arguments ?? '', b.arguments ?? '');

/** Puts the rows together; pure. Nothing depends on the order of the rows. */
export function assemble(rows: Rows): Schema {
  const grantsOf = grantsReader();
  const needs = new Map<string, string[]>();
  for (const { dependent, needed } of rows.dependencies)
    needs.set(dependent, [...(needs.get(dependent) ?? []), needed]);
  const dependsOn = (id: string) => ({ dependsOn: needs.get(id)?.sort(byText) });
  const group = <R extends { oid: string }>(list: readonly R[]) => {
    const map = new Map<string, R[]>();
    for (const row of list) {
      const found = map.get(row.oid);
      if (found) found.push(row);
      else map.set(row.oid, [row]);
    }
    return map;
  };
  const [columns, constraints, indexes] = [group(rows.columns), group(rows.constraints), group(rows.indexes)];
  const [triggers, policies, attachments] = [group(rows.triggers), group(rows.policies), group(rows.attachments)];
  const identities = new Map(
    rows.sequences
      .filter((row) => row.owned === 'i')
      .map((row) => [`${row.ownerOid} ${row.ownerColumn}`, identitySequence(row, grantsOf)]),
  );
  const namesOf = (relation: RelationRow) =>
    new Map((columns.get(relation.oid) ?? []).map(({ number, name }) => [number, name]));
  const parts = (relation: RelationRow, names: ColumnNames) => ({
    columns: columnsOf(columns.get(relation.oid) ?? [], relation, identities, grantsOf),
    indexes: (indexes.get(relation.oid) ?? []).map((row) => indexOf(row, names)).sort(byName),
    triggers: (triggers.get(relation.oid) ?? [])
      .map(({ oid: _, ...trigger }) => compact<Trigger>({ ...trigger, inherited: trigger.inherited || undefined }))
      .sort(byName),
    attachments: (attachments.get(relation.oid) ?? [])
      .map(({ kind, name, definition, enabled, comment }) =>
        compact<Attachment>({ kind, name, definition: definition.replace(/;$/, ''), enabled, comment }),
      )
      .sort(byName),
  });
  const isTable = ({ kind }: RelationRow) => kind === 'r' || kind === 'p';
  return {
    schemas: rows.schemas
      // Who may create in public depends on the server's version; kasm-db bootstrap and operators set it.
      .filter(({ name }) => name !== 'public')
      .map(({ name, comment, acl }) =>
        compact<Schema['schemas'][number]>({ name, comment, grants: grantsOf('schema', acl) }),
      )
      .sort(byName),
    extensions: [...rows.extensions].sort(byName),
    collations: rows.collations
      .map((row) =>
        compact<Schema['collations'][number]>({
          schema: row.schema,
          name: row.name,
          options: collationOptions(row),
          comment: row.comment,
        }),
      )
      .sort(bySchemaAndName),
    types: rows.types
      .map(({ acl, attributes, constraints: checks, ...row }) =>
        compact<DataType>({
          ...row,
          notNull: row.notNull || undefined,
          attributes: attributes?.map((a) => compact<NonNullable<DataType['attributes']>[number]>(a)),
          constraints: checks
            ?.map((check) => compact<NonNullable<DataType['constraints']>[number]>(check))
            .sort(byName),
          grants: grantsOf('type', acl),
          ...dependsOn(`type ${row.schema}.${row.name}`),
        }),
      )
      .sort(bySchemaAndName),
    sequences: rows.sequences
      .filter((row) => row.owned !== 'i')
      .map((row) =>
        compact<Sequence>({
          schema: row.schema,
          name: row.name,
          ...optionsOf(row),
          unlogged: row.persistence === 'u' || undefined,
          ownedBy: row.owned ? `${row.ownerTable}.${row.ownerColumnSql}` : undefined,
          comment: row.comment,
          grants: grantsOf('sequence', row.acl),
        }),
      )
      .sort(bySchemaAndName),
    routines: rows.routines
      .map(({ acl, ...row }) =>
        compact<Routine>({
          ...row,
          definition: row.definition.trimEnd(),
          grants: grantsOf('routine', acl),
          ...dependsOn(`routine ${row.schema}.${row.name}(${row.arguments})`),
        }),
      )
      .sort(bySchemaAndName),
    tables: rows.relations
      .filter(isTable)
      .map((row) => {
        const names = namesOf(row);
        return compact<Table>({
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
          ...dependsOn(`table ${row.schema}.${row.name}`),
          ...parts(row, names),
          constraints: (constraints.get(row.oid) ?? []).map((found) => constraintOf(found, names)).sort(byName),
          policies: (policies.get(row.oid) ?? [])
            .map(({ oid: _, ...policy }) => ({
              ...compact<Policy>({ ...policy, roles: policy.roles.sort(byText) }),
              permissive: policy.permissive,
            }))
            .sort(byName),
        });
      })
      .sort(bySchemaAndName),
    views: rows.relations
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
          ...dependsOn(`view ${row.schema}.${row.name}`),
          ...parts(row, namesOf(row)),
        }),
      )
      .sort(bySchemaAndName),
    others: rows.others
      .map(({ kind, name }) => {
        const needed = rows.neededOthers.filter((row) => row.kind === kind && row.name === name);
        return compact<Other>({
          kind,
          name,
          neededBy: needed.length > 0 && needed.map(({ dependent }) => dependent).sort(byText),
        });
      })
      .sort((a, b) => byText(a.kind, b.kind) || byName(a, b)),
  };
}

function optionsOf({ type, start, increment, min, max, cache, cycle }: SequenceRow): SequenceOptions {
  return compact<SequenceOptions>({ type, start, increment, min, max, cache, cycle: cycle || undefined });
}

/** Of an identity column, without what its name is by itself. */
function identitySequence(row: SequenceRow, grantsOf: GrantsReader): Omit<Identity, 'always'> {
  return compact<Omit<Identity, 'always'>>({
    sequence: optionsOf(row),
    name: row.name === `${row.ownerName}_${row.ownerColumn}_seq` ? undefined : row.name,
    comment: row.comment,
    grants: grantsOf('sequence', row.acl),
  });
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

function collationOptions(row: Rows['collations'][number]): string {
  const quote = (text: string | null) => `'${(text ?? '').replaceAll("'", "''")}'`;
  const provider = { i: 'icu', c: 'libc', b: 'builtin' }[row.provider] ?? 'libc';
  const options = [
    `provider = ${provider}`,
    ...(provider === 'libc'
      ? [`lc_collate = ${quote(row.collate)}`, `lc_ctype = ${quote(row.ctype)}`]
      : [`locale = ${quote(row.locale)}`]),
    ...(row.deterministic ? [] : ['deterministic = false']),
    ...(row.rules ? [`rules = ${quote(row.rules)}`] : []),
  ];
  return options.join(', ');
}
