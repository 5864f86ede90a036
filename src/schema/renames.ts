import { KasmDbError } from '../app/errors.js';
import { comment, ident } from './ddl/names.js';
import { type ExportedSchema, NOT_EXPORTED } from './export.js';
import { canConvert, unitChange } from './from-export-columns.js';
import { type Constraint, publicTables, type Schema, type Table } from './model.js';

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
  const tables = publicTables(base);
  for (const rename of renames) {
    const { table: name, from, to } = rename;
    const known = tables.get(name)?.columns.map((column) => column.name);
    const listed = exported.tables.get(name);
    const others = renames.filter((other) => other !== rename && other.table === name);
    const problems: [is: boolean, why: string, hint: string][] = [
      [!known, `the newest snapshot has no table ${name}`, 'correct the name of the table'],
      [!listed, `${exported.file} has no table ${name}`, 'correct the name of the table'],
      [!known?.includes(from), `table ${name} has no column ${from}`, `its columns: ${known?.join(', ')}`],
      [
        !listed?.has(to),
        `${exported.file} lists no column ${to} of ${name}`,
        `it lists: ${[...(listed?.keys() ?? [])].join(', ')}`,
      ],
      [
        others.some((other) => other.from === to || other.to === from),
        `the name of ${name}.${from} or of ${name}.${to} goes from one column to another`,
        'leave these renames out, and write them into the file by hand, in an order in which no name is taken, by a third name where two are exchanged',
      ],
      [!!known?.includes(to), `table ${name} has a column ${to} already`, 'leave this --rename out'],
      [
        !!listed?.has(from),
        `${exported.file} still lists ${name}.${from}, so it is not renamed`,
        'leave this --rename out',
      ],
      [others.some((other) => other.to === to), `two columns would become ${name}.${to}`, 'give one of the two'],
      [others.some((other) => other.from === from), `${name}.${from} would get two names`, 'give one of the two'],
    ];
    const problem = problems.find(([is]) => is);
    if (problem) throw new KasmDbError('usage', `--rename ${renameText(rename)}: ${problem[1]}`, { hint: problem[2] });
  }
}

/** The catalog as it is after the renames; pure. */
export function renamed(base: Schema, renames: readonly Rename[]): Schema {
  let { tables } = base;
  for (const rename of renames) {
    const { from, to } = rename;
    tables = tables.map((table) => ({
      ...table,
      columns: table.columns.map((column) =>
        isOf(table, rename) && column.name === from ? { ...column, name: to } : column,
      ),
      constraints: table.constraints.map((constraint) => ofConstraint(constraint, table, rename)),
    }));
  }
  return { ...base, tables };
}

function isOf(table: { schema: string; name: string }, rename: Rename): boolean {
  return table.schema === 'public' && table.name === rename.table;
}

/** The name of a constraint stays, as in PostgreSQL. */
function ofConstraint(constraint: Constraint, table: Table, rename: Rename): Constraint {
  const { references } = constraint;
  const isOwn = isOf(table, rename);
  const isTarget = references && isOf({ schema: references.schema, name: references.table }, rename);
  if (!isOwn && !isTarget) return constraint;
  const swap = (list: string[]) => list.map((name) => (name === rename.from ? rename.to : name));
  const list = (of: readonly string[]) => `(${of.map(ident).join(', ')})`;
  const columns = isOwn ? swap(constraint.columns) : constraint.columns;
  if (!references) return { ...constraint, columns };
  const referenced = isTarget ? swap(references.columns) : references.columns;
  return {
    ...constraint,
    columns,
    references: { ...references, columns: referenced },
    definition: constraint.definition
      .replace(list(constraint.columns), list(columns))
      .replace(new RegExp(`(REFERENCES [^(]*)${escapeRegex(list(references.columns))}`), `$1${list(referenced)}`),
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
  const tables = publicTables(base);
  return [...exported.tables].flatMap(([table, columns]) => {
    const known = tables.get(table)?.columns;
    if (!known) return [];
    const gone = known.filter(({ name }) => !columns.has(name));
    const added = [...columns].filter(([column]) => !known.some(({ name }) => name === column));
    const isAlone = gone.length === 1 && added.length === 1;
    return bestPairs(gone, added, (column, [to, facts]) => {
      if (!canConvert(column.type, facts.type, 'alike')) return 0;
      return isAlone ? 1 : likeness(column.name.split('_').filter(Boolean), to.split('_').filter(Boolean));
    }).map(([{ name: from }, [to]]) => ({ table, from, to }));
  });
}

/** A table that the new release calls otherwise. */
export interface TableRename {
  from: string;
  to: string;
}

export const renameTable = ({ from, to }: TableRename) => `ALTER TABLE ${ident(from)} RENAME TO ${ident(to)};`;

/** Tables that are gone and tables that are new, of which most columns have the same names. */
export function likelyTableRenames(base: Schema, exported: ExportedSchema): TableRename[] {
  const tables = publicTables(base);
  const gone = [...tables.values()].filter(({ name }) => !exported.tables.has(name) && !NOT_EXPORTED.has(name));
  const added = [...exported.tables].filter(([to]) => !tables.has(to));
  return bestPairs(gone, added, ({ columns }, [, listed]) => {
    const shared = columns.filter(({ name }) => listed.has(name)).length;
    return shared / (columns.length + listed.size - shared);
  }).map(([{ name: from }, [to]]) => ({ from, to }));
}

/** For each that is gone the best of those that are new and not taken yet. @param score from 0 to 1: less than a half is no pair */
function bestPairs<G, N>(gone: readonly G[], added: readonly N[], score: (from: G, to: N) => number): [G, N][] {
  const taken = new Set<N>();
  return gone.flatMap((from): [G, N][] => {
    const [best] = added
      .filter((to) => !taken.has(to))
      .map((to) => ({ to, score: score(from, to) }))
      .filter((pair) => pair.score >= 0.5)
      .sort((a, b) => b.score - a.score);
    if (!best) return [];
    taken.add(best.to);
    return [[from, best.to]];
  });
}

/** Words that two names share, of those that the longer one has. */
function likeness(a: readonly string[], b: readonly string[]): number {
  return a.filter((word) => b.includes(word)).length / Math.max(a.length, b.length);
}
