import { groupBy } from '../app/group-by.js';
import { changed, type Difference } from './diff.js';
import { type ExportedColumn, type ExportedSchema, NOT_EXPORTED, postgresType, targetOf } from './export.js';
import { type Column, publicTables, type Schema, type Table } from './model.js';

/**
 * Compares a catalog with Kasm's own export, in what the export knows: tables and columns of schema public, types, which columns are
 * required (NOT NULL without a default), where single foreign keys lead, and alembic_version. Pure. What the release does not know and that
 * does not keep it from writing (a table, an optional column: an older release's, mostly) is told apart, as left over.
 * @param alembicVersion what the database says
 */
export function diffExport(
  expected: ExportedSchema,
  actual: Schema,
  alembicVersion: string | undefined,
): { differences: Difference[]; leftOver: Difference[] } {
  const tables = publicTables(actual);
  const differences: Difference[] = [];
  const leftOver: Difference[] = [];
  for (const [name, columns] of expected.tables) {
    const table = tables.get(name);
    if (!table) differences.push({ change: 'missing', object: `table public.${name}`, group: `public.${name}` });
    else differences.push(...diffTable(table, columns, expected));
  }
  for (const table of tables.values()) {
    const group = `public.${table.name}`;
    const columns = expected.tables.get(table.name);
    if (!columns && !NOT_EXPORTED.has(table.name)) leftOver.push({ change: 'extra', object: `table ${group}`, group });
    for (const column of columns ? table.columns.filter(({ name }) => !columns.has(name)) : [])
      (isRequired(column) ? differences : leftOver).push({
        change: 'extra',
        object: `column ${group}.${column.name}`,
        group,
      });
  }
  const { alembicVersion: version } = expected;
  if (version !== undefined && version !== alembicVersion)
    differences.push(changed('alembic_version', 'public.alembic_version', 'version_num', version, alembicVersion));
  const byTable = (a: Difference, b: Difference) => (a.group + a.object < b.group + b.object ? -1 : 1);
  return { differences: differences.sort(byTable), leftOver: leftOver.sort(byTable) };
}

function diffTable(table: Table, expected: Map<string, ExportedColumn>, exported: ExportedSchema): Difference[] {
  const group = `public.${table.name}`;
  const columns = new Map(table.columns.map((column) => [column.name, column]));
  const keys = groupBy(
    table.constraints.filter((key) => key.references?.schema === 'public' && key.columns.length === 1),
    (key) => key.columns[0],
  );
  return [...expected].flatMap(([name, facts]): Difference[] => {
    const object = `column ${group}.${name}`;
    const column = columns.get(name);
    if (!column) return [{ change: 'missing', object, group }];
    const compare = (property: string, wanted: string | undefined, found: string | undefined) =>
      wanted === found ? [] : [changed(object, group, property, wanted, found)];
    const target = targetOf(facts, exported);
    const wanted = target && `${target.table}.${target.column}`;
    // A key to a table that the export leaves out can be there or not.
    const found = (keys.get(name) ?? []).flatMap(({ references }) =>
      references && exported.tables.has(references.table) ? [`${references.table}.${references.columns[0]}`] : [],
    );
    return [
      ...(isSomeArray(facts.type, column.type) ? [] : compare('type', postgresType(facts.type), column.type)),
      ...compare('required', String(facts.required), String(isRequired(column))),
      ...(wanted && found.includes(wanted) ? [] : compare('foreign_key', wanted, found[0])),
    ];
  });
}

/** NOT NULL, and nobody but the writer gives a value. */
export function isRequired(column: Column): boolean {
  return column.notNull && column.default === undefined && column.identity === undefined;
}

/** The export says ARRAY, and not of what. */
export function isSomeArray(exportedType: string, type: string): boolean {
  return exportedType.toUpperCase() === 'ARRAY' && type.endsWith('[]');
}
