import type { ParsedStatement } from '../postgres/parser.js';
import { Relations } from './relations.js';
import { commandsOf, constraintsOf, dropped, type Node, nameOf, nameOfParts, notNullCheck, typeOf } from './tree.js';

interface Table {
  /** Made by a migration that is not applied yet: it is empty as far as anybody else knows, and nobody else uses it. */
  fresh: boolean;
  /** Types by column. */
  columns: Map<string, string>;
  /** CHECK (column IS NOT NULL), by constraint. */
  notNull: Map<string, { column: string; validated: boolean }>;
}

/** What earlier statements say of the schema. Nothing of it comes from a database. */
export class Known {
  readonly relations = new Relations();
  private readonly tables = new Map<string, Table>();
  private readonly indexes = new Map<string, string>();
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

  tableOfIndex(index: string): string | undefined {
    return this.indexes.get(index);
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
  take(statement: ParsedStatement, pending: boolean): void {
    const { type, node } = statement;
    this.relations.take(statement);
    switch (type) {
      case 'CreateStmt':
      case 'CreateForeignTableStmt':
        this.create(node.base ?? node, pending);
        return;
      case 'CreateTableAsStmt':
        this.tables.set(nameOf(node.into.rel), { fresh: pending, columns: new Map(), notNull: new Map() });
        return;
      case 'IndexStmt':
        if (node.idxname) this.indexes.set(node.idxname, nameOf(node.relation));
        return;
      case 'ViewStmt':
        if (pending) this.made.add(nameOf(node.view));
        return;
      case 'CreateSeqStmt':
        if (pending) this.made.add(nameOf(node.sequence));
        return;
      case 'CreateSchemaStmt':
        if (pending && node.schemaname) this.made.add(node.schemaname);
        return;
      case 'CreateEnumStmt':
      case 'CreateDomainStmt':
      case 'CreateFunctionStmt': {
        const parts = ((node.domainname ?? node.funcname ?? node.typeName ?? []) as Node[]).map((p) => p.String?.sval);
        if (pending) this.made.add(nameOfParts(parts));
        return;
      }
      case 'CompositeTypeStmt':
        if (pending) this.made.add(nameOf(node.typevar));
        return;
      case 'RenameStmt':
        if (node.renameType === 'OBJECT_TABLE') this.rename(nameOf(node.relation), node.newname);
        return;
      case 'DropStmt':
        if (node.removeType === 'OBJECT_TABLE')
          for (const parts of dropped(node)) this.tables.delete(nameOfParts(parts));
        return;
      case 'AlterTableStmt':
        this.alter(statement);
    }
  }

  private create(node: Node, pending: boolean): void {
    const table: Table = { fresh: pending, columns: new Map(), notNull: new Map() };
    this.tables.set(nameOf(node.relation), table);
    for (const element of (node.tableElts ?? []) as Node[]) {
      if (element.ColumnDef) table.columns.set(element.ColumnDef.colname, typeOf(element.ColumnDef.typeName));
      if (element.Constraint) this.constraint(table, element.Constraint);
    }
  }

  private alter(statement: ParsedStatement): void {
    const name = statement.node.relation ? nameOf(statement.node.relation) : '';
    let table = this.tables.get(name);
    if (!table) {
      table = { fresh: false, columns: new Map(), notNull: new Map() };
      this.tables.set(name, table);
    }
    for (const cmd of commandsOf(statement)) {
      const column = cmd.def?.ColumnDef;
      if (cmd.subtype === 'AT_AddColumn') table.columns.set(column.colname, typeOf(column.typeName));
      if (cmd.subtype === 'AT_AlterColumnType') table.columns.set(cmd.name, typeOf(column.typeName));
      if (cmd.subtype === 'AT_AddColumn' && constraintsOf(column).has('CONSTR_NOTNULL'))
        table.notNull.set(`${column.colname} not null`, { column: column.colname, validated: true });
      if (cmd.subtype === 'AT_AddConstraint') this.constraint(table, cmd.def.Constraint);
      const validated = cmd.subtype === 'AT_ValidateConstraint' ? table.notNull.get(cmd.name) : undefined;
      if (validated) validated.validated = true;
      if (cmd.subtype === 'AT_DropConstraint') table.notNull.delete(cmd.name);
    }
  }

  private constraint(table: Table, constraint: Node): void {
    const column = notNullCheck(constraint);
    if (column) table.notNull.set(constraint.conname ?? '', { column, validated: !constraint.skip_validation });
  }

  private rename(from: string, to: string): void {
    const table = this.tables.get(from);
    if (!table) return;
    this.tables.delete(from);
    this.tables.set(to, table);
  }
}
