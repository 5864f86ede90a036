import { KasmDbError } from '../app/errors.js';
import { comment, ident } from './ddl/names.js';
import type { ExportedSchema } from './export.js';
import { canConvert, unitChange } from './from-export-columns.js';
import type { Column, Constraint, Schema, Table } from './model.js';

/** A column of schema public that the new release calls otherwise. */
export interface Rename {
  table: string;
  from: string;
  to: string;
}

/**
 * Reads `TABLE.OLD=NEW`, several with commas.
 * @throws KasmDbError usage
 */
export function parseRenames(texts: readonly string[]): Rename[] {
  return texts
    .flatMap((text) => text.split(','))
    .map((text) => {
      const [, table, from, to] = /^\s*([^.=\s]+)\.([^.=\s]+)=([^.=\s]+)\s*$/.exec(text) ?? [];
      if (table && from && to) return { table, from, to };
      const [, oldTable, newTable] = /^\s*([^.=\s]+)=([^.=\s]+)\s*$/.exec(text) ?? [];
      throw new KasmDbError('usage', `--rename "${text}" is not of the form TABLE.OLD=NEW`, {
        hint:
          oldTable && newTable
            ? `it renames columns, as in --rename images.memory=memory_bytes; a table is renamed in the file that new has written: ${renameTable({ from: oldTable, to: newTable })} in place of CREATE TABLE ${ident(newTable)}`
            : 'such as --rename images.memory=memory_bytes; several with commas',
      });
    });
}

/**
 * Refuses what is no rename between a catalog and an export: pure.
 * @throws KasmDbError usage
 */
export function checkRenames(renames: readonly Rename[], base: Schema, exported: ExportedSchema): void {
  const fail = (rename: Rename, why: string, hint: string): never => {
    throw refusal(rename, why, hint);
  };
  const once = (part: 'from' | 'to', rename: Rename) =>
    renames.filter((other) => other.table === rename.table && other[part] === rename[part]).length === 1;
  for (const rename of renames) {
    const { table: name, from, to } = rename;
    const table = publicTable(base, name);
    const columns = exported.tables.get(name);
    const why = !table ? `the newest snapshot has no table ${name}` : `${exported.file} has no table ${name}`;
    if (!table || !columns) throw refusal(rename, why, 'correct the name of the table');
    if (!table.columns.some((column) => column.name === from))
      fail(rename, `table ${name} has no column ${from}`, `its columns: ${names(table.columns)}`);
    if (!columns.has(to))
      fail(rename, `${exported.file} lists no column ${to} of ${name}`, `it lists: ${[...columns.keys()].join(', ')}`);
    if (renames.some((other) => other !== rename && other.table === name && (other.from === to || other.to === from)))
      fail(
        rename,
        `the name of ${name}.${from} or of ${name}.${to} goes from one column to another`,
        'leave these renames out, and write them into the file by hand, in an order in which no name is taken, by a third name where two are exchanged',
      );
    if (table.columns.some((column) => column.name === to))
      fail(rename, `table ${name} has a column ${to} already`, 'leave this --rename out');
    if (columns.has(from))
      fail(rename, `${exported.file} still lists ${name}.${from}, so it is not renamed`, 'leave this --rename out');
    if (!once('to', rename)) fail(rename, `two columns would become ${name}.${to}`, 'give one of the two');
    if (!once('from', rename)) fail(rename, `${name}.${from} would get two names`, 'give one of the two');
  }
}

function refusal(rename: Rename, why: string, hint: string): KasmDbError {
  return new KasmDbError('usage', `--rename ${renameText(rename)}: ${why}`, { hint });
}

/** The catalog as it is after the renames; pure. */
export function renamed(base: Schema, renames: readonly Rename[]): Schema {
  let { tables } = base;
  for (const rename of renames) {
    tables = tables.map((table) => ({
      ...table,
      columns: isOf(table, rename) ? table.columns.map((column) => ofColumn(column, rename)) : table.columns,
      constraints: table.constraints.map((constraint) => ofConstraint(constraint, table, rename)),
    }));
  }
  return { ...base, tables };
}

function isOf(table: { schema: string; name: string }, rename: Rename): boolean {
  return table.schema === 'public' && table.name === rename.table;
}

function ofColumn(column: Column, { from, to }: Rename): Column {
  return column.name === from ? { ...column, name: to } : column;
}

