import type { ParsedStatement } from '../postgres/parser.js';
import {
  commandsOf,
  constraintsOf,
  dropped,
  find,
  type Node,
  NUMBERED,
  nameOf,
  nameOfParts,
  stringsIn,
  typeOf,
} from './tree.js';

/** A foreign key. */
interface ForeignKey {
  table: string;
  name: string;
  columns: readonly string[];
  to: string;
  toColumns: readonly string[];
}

/** How the relations of the statements so far hang together: who is locked with whom. Nothing of it comes from a database. */
export class Relations {
  /** Partitions and heirs, by their parent. */
  private readonly children = new Map<string, Set<string>>();
  private readonly partitioned = new Set<string>();
  private readonly defaultPartitions = new Map<string, string>();
  private foreignKeys: ForeignKey[] = [];
  private readonly primaryKeys = new Map<string, readonly string[]>();
  /** What a view reads. */
  private readonly views = new Map<string, readonly string[]>();
  /** Sequences that belong to a table's columns. */
  private readonly sequences = new Map<string, Map<string, string>>();
  private readonly statistics = new Map<string, string>();
  /** Domains with a constraint: a new column of one makes the server rewrite the table. */
  private readonly constrained = new Set<string>();

  isPartitioned(table: string): boolean {
    return this.partitioned.has(table);
  }

  /** Its partitions or heirs, theirs, and so on. */
  descendantsOf(table: string): string[] {
    const own = [...(this.children.get(table) ?? [])];
    return own.flatMap((child) => [child, ...this.descendantsOf(child)]);
  }

  /** The same, where they are partitions. */
  partitionsOf(table: string): string[] {
    return this.isPartitioned(table) ? this.descendantsOf(table) : [];
  }

  /** The table that this one is a partition of. */
  wholeOf(partition: string): string | undefined {
    return [...this.partitioned].find((table) => this.children.get(table)?.has(partition));
  }

  /** The partition that takes what no other takes: it is locked when others come and go. */
  defaultPartitionOf(table: string): string | undefined {
    return this.defaultPartitions.get(table);
  }

  foreignKeysOf(table: string): ForeignKey[] {
    return this.foreignKeys.filter((key) => key.table === table);
  }

  foreignKeysTo(table: string): ForeignKey[] {
    return this.foreignKeys.filter((key) => key.to === table);
  }

  /** undefined: no view is known by that name. */
  readBy(view: string): readonly string[] | undefined {
    return this.views.get(view);
  }

  /** Views that read it, and those that read these. */
  viewsOver(name: string): string[] {
    const own = [...this.views].filter(([, tables]) => tables.includes(name)).map(([view]) => view);
    return own.flatMap((view) => [view, ...this.viewsOver(view)]);
  }

  /** @param column default: of all its columns */
  sequencesOf(table: string, column?: string): string[] {
    return [...(this.sequences.get(table) ?? [])]
      .filter(([of]) => column === undefined || of === column)
      .map(([, s]) => s);
  }

  /** Tables whose columns it numbers. */
  tablesOfSequence(sequence: string): string[] {
    return [...this.sequences].filter(([, own]) => [...own.values()].includes(sequence)).map(([table]) => table);
  }

  /** @param type its name, as of a column */
  isConstrainedDomain(type: string): boolean {
    return this.constrained.has(type);
  }

  tableOfStatistics(name: string): string | undefined {
    return this.statistics.get(name);
  }

  take(statement: ParsedStatement): void {
    const { type, node } = statement;
    switch (type) {
      case 'CreateStmt':
        this.create(node);
        return;
      case 'AlterTableStmt':
        for (const cmd of commandsOf(statement)) this.alter(nameOf(node.relation), cmd);
        return;
      case 'CreateDomainStmt':
        if (this.isConstrainedDomain(typeOf(node.typeName)) || constrains(node.constraints))
          this.constrained.add(stringsIn({ List: { items: node.domainname } }).at(-1) as string);
        return;
      case 'AlterDomainStmt':
        if (['C', 'O'].includes(node.subtype))
          this.constrained.add(stringsIn({ List: { items: node.typeName } }).at(-1) as string);
        return;
      case 'CreateTableAsStmt':
        if (node.objtype === 'OBJECT_MATVIEW')
          this.views.set(nameOf(node.into.rel), find(node.query, 'RangeVar').map(nameOf));
        return;
      case 'ViewStmt':
        this.views.set(nameOf(node.view), find(node.query, 'RangeVar').map(nameOf));
        return;
      case 'CreateStatsStmt':
        this.statistics.set(
          nameOfParts(stringsIn({ List: { items: node.defnames ?? [] } })),
          nameOf(node.relations[0].RangeVar),
        );
        return;
      case 'DropStmt':
        for (const parts of dropped(node)) this.drop(nameOfParts(parts));
        return;
      case 'RenameStmt':
        if (node.renameType === 'OBJECT_TABLE') this.rename(nameOf(node.relation), node.newname);
    }
  }

