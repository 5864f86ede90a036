import type { ParsedStatement } from '../postgres/parser.js';
import { Relations } from './relations.js';
import {
  commandsOf,
  constraintsOf,
  dropped,
  type Node,
  nameOf,
  nameOfParts,
  notNullCheck,
  stringsIn,
  typeOf,
} from './tree.js';

interface Table {
  /** Made by a migration that is not applied yet: it is empty as far as anybody else knows, and nobody else uses it. */
  fresh: boolean;
  /** Types by column. */
  columns: Map<string, string>;
  /** CHECK (column IS NOT NULL), by constraint. */
  notNull: Map<string, { column: string; validated: boolean }>;
}

const newTable = (fresh: boolean): Table => ({ fresh, columns: new Map(), notNull: new Map() });

/** The name of what a statement makes, where that is no table. */
const MADE: Readonly<Record<string, (node: Node) => string | undefined>> = {
  ViewStmt: ({ view }) => nameOf(view),
  CreateSeqStmt: ({ sequence }) => nameOf(sequence),
  CreateSchemaStmt: ({ schemaname }) => schemaname,
  CreateEnumStmt: ({ typeName }) => nameOfParts(stringsIn(typeName)),
  CreateDomainStmt: ({ domainname }) => nameOfParts(stringsIn(domainname)),
  CreateFunctionStmt: ({ funcname }) => nameOfParts(stringsIn(funcname)),
  CompositeTypeStmt: ({ typevar }) => nameOf(typevar),
};

/** What earlier statements say of the schema. Nothing of it comes from a database. */
export class Known {
  readonly relations = new Relations();
  /** The table of each index. */
  readonly indexes = new Map<string, string>();
  private readonly tables = new Map<string, Table>();
  /** Views, types, functions and the like that pending migrations made. */
  private readonly made = new Set<string>();

  /** Is it a table of these pending migrations, that no one else uses? */
  isFresh(table: string): boolean {
    return this.tables.get(table)?.fresh === true;
  }

  /** The same of a view, a type, a sequence, a function, a schema. */
  isMade(name: string): boolean {
    return this.made.has(name) || this.isFresh(name);
  }

  typeOf(table: string, column: string): string | undefined {
    return this.tables.get(table)?.columns.get(column);
  }

  /** Tables with a column of this type. */
  tablesWith(type: string | undefined): string[] {
    return [...this.tables]
      .filter(([, { columns }]) => [...columns.values()].some((of) => of === type))
      .map(([name]) => name);
  }

  /** Is there a validated CHECK (column IS NOT NULL)? */
  isProvenNotNull(table: string, column: string): boolean {
    return [...(this.tables.get(table)?.notNull.values() ?? [])].some((c) => c.column === column && c.validated);
  }

  /** Takes a statement in, after it was looked at. @param pending not applied anywhere yet */
  take({ type, node }: ParsedStatement, pending: boolean): void {
    this.relations.take(type, node);
    this.statements[type]?.(node, pending);
    const made = pending ? MADE[type]?.(node) : undefined;
    if (made) this.made.add(made);
  }

  private readonly statements: Readonly<Record<string, (node: Node, pending: boolean) => void>> = {
    CreateStmt: (node, pending) => this.create(node, newTable(pending)),
    CreateForeignTableStmt: (node, pending) => this.create(node.base ?? node, newTable(pending)),
    CreateTableAsStmt: ({ into }, pending) => this.tables.set(nameOf(into.rel), newTable(pending)),
    IndexStmt: ({ idxname, relation }) => idxname && this.indexes.set(idxname, nameOf(relation)),
    AlterTableStmt: (node) => this.alter(node),
    RenameStmt: ({ renameType, relation, newname }) =>
      renameType === 'OBJECT_TABLE' && this.rename(nameOf(relation), newname),
    DropStmt: (node) => {
      if (node.removeType === 'OBJECT_TABLE') for (const parts of dropped(node)) this.tables.delete(nameOfParts(parts));
    },
  };

  private create({ relation, tableElts = [] }: Node, table: Table): void {
    this.tables.set(nameOf(relation), table);
    for (const { ColumnDef, Constraint } of tableElts as Node[]) {
      if (ColumnDef) table.columns.set(ColumnDef.colname, typeOf(ColumnDef.typeName));
      if (Constraint) addNotNull(table, Constraint);
    }
  }

  private alter(node: Node): void {
    const name = nameOf(node.relation);
    const table = this.tables.get(name) ?? newTable(false);
    this.tables.set(name, table);
    for (const cmd of commandsOf({ type: 'AlterTableStmt', node })) {
      const column = cmd.def?.ColumnDef;
      if (cmd.subtype === 'AT_AddColumn') table.columns.set(column.colname, typeOf(column.typeName));
      if (cmd.subtype === 'AT_AlterColumnType') table.columns.set(cmd.name, typeOf(column.typeName));
      if (cmd.subtype === 'AT_AddColumn' && constraintsOf(column).has('CONSTR_NOTNULL'))
        table.notNull.set(`${column.colname} not null`, { column: column.colname, validated: true });
      if (cmd.subtype === 'AT_AddConstraint') addNotNull(table, cmd.def.Constraint);
      const validated = cmd.subtype === 'AT_ValidateConstraint' ? table.notNull.get(cmd.name) : undefined;
      if (validated) validated.validated = true;
      if (cmd.subtype === 'AT_DropConstraint') table.notNull.delete(cmd.name);
    }
  }

  private rename(from: string, to: string): void {
    const table = this.tables.get(from);
    if (!table) return;
    this.tables.delete(from);
    this.tables.set(to, table);
  }
}

function addNotNull(table: Table, constraint: Node): void {
  const column = notNullCheck(constraint);
  if (column) table.notNull.set(constraint.conname ?? '', { column, validated: !constraint.skip_validation });
}