/** The name of a constraint stays, as in PostgreSQL. */
function ofConstraint(constraint: Constraint, table: Table, rename: Rename): Constraint {
  const { from, to } = rename;
  const swap = (list: readonly string[]) => list.map((name) => (name === from ? to : name));
  const { references } = constraint;
  const own = isOf(table, rename);
  const target = references && isOf({ schema: references.schema, name: references.table }, rename);
  if (!own && !target) return constraint;
  const columns = own ? swap(constraint.columns) : constraint.columns;
  if (!references) return { ...constraint, columns };
  const referenced = target ? swap(references.columns) : references.columns;
  const list = (of: readonly string[]) => `(${of.map(ident).join(', ')})`;
  return {
    ...constraint,
    columns,
    references: { ...references, columns: referenced },
    definition: constraint.definition
      .replace(list(constraint.columns), list(columns))
      .replace(
        new RegExp(`(REFERENCES [^(]*)\\(${escapeRegex(references.columns.map(ident).join(', '))}\\)`),
        `$1${list(referenced)}`,
      ),
  };
}

const escapeRegex = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** As --rename takes it. */
export const renameText = ({ table, from, to }: Rename) => `${table}.${from}=${to}`;

/** The statements of a rename, up and down. */
export function renameSteps({ table, from, to }: Rename): { up: string[]; down: string[] } {
  const alter = `ALTER TABLE ${ident(table)} RENAME COLUMN`;
  const unit = unitChange(from, to);
  return {
    up: [
      `${alter} ${ident(from)} TO ${ident(to)};`,
      ...(unit
        ? [
            comment(
              `Its name says another unit: were its values ${unit.from} and are ${unit.to} now? Then take the comment away:`,
            ),
            comment(
              `UPDATE ${ident(table)} SET ${ident(to)} = ${ident(to)} ${unit.expression} WHERE ${ident(to)} IS NOT NULL;`,
            ),
          ]
        : []),
    ],
    down: [`${alter} ${ident(to)} TO ${ident(from)};`],
  };
}

/** Columns that are gone and columns that are new, which look like the same one: of one kind of type, and alike by name or alone. */
export function likelyRenames(base: Schema, exported: ExportedSchema): Rename[] {
  return [...exported.tables].flatMap(([name, columns]) => {
    const table = publicTable(base, name);
    if (!table) return [];
    const gone = table.columns.filter((column) => !columns.has(column.name));
    const added = [...columns].filter(([column]) => !table.columns.some((known) => known.name === column));
    const taken = new Set<string>();
    return gone.flatMap((column) => {
      const fits = added.filter(([to, facts]) => !taken.has(to) && canConvert(column.type, facts.type, 'alike'));
      const alone = gone.length === 1 && added.length === 1;
      const best = fits
        .map(([to]) => ({ to, score: likeness(column.name, to) }))
        .filter(({ score }) => alone || score >= 0.5)
        .sort((a, b) => b.score - a.score)[0];
      if (!best) return [];
      taken.add(best.to);
      return [{ table: name, from: column.name, to: best.to }];
    });
  });
}

/** A table that the new release calls otherwise. */
export interface TableRename {
  from: string;
  to: string;
}

export const renameTable = ({ from, to }: TableRename) => `ALTER TABLE ${ident(from)} RENAME TO ${ident(to)};`;

/** Tables that are gone and tables that are new, of which most columns have the same names. */
export function likelyTableRenames(
  base: Schema,
  exported: ExportedSchema,
  isKnownGone: (table: string) => boolean,
): TableRename[] {
  const gone = base.tables.filter(
    ({ schema, name }) => schema === 'public' && !exported.tables.has(name) && !isKnownGone(name),
  );
  const taken = new Set<string>();
  return gone.flatMap(({ name: from, columns }) => {
    const best = [...exported.tables]
      .filter(([to]) => !publicTable(base, to) && !taken.has(to))
      .map(([to, listed]) => {
        const shared = columns.filter(({ name }) => listed.has(name)).length;
        return { to, score: shared / (columns.length + listed.size - shared) };
      })
      .filter(({ score }) => score >= 0.5)
      .sort((a, b) => b.score - a.score)[0];
    if (!best) return [];
    taken.add(best.to);
    return [{ from, to: best.to }];
  });
}

/** Words that two names share, of those that the longer one has. */
function likeness(a: string, b: string): number {
  const [first, second] = [a, b].map((name) => name.split('_').filter(Boolean)) as [string[], string[]];
  const shared = first.filter((word) => second.includes(word)).length;
  return shared / Math.max(first.length, second.length);
}

function publicTable(schema: Schema, name: string): Table | undefined {
  return schema.tables.find((table) => table.schema === 'public' && table.name === name);
}

function names(columns: readonly Column[]): string {
  return columns.map(({ name }) => name).join(', ');
}
