import { type DependencyReader, relationsOf } from './assemble-relations.js';
import { sequencesOf } from './assemble-sequences.js';
import { compact } from './compact.js';
import { dotted, inQuotes } from './ddl/names.js';
import { type GrantsReader, grantsReader } from './grants.js';
import type { Collation, DataType, Namespace, Other, Routine, Schema } from './model.js';
import { byName, bySchemaAndName, byText } from './order.js';
import type { Rows } from './rows.js';

/** Puts the rows together; pure. Nothing depends on the order of the rows. */
export function assemble(rows: Rows): Schema {
  const grantsOf = grantsReader();
  const dependsOn = dependencyReader(rows.dependencies);
  return {
    schemas: namespacesOf(rows.schemas, grantsOf),
    extensions: [...rows.extensions].sort(byName),
    collations: rows.collations.map(collationOf).sort(bySchemaAndName),
    types: rows.types.map((row) => typeOf(row, grantsOf, dependsOn)).sort(bySchemaAndName),
    sequences: sequencesOf(rows.sequences, grantsOf),
    routines: rows.routines.map((row) => routineOf(row, grantsOf, dependsOn)).sort(bySchemaAndName),
    ...relationsOf(rows, grantsOf, dependsOn),
    others: othersOf(rows),
  };
}

function dependencyReader(rows: Rows['dependencies']): DependencyReader {
  const needs = new Map<string, string[]>();
  for (const { dependent, needed } of rows) needs.set(dependent, [...(needs.get(dependent) ?? []), needed]);
  return (id) => ({ dependsOn: needs.get(id)?.sort(byText) });
}

/** Who may create in public depends on the server's version; kasm-db bootstrap and operators set it. */
function namespacesOf(rows: Rows['schemas'], grantsOf: GrantsReader): Namespace[] {
  return rows
    .filter(({ name }) => name !== 'public')
    .map(({ name, comment, acl }) => compact<Namespace>({ name, comment, grants: grantsOf('schema', acl) }))
    .sort(byName);
}

function collationOf(row: Rows['collations'][number]): Collation {
  const { schema, name, comment } = row;
  return compact<Collation>({ schema, name, options: collationOptions(row), comment });
}

function collationOptions(row: Rows['collations'][number]): string {
  const quote = (text: string | null) => inQuotes(text ?? '');
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

function typeOf(
  { acl, attributes, constraints, ...row }: Rows['types'][number],
  grantsOf: GrantsReader,
  dependsOn: DependencyReader,
): DataType {
  type Attribute = NonNullable<DataType['attributes']>[number];
  type Check = NonNullable<DataType['constraints']>[number];
  return compact<DataType>({
    ...row,
    notNull: row.notNull || undefined,
    attributes: attributes?.map((attribute) => compact<Attribute>(attribute)),
    constraints: constraints?.map((check) => compact<Check>(check)).sort(byName),
    grants: grantsOf('type', acl),
    ...dependsOn(`type ${dotted(row)}`),
  });
}

function routineOf(
  { acl, ...row }: Rows['routines'][number],
  grantsOf: GrantsReader,
  dependsOn: DependencyReader,
): Routine {
  return compact<Routine>({
    ...row,
    definition: row.definition.trimEnd(),
    grants: grantsOf('routine', acl),
    ...dependsOn(`routine ${dotted(row)}(${row.arguments})`),
  });
}

function othersOf({ others, neededOthers }: Rows): Other[] {
  return others
    .map(({ kind, name }) => {
      const needed = neededOthers.filter((row) => row.kind === kind && row.name === name);
      return compact<Other>({
        kind,
        name,
        neededBy: needed.length > 0 && needed.map(({ dependent }) => dependent).sort(byText),
      });
    })
    .sort((a, b) => byText(a.kind, b.kind) || byName(a, b));
}
