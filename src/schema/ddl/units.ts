import type { DataType, Routine, Schema, Table, View } from '../model.js';
import { columnSql, notNullUnchecked } from './columns.js';
import type { Wanted } from './comments.js';
import { dotted, ident, qualified } from './names.js';
import { createType } from './others.js';
import { createTable, createView } from './tables.js';

/** A type, routine, table or view: these may need each other in any direction. */
export interface Unit {
  /** As in dependsOn. */
  id: string;
  needs: readonly string[];
  create: () => string[];
}

/** All of a schema that may need each other. */
export function unitsOf(schema: Schema, wanted: Wanted): Unit[] {
  const shells = new Map(shellsOf(schema).map((type) => [typeId(type), type]));
  const tables = new Map(schema.tables.map((table) => [qualified(table), table]));
  return [
    ...schema.types.map((type) => unitOfType(type, wanted)),
    ...schema.routines.map((routine) => unitOfRoutine(routine, shells, wanted)),
    ...schema.tables.map((table) => unitOfTable(table, tables, wanted)),
    ...schema.views.map((view) => unitOfView(view, wanted)),
  ];
}

/** A range's canonical function takes the range: it is made when only the range's name is there. */
export function shellsOf(schema: Schema): DataType[] {
  return schema.types.filter(({ canonical }) => canonical !== undefined);
}

const typeId = (type: DataType) => `type ${dotted(type)}`;

function unitOfType(type: DataType, wanted: Wanted): Unit {
  const name = dotted(type);
  const create = () => {
    if (wanted(`${type.kind === 'composite' ? 'type' : type.kind} ${name}`)) return [createType(type)];
    return (type.constraints ?? [])
      .filter((check) => wanted(`constraint ${name}.${check.name}`))
      .map((check) => `ALTER DOMAIN ${qualified(type)} ADD CONSTRAINT ${ident(check.name)} ${check.definition}`);
  };
  return { id: typeId(type), needs: type.dependsOn ?? [], create };
}

function unitOfRoutine(routine: Routine, shells: ReadonlyMap<string, DataType>, wanted: Wanted): Unit {
  const name = `${dotted(routine)}(${routine.arguments})`;
  const isCanonicalOf = (id: string) => shells.get(id)?.canonical === qualified(routine);
  return {
    id: `routine ${name}`,
    needs: (routine.dependsOn ?? []).filter((id) => !isCanonicalOf(id)),
    create: () => (wanted(`${routine.kind} ${name}`) ? [routine.definition] : []),
  };
}

/** @param tables all of them, by their names as SQL */
function unitOfTable(table: Table, tables: ReadonlyMap<string, Table>, wanted: Wanted): Unit {
  const name = dotted(table);
  const create = () => {
    if (wanted(`table ${name}`)) return createTable(table, tables);
    return table.columns
      .filter((column) => wanted(`column ${name}.${column.name}`))
      .flatMap((column) => [
        `ALTER TABLE ${qualified(table)} ADD COLUMN ${columnSql(column, table.schema)}`,
        ...notNullUnchecked(qualified(table), column),
      ]);
  };
  return { id: `table ${name}`, needs: table.dependsOn ?? [], create };
}

function unitOfView(view: View, wanted: Wanted): Unit {
  return {
    id: `view ${dotted(view)}`,
    needs: view.dependsOn ?? [],
    create: () => (wanted(`${view.kind} ${dotted(view)}`) ? createView(view) : []),
  };
}

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
