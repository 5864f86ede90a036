import type { ParsedStatement } from '../postgres/parser.js';

// biome-ignore lint/suspicious/noExplicitAny: the parse tree's shape is PostgreSQL's own, some 700 node types.
export type Node = any;

/** A relation as it is written; schema public is left out, since a migration's search_path begins with it. */
export function nameOf(range: { schemaname?: string; relname: string }): string {
  return range.schemaname && range.schemaname !== 'public' ? `${range.schemaname}.${range.relname}` : range.relname;
}

/** The same of a list of name parts, as DROP and COMMENT have them. */
export function nameOfParts(parts: readonly string[]): string {
  return parts.length > 1 && parts.at(-2) !== 'public' ? parts.slice(-2).join('.') : (parts.at(-1) as string);
}

/** Name parts of each object of a DROP. */
export function dropped(node: Node): string[][] {
  return ((node.objects ?? []) as Node[]).map((object) => stringsIn([object]));
}

/** All strings in these nodes, in order. */
export function stringsIn(nodes: readonly Node[] = []): string[] {
  return nodes.flatMap((node) =>
    node?.String
      ? [node.String.sval]
      : stringsIn(node?.List?.items ?? node?.TypeName?.names ?? node?.ObjectWithArgs?.objname),
  );
}

/** Subcommands of an ALTER TABLE; of ALTER INDEX, VIEW and SEQUENCE none, unless they are asked for. */
export function commandsOf({ type, node }: Pick<ParsedStatement, 'type' | 'node'>): Node[] {
  if (type !== 'AlterTableStmt' || (node.objtype !== undefined && node.objtype !== 'OBJECT_TABLE')) return [];
  return (node.cmds as Node[]).map((cmd) => cmd.AlterTableCmd);
}

/** Types that make a sequence for their column. */
export const NUMBERED = new Set(['serial', 'serial2', 'serial4', 'serial8', 'smallserial', 'bigserial']);

/** Constraints written with a column, by kind. */
export function constraintsOf(column: Node): Map<string, Node> {
  return new Map(((column.constraints ?? []) as Node[]).map(({ Constraint }) => [Constraint.contype, Constraint]));
}

/** A type as one would write it: `varchar(20)`, `int4`, `text[]`. */
export function typeOf(typeName: Node): string {
  const names = stringsIn(typeName?.names);
  const modifiers = ((typeName?.typmods ?? []) as Node[]).map((mod) => mod.A_Const?.ival?.ival ?? 0);
  const name = nameOfParts(names[0] === 'pg_catalog' ? names.slice(1) : names);
  return `${name}${modifiers.length > 0 ? `(${modifiers.join(',')})` : ''}${typeName?.arrayBounds ? '[]' : ''}`;
}

/** Column of a CHECK (column IS NOT NULL). */
export function notNullCheck(constraint: Node): string | undefined {
  if (constraint.contype === 'CONSTR_NOTNULL') return stringsIn(constraint.keys)[0];
  const test = constraint.raw_expr?.NullTest;
  if (constraint.contype !== 'CONSTR_CHECK' || test?.nulltesttype !== 'IS_NOT_NULL') return undefined;
  return stringsIn(test.arg?.ColumnRef?.fields).at(-1);
}

/** Every node of a kind anywhere in a tree. */
export function find(tree: Node, kind: string): Node[] {
  return findEach(tree, [kind])[0] as Node[];
}

/** The same for several kinds, in one search: a file may have tens of thousands of statements. @returns a list for each kind */
export function findEach(tree: Node, kinds: readonly string[]): Node[][] {
  const found = kinds.map((): Node[] => []);
  const search = (node: Node): void => {
    if (node === null || typeof node !== 'object') return;
    for (const key in node) {
      const at = kinds.indexOf(key);
      if (at >= 0) found[at]?.push(node[key]);
      search(node[key]);
    }
  };
  search(tree);
  return found;
}

/** Has the statement one of these options, and not switched off? @param names as the parser writes them */
export function hasOption(node: Node, ...names: string[]): boolean {
  return ((node.params ?? node.options ?? []) as Node[]).some(
    ({ DefElem }) =>
      names.includes(DefElem?.defname) && !['false', 'off', '0'].includes(String(DefElem.arg?.String?.sval ?? 'on')),
  );
}