  private create(node: Node): void {
    const table = nameOf(node.relation);
    if (node.partspec) this.partitioned.add(table);
    for (const { RangeVar } of (node.inhRelations ?? []) as Node[])
      this.attach(nameOf(RangeVar), table, node.partbound);
    for (const { ColumnDef, Constraint } of (node.tableElts ?? []) as Node[]) {
      if (ColumnDef) this.column(table, ColumnDef);
      if (Constraint) this.constraint(table, Constraint);
    }
  }

  private alter(table: string, cmd: Node): void {
    const partition = cmd.def?.PartitionCmd;
    switch (cmd.subtype) {
      case 'AT_AddColumn':
        this.column(table, cmd.def.ColumnDef);
        return;
      case 'AT_AddConstraint':
        this.constraint(table, cmd.def.Constraint);
        return;
      case 'AT_DropConstraint':
        this.foreignKeys = this.foreignKeys.filter((key) => key.table !== table || key.name !== cmd.name);
        return;
      case 'AT_AttachPartition':
        this.attach(table, nameOf(partition.name), partition.bound);
        return;
      case 'AT_DetachPartition':
        this.children.get(table)?.delete(nameOf(partition.name));
        return;
      case 'AT_AddInherit':
        this.attach(nameOf(cmd.def.RangeVar), table);
        return;
      case 'AT_DropInherit':
        this.children.get(nameOf(cmd.def.RangeVar))?.delete(table);
    }
  }

  private attach(parent: string, child: string, bound?: Node): void {
    this.children.set(parent, (this.children.get(parent) ?? new Set()).add(child));
    if (bound) this.partitioned.add(parent);
    if (bound?.is_default) this.defaultPartitions.set(parent, child);
  }

  private column(table: string, column: Node): void {
    const constraints = constraintsOf(column);
    if (NUMBERED.has(typeOf(column.typeName)) || constraints.has('CONSTR_IDENTITY')) {
      const own = this.sequences.get(table) ?? new Map<string, string>();
      this.sequences.set(table, own.set(column.colname, `${table}_${column.colname}_seq`));
    }
    if (constraints.has('CONSTR_PRIMARY')) this.primaryKeys.set(table, [column.colname]);
    const foreign = constraints.get('CONSTR_FOREIGN');
    if (foreign) this.constraint(table, { ...foreign, fk_attrs: [{ String: { sval: column.colname } }] });
  }

  private constraint(table: string, constraint: Node): void {
    if (constraint.contype === 'CONSTR_PRIMARY')
      this.primaryKeys.set(table, stringsIn({ List: { items: constraint.keys ?? [] } }));
    if (constraint.contype !== 'CONSTR_FOREIGN') return;
    const columns = stringsIn({ List: { items: constraint.fk_attrs ?? [] } });
    const name = constraint.conname ?? `${table}_${columns.join('_')}_fkey`;
    const to = nameOf(constraint.pktable);
    const named = stringsIn({ List: { items: constraint.pk_attrs ?? [] } });
    const toColumns = named.length > 0 ? named : (this.primaryKeys.get(to) ?? []);
    this.foreignKeys.push({ table, name, columns, to, toColumns });
  }

  private drop(name: string): void {
    for (const map of [this.children, this.views, this.sequences, this.statistics]) map.delete(name);
    for (const children of this.children.values()) children.delete(name);
    this.foreignKeys = this.foreignKeys.filter(({ table, to }) => table !== name && to !== name);
  }

  private rename(from: string, to: string): void {
    const renamed = (name: string) => (name === from ? to : name);
    this.foreignKeys = this.foreignKeys.map((key) => ({ ...key, table: renamed(key.table), to: renamed(key.to) }));
    for (const map of [this.children, this.sequences] as Map<string, never>[]) {
      const own = map.get(from);
      map.delete(from);
      if (own !== undefined) map.set(to, own);
    }
    for (const children of this.children.values()) if (children.delete(from)) children.add(to);
    if (this.partitioned.delete(from)) this.partitioned.add(to);
  }
}

/** Of a domain: CHECK and NOT NULL. */
function constrains(constraints: Node[] = []): boolean {
  return constraints.some(({ Constraint }) => ['CONSTR_CHECK', 'CONSTR_NOTNULL'].includes(Constraint?.contype));
}
