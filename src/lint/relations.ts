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

interface ForeignKey {
  table: string;
  name: string;
  columns: readonly string[];
  to: string;
  toColumns: readonly string[];
}

/** How the relations of the statements so far hang together: who is locked with whom. Nothing of it comes from a database. */
export class Relations {
  readonly partitioned = new Set<string>();
  /** The partition that takes what no other takes, by its table: it is locked when others come and go. */
  readonly defaultPartitions = new Map<string, string>();
  /** What each view reads. */
  readonly views = new Map<string, readonly string[]>();
  /** The table of extended statistics. */
  readonly statistics = new Map<string, string>();
  /** Domains with a constraint: a new column of one makes the server rewrite the table. */
  readonly constrainedDomains = new Set<string>();
  /** Partitions and heirs, by their parent. */
  private readonly children = new Map<string, Set<string>>();
  private foreignKeys: ForeignKey[] = [];
  private readonly primaryKeys = new Map<string, readonly string[]>();
  /** Sequences that belong to a table's columns. */
  private readonly sequences = new Map<string, Map<string, string>>();

  /** Its partitions or heirs, theirs, and so on. */
  descendantsOf(table: string): string[] {
    const own = [...(this.children.get(table) ?? [])];
    return own.flatMap((child) => [child, ...this.descendantsOf(child)]);
  }

  /** The same, where they are partitions. */
  partitionsOf(table: string): string[] {
    return this.partitioned.has(table) ? this.descendantsOf(table) : [];
  }

  /** The table that this one is a partition of. */
  wholeOf(partition: string): string | undefined {
    return [...this.partitioned].find((table) => this.children.get(table)?.has(partition));
  }

  foreignKeysOf(table: string): ForeignKey[] {
    return this.foreignKeys.filter((key) => key.table === table);
  }

  foreignKeysTo(table: string): ForeignKey[] {
    return this.foreignKeys.filter((key) => key.to === table);
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
      .map(([, sequence]) => sequence);
  }

  /** Tables whose columns it numbers. */
  tablesOfSequence(sequence: string): string[] {
    return [...this.sequences].filter(([, own]) => [...own.values()].includes(sequence)).map(([table]) => table);
  }

  take(type: string, node: Node): void {
    this.statements[type]?.(node);
  }

  private readonly statements: Readonly<Record<string, (node: Node) => void>> = {
    CreateStmt: (node) => this.create(node),
    AlterTableStmt: (node) => {
      for (const cmd of commandsOf({ type: 'AlterTableStmt', node }))
        this.commands[cmd.subtype]?.(nameOf(node.relation), cmd);
    },
    CreateDomainStmt: ({ domainname, typeName, constraints = [] }) => {
      const constrains = (constraints as Node[]).some(({ Constraint }) =>
        ['CONSTR_CHECK', 'CONSTR_NOTNULL'].includes(Constraint?.contype),
      );
      if (constrains || this.constrainedDomains.has(typeOf(typeName))) this.constrain(domainname);
    },
    AlterDomainStmt: ({ subtype, typeName }) => {
      if (['C', 'O'].includes(subtype)) this.constrain(typeName);
    },
    CreateTableAsStmt: ({ objtype, into, query }) => {
      if (objtype === 'OBJECT_MATVIEW') this.views.set(nameOf(into.rel), find(query, 'RangeVar').map(nameOf));
    },
    ViewStmt: ({ view, query }) => this.views.set(nameOf(view), find(query, 'RangeVar').map(nameOf)),
    CreateStatsStmt: ({ defnames, relations }) =>
      this.statistics.set(nameOfParts(stringsIn(defnames)), nameOf(relations[0].RangeVar)),
    DropStmt: (node) => {
      for (const parts of dropped(node)) this.drop(nameOfParts(parts));
    },
    RenameStmt: ({ renameType, relation, newname }) => {
      if (renameType === 'OBJECT_TABLE') this.rename(nameOf(relation), newname);
    },
  };

  /** Subcommands of ALTER TABLE. */
  private readonly commands: Readonly<Record<string, (table: string, cmd: Node) => void>> = {
    AT_AddColumn: (table, { def }) => this.column(table, def.ColumnDef),
    AT_AddConstraint: (table, { def }) => this.constraint(table, def.Constraint),
    AT_DropConstraint: (table, { name }) => {
      this.foreignKeys = this.foreignKeys.filter((key) => key.table !== table || key.name !== name);
    },
    AT_AttachPartition: (table, { def: { PartitionCmd } }) =>
      this.attach(table, nameOf(PartitionCmd.name), PartitionCmd.bound),
    AT_DetachPartition: (table, { def }) => this.children.get(table)?.delete(nameOf(def.PartitionCmd.name)),
    AT_AddInherit: (table, { def }) => this.attach(nameOf(def.RangeVar), table),
    AT_DropInherit: (table, { def }) => this.children.get(nameOf(def.RangeVar))?.delete(table),
  };

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

  private constrain(domain: Node[]): void {
    this.constrainedDomains.add(stringsIn(domain).at(-1) as string);
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

  private constraint(table: string, { contype, conname, keys, fk_attrs, pktable, pk_attrs }: Node): void {
    if (contype === 'CONSTR_PRIMARY') this.primaryKeys.set(table, stringsIn(keys));
    if (contype !== 'CONSTR_FOREIGN') return;
    const columns = stringsIn(fk_attrs);
    const name = conname ?? `${table}_${columns.join('_')}_fkey`;
    const to = nameOf(pktable);
    const toColumns = pk_attrs ? stringsIn(pk_attrs) : (this.primaryKeys.get(to) ?? []);
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
