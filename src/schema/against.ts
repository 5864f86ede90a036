import type { Difference } from './diff.js';
import { type ExportedColumn, type ExportedSchema, NOT_EXPORTED, postgresType } from './export.js';
import type { Column, Schema, Table } from './model.js';

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
  const tables = new Map(actual.tables.filter(({ schema }) => schema === 'public').map((table) => [table.name, table]));
  const differences: Difference[] = [];
  for (const [name, columns] of expected.tables) {
    const table = tables.get(name);
    if (!table) differences.push({ change: 'missing', object: `table public.${name}`, group: `public.${name}` });
    else differences.push(...diffTable(table, columns, expected));
  }
  for (const { name } of tables.values()) {
    if (!expected.tables.has(name) && !NOT_EXPORTED.has(name))
      differences.push({ change: 'extra', object: `table public.${name}`, group: `public.${name}` });
  }
  if (expected.alembicVersion !== undefined && expected.alembicVersion !== alembicVersion) {
    differences.push({
      change: 'changed',
      object: 'alembic_version',
      group: 'public.alembic_version',
      property: 'version_num',
      expected: expected.alembicVersion,
      ...(alembicVersion === undefined ? {} : { actual: alembicVersion }),
    });
  }
  const byTable = (a: Difference, b: Difference) => (a.group + a.object < b.group + b.object ? -1 : 1);
  const isLeftOver = ({ change, object, group }: Difference) => {
    if (change !== 'extra') return false;
    const columns = tables.get(group.slice('public.'.length))?.columns ?? [];
    const column = columns.find(({ name }) => object === `column ${group}.${name}`);
    return column === undefined || !isRequired(column);
  };
  return {
    differences: differences.filter((difference) => !isLeftOver(difference)).sort(byTable),
    leftOver: differences.filter(isLeftOver).sort(byTable),
  };
}

function diffTable(table: Table, expected: Map<string, ExportedColumn>, exported: ExportedSchema): Difference[] {
  const group = `public.${table.name}`;
  const columns = new Map(table.columns.map((column) => [column.name, column]));
  const keys = referencesOf(table);
  const out: Difference[] = [];
  for (const [name, facts] of expected) {
    const object = `column ${group}.${name}`;
    const column = columns.get(name);
    if (!column) {
      out.push({ change: 'missing', object, group });
      continue;
    }
    const compare = (property: string, wanted: string | undefined, found: string | undefined) => {
      if (wanted === found) return;
      out.push({
        change: 'changed',
        object,
        group,
        property,
        ...(wanted === undefined ? {} : { expected: wanted }),
        ...(found === undefined ? {} : { actual: found }),
      });
    };
    const array = facts.type.toUpperCase() === 'ARRAY' && column.type.endsWith('[]');
    if (!array) compare('type', postgresType(facts.type), column.type);
    compare('required', String(facts.required), String(isRequired(column)));
    const target = facts.references && exported.tables.has(facts.references.table) ? facts.references : undefined;
    // A key to a table that the export leaves out can be there or not.
    const found = keys.get(name)?.filter((key) => exported.tables.has(key.split('.')[0] as string));
    if (!target || !found?.includes(`${target.table}.${target.column}`))
      compare('foreign_key', target && `${target.table}.${target.column}`, found?.[0]);
  }
  for (const name of columns.keys()) {
    if (!expected.has(name)) out.push({ change: 'extra', object: `column ${group}.${name}`, group });
  }
  return out;
}

/** NOT NULL, and nobody but the writer gives a value. */
export function isRequired(column: Column): boolean {
  return column.notNull && column.default === undefined && column.identity === undefined;
}

function referencesOf(table: Table): Map<string, string[]> {
  const map = new Map<string, string[]>();
  for (const { columns, references } of table.constraints) {
    if (!references || columns.length !== 1 || references.schema !== 'public') continue;
    const [column] = columns as [string];
    map.set(column, [...(map.get(column) ?? []), `${references.table}.${references.columns[0]}`]);
  }
  return map;
}
