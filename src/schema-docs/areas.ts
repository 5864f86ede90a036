import { groupBy } from '../app/group-by.js';
import type { Column, Schema, Table } from '../schema/model.js';

/** A table as a page shows it. */
export interface DocTable {
  /** As one writes it: schema public is left out. */
  name: string;
  table: Table;
  /** By column: what its foreign key leads to. */
  references: Map<string, { table: string; column: string }>;
  /** Who refers to it. */
  referencedBy: { table: string; column: string }[];
  primaryKey: Set<string>;
  /** Columns of its primary and foreign keys. */
  keys: Column[];
}

/** Tables that belong together, on one diagram. */
export interface Area {
  id: string;
  title: string;
  tables: DocTable[];
}

/** Which table a migration makes; its name gives the area its title. */
export interface AreaSource {
  name: string;
  creates: readonly string[];
}

/**
 * Tables by area: those that one migration made belong together; what no migration made, by the tables it is connected with through foreign keys. Pure.
 */
export function areasOf(schema: Schema, sources: readonly AreaSource[]): Area[] {
  const tables = docTables(schema);
  const home = new Map(sources.flatMap((source) => source.creates.map((table) => [table, source.name] as const)));
  const areas = groupBy(tables, (table) => home.get(table.name) ?? connected(table, tables, home) ?? 'other_tables');
  return [...areas]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, list]) => {
      const plain = name.replace(/^\d+_/, '');
      return { id: plain.replaceAll('_', '-'), title: titleOf(plain), tables: list };
    });
}

function docTables(schema: Schema): DocTable[] {
  const tables = schema.tables.map((table): DocTable => {
    const references = new Map<string, { table: string; column: string }>();
    for (const { columns, references: target } of table.constraints) {
      if (!target) continue;
      const name = nameOf({ schema: target.schema, name: target.table });
      for (const [i, column] of columns.entries())
        references.set(column, { table: name, column: target.columns[i] as string });
    }
    const primaryKey = new Set(table.constraints.find(({ kind }) => kind === 'primary key')?.columns);
    const keys = table.columns.filter(({ name }) => primaryKey.has(name) || references.has(name));
    return { name: nameOf(table), table, references, referencedBy: [], primaryKey, keys };
  });
  const byName = new Map(tables.map((table) => [table.name, table]));
  for (const { name, references } of tables)
    for (const [column, { table }] of references) byName.get(table)?.referencedBy.push({ table: name, column });
  return tables;
}

function nameOf({ schema, name }: { schema: string; name: string }): string {
  return schema === 'public' ? name : `${schema}.${name}`;
}

/** A table that no migration made goes where its first known neighbour is. */
function connected(
  table: DocTable,
  tables: readonly DocTable[],
  home: ReadonlyMap<string, string>,
): string | undefined {
  const neighbours = [...table.references.values(), ...table.referencedBy].map((other) => other.table);
  const found = tables.find((other) => neighbours.includes(other.name) && home.has(other.name));
  return found && home.get(found.name);
}

function titleOf(name: string): string {
  const words = name.replaceAll('_', ' ').replace(/\b(vm|dns|sso)\b/g, (word) => word.toUpperCase());
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** What a column is besides its type, in words. */
export function traitsOf({ primaryKey }: DocTable, column: Column): string[] {
  return [
    ...(primaryKey.has(column.name) ? ['primary key'] : []),
    ...(column.notNull && !primaryKey.has(column.name) ? ['not null'] : []),
    ...(column.generated ? [`generated, ${column.generated}`] : []),
    ...(column.identity ? ['identity'] : []),
  ];
}
