import type { ParsedStatement } from '../postgres/parser.js';
import {
  commandsOf,
  constraintsOf,
  dropped,
  find,
  hasOption,
  type Node,
  nameOf,
  nameOfParts,
  stringsIn,
  typeOf,
} from './tree.js';
import { volatility } from './volatility.js';

/** Table locks from the weakest on (PostgreSQL's manual, 13.3.1). */
export const LOCK_ORDER = [
  'ACCESS SHARE',
  'ROW SHARE',
  'ROW EXCLUSIVE',
  'SHARE UPDATE EXCLUSIVE',
  'SHARE',
  'SHARE ROW EXCLUSIVE',
  'EXCLUSIVE',
  'ACCESS EXCLUSIVE',
] as const;
export type LockMode = (typeof LOCK_ORDER)[number];

/** What a statement does to a table. */
export interface TableLock {
  table: string;
  mode: LockMode;
  /** Is the table written anew? `maybe`: it depends on what a parser can't see, such as the column's old type. */
  rewrite: 'no' | 'yes' | 'maybe';
  /** The statement makes the table: nobody waits for it. */
  creates?: true;
}

type Effect = [mode: LockMode, rewrite?: TableLock['rewrite']];

/** By subcommand of ALTER TABLE; what is not here takes ACCESS EXCLUSIVE and rewrites nothing (AlterTableGetLockLevel in the server's source). */
const ALTER: Record<string, Effect> = {
  AT_SetStatistics: ['SHARE UPDATE EXCLUSIVE'],
  AT_SetOptions: ['SHARE UPDATE EXCLUSIVE'],
  AT_ResetOptions: ['SHARE UPDATE EXCLUSIVE'],
  AT_ClusterOn: ['SHARE UPDATE EXCLUSIVE'],
  AT_DropCluster: ['SHARE UPDATE EXCLUSIVE'],
  AT_SetRelOptions: ['SHARE UPDATE EXCLUSIVE'],
  AT_ResetRelOptions: ['SHARE UPDATE EXCLUSIVE'],
  AT_ValidateConstraint: ['SHARE UPDATE EXCLUSIVE'],
  AT_AttachPartition: ['SHARE UPDATE EXCLUSIVE'],
  AT_EnableTrig: ['SHARE ROW EXCLUSIVE'],
  AT_EnableTrigAll: ['SHARE ROW EXCLUSIVE'],
  AT_EnableTrigUser: ['SHARE ROW EXCLUSIVE'],
  AT_EnableAlwaysTrig: ['SHARE ROW EXCLUSIVE'],
  AT_EnableReplicaTrig: ['SHARE ROW EXCLUSIVE'],
  AT_DisableTrig: ['SHARE ROW EXCLUSIVE'],
  AT_DisableTrigAll: ['SHARE ROW EXCLUSIVE'],
  AT_DisableTrigUser: ['SHARE ROW EXCLUSIVE'],
  AT_AlterColumnType: ['ACCESS EXCLUSIVE', 'maybe'],
  AT_SetLogged: ['ACCESS EXCLUSIVE', 'yes'],
  AT_SetUnLogged: ['ACCESS EXCLUSIVE', 'yes'],
  AT_SetTableSpace: ['ACCESS EXCLUSIVE', 'yes'],
  AT_SetAccessMethod: ['ACCESS EXCLUSIVE', 'yes'],
  AT_SetExpression: ['ACCESS EXCLUSIVE', 'yes'],
};

/**
 * The table locks that a statement takes, and whether it rewrites the table. Pure. What only the catalog knows is not in it: the tables behind a
 * view, those that a dropped table refers to, those of an index that no earlier statement made.
 * Where versions differ, the stronger lock is given (before PostgreSQL 14, DETACH PARTITION locks the partition SHARE UPDATE EXCLUSIVE).
 * @param tableOfIndex the table of an index that is known from earlier statements
 */
export function locksOf(
  statement: ParsedStatement,
  tableOfIndex: (index: string) => string | undefined = () => undefined,
): TableLock[] {
  const { type, node } = statement;
  const on = (table: string, mode: LockMode, rewrite: TableLock['rewrite'] = 'no') => [{ table, mode, rewrite }];
  const indexOf = (index: string, mode: LockMode) => {
    const table = tableOfIndex(index);
    return table === undefined ? [] : on(table, mode);
  };
  switch (type) {
    case 'CreateStmt':
      return create(node);
    case 'CreateTableAsStmt':
      return [...madeBy(node.into.rel), ...reads(node.query)];
    case 'IndexStmt':
      return on(nameOf(node.relation), node.concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE');
    case 'AlterTableStmt':
      return alter(statement);
    case 'RenameStmt':
      // An index is renamed under a lock on itself alone.
      return node.relation && node.renameType !== 'OBJECT_INDEX' ? on(nameOf(node.relation), 'ACCESS EXCLUSIVE') : [];
    case 'AlterObjectSchemaStmt':
      return node.relation ? on(nameOf(node.relation), 'ACCESS EXCLUSIVE') : [];
    case 'DropStmt':
      return drop(node, indexOf);
    case 'AlterSeqStmt':
      return on(nameOf(node.sequence), 'SHARE ROW EXCLUSIVE');
    case 'TruncateStmt':
      return (node.relations as Node[]).flatMap(({ RangeVar }) => on(nameOf(RangeVar), 'ACCESS EXCLUSIVE', 'yes'));
    case 'CreateTrigStmt':
      return on(nameOf(node.relation), 'SHARE ROW EXCLUSIVE');
    case 'CreatePolicyStmt':
    case 'AlterPolicyStmt':
      return on(nameOf(node.table), 'ACCESS EXCLUSIVE');
    case 'RuleStmt':
      return on(nameOf(node.relation), 'ACCESS EXCLUSIVE');
    case 'CommentStmt':
      return comment(node);
    case 'CreateStatsStmt':
      return (node.relations as Node[]).flatMap(({ RangeVar }) => on(nameOf(RangeVar), 'SHARE UPDATE EXCLUSIVE'));
    case 'VacuumStmt': {
      const full = node.is_vacuumcmd && hasOption(node, 'full');
      return ((node.rels ?? []) as Node[]).flatMap(({ VacuumRelation }) =>
        full
          ? on(nameOf(VacuumRelation.relation), 'ACCESS EXCLUSIVE', 'yes')
          : on(nameOf(VacuumRelation.relation), 'SHARE UPDATE EXCLUSIVE'),
      );
    }
    case 'ClusterStmt':
      return node.relation ? on(nameOf(node.relation), 'ACCESS EXCLUSIVE', 'yes') : [];
    case 'ReindexStmt': {
      const mode = hasOption(node, 'concurrently') ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE';
      if (node.kind === 'REINDEX_OBJECT_TABLE') return on(nameOf(node.relation), mode);
      return node.kind === 'REINDEX_OBJECT_INDEX' ? indexOf(node.relation.relname, mode) : [];
    }
    case 'RefreshMatViewStmt':
      return node.concurrent
        ? on(nameOf(node.relation), 'EXCLUSIVE')
        : on(nameOf(node.relation), 'ACCESS EXCLUSIVE', 'yes');
    case 'LockStmt':
      return (node.relations as Node[]).flatMap(({ RangeVar }) =>
        on(nameOf(RangeVar), LOCK_ORDER[node.mode - 1] as LockMode),
      );
    case 'InsertStmt':
    case 'UpdateStmt':
    case 'DeleteStmt':
    case 'MergeStmt':
      return [...on(nameOf(node.relation), 'ROW EXCLUSIVE'), ...reads({ ...node, relation: undefined })];
    case 'CopyStmt':
      return node.relation ? on(nameOf(node.relation), node.is_from ? 'ROW EXCLUSIVE' : 'ACCESS SHARE') : [];
    case 'SelectStmt':
    case 'ViewStmt':
      return reads(type === 'ViewStmt' ? node.query : node);
    default:
      return [];
  }
}

/** The strongest lock of a list. */
function strongest(locks: readonly TableLock[]): LockMode | undefined {
  return LOCK_ORDER[Math.max(-1, ...locks.map(({ mode }) => LOCK_ORDER.indexOf(mode)))];
}

/** One entry a table: its strongest lock, and the worst that is known of rewriting. */
export function byTable(locks: readonly TableLock[]): TableLock[] {
  const merged = new Map<string, TableLock>();
  for (const lock of locks) {
    const other = merged.get(lock.table);
    if (!other) merged.set(lock.table, lock);
    else {
      const rewrite = [other.rewrite, lock.rewrite].includes('yes')
        ? 'yes'
        : [other.rewrite, lock.rewrite].includes('maybe')
          ? 'maybe'
          : 'no';
      merged.set(lock.table, {
        ...other,
        mode: strongest([other, lock]) as LockMode,
        rewrite,
        ...(other.creates || lock.creates ? { creates: true as const } : {}),
      });
    }
  }
  return [...merged.values()];
}

function madeBy(relation: Node): TableLock[] {
  return [{ table: nameOf(relation), mode: 'ACCESS EXCLUSIVE', rewrite: 'no', creates: true }];
}

function create(node: Node): TableLock[] {
  const parents = ((node.inhRelations ?? []) as Node[]).map(({ RangeVar }) => nameOf(RangeVar));
  const own = nameOf(node.relation);
  return [
    ...madeBy(node.relation),
    ...parents.map(
      (table) =>
        ({ table, mode: node.partbound ? 'ACCESS EXCLUSIVE' : 'SHARE UPDATE EXCLUSIVE', rewrite: 'no' }) as TableLock,
    ),
    ...referenced(node.tableElts).filter(({ table }) => table !== own),
    ...find(node.tableElts, 'TableLikeClause').map(
      ({ relation }) => ({ table: nameOf(relation), mode: 'ACCESS SHARE', rewrite: 'no' }) as TableLock,
    ),
  ];
}

/** The other side of foreign keys: it gets a trigger. */
function referenced(tree: Node): TableLock[] {
  return find(tree, 'pktable').map((range) => ({ table: nameOf(range), mode: 'SHARE ROW EXCLUSIVE', rewrite: 'no' }));
}

function alter(statement: ParsedStatement): TableLock[] {
  const { node } = statement;
  if (node.objtype === 'OBJECT_INDEX') return [];
  const table = nameOf(node.relation);
  if (node.objtype !== 'OBJECT_TABLE')
    return [
      { table, mode: node.objtype === 'OBJECT_SEQUENCE' ? 'SHARE ROW EXCLUSIVE' : 'ACCESS EXCLUSIVE', rewrite: 'no' },
    ];
  return commandsOf(statement).flatMap((cmd): TableLock[] => {
    const [mode, rewrite = 'no'] = ALTER[cmd.subtype] ?? ['ACCESS EXCLUSIVE'];
    switch (cmd.subtype) {
      case 'AT_AddColumn':
        return [{ table, mode, rewrite: rewriteOfColumn(cmd.def.ColumnDef) }, ...referenced(cmd.def)];
      case 'AT_AddConstraint': {
        const foreign = cmd.def.Constraint.contype === 'CONSTR_FOREIGN';
        return [{ table, mode: foreign ? 'SHARE ROW EXCLUSIVE' : mode, rewrite }, ...referenced(cmd.def)];
      }
      case 'AT_AttachPartition':
      case 'AT_DetachPartition': {
        const { name, concurrent } = cmd.def.PartitionCmd;
        return [
          { table, mode: concurrent ? 'SHARE UPDATE EXCLUSIVE' : mode, rewrite },
          { table: nameOf(name), mode: 'ACCESS EXCLUSIVE', rewrite },
        ];
      }
      case 'AT_AddInherit':
        return [
          { table, mode, rewrite },
          { table: nameOf(cmd.def.RangeVar), mode: 'SHARE UPDATE EXCLUSIVE', rewrite },
        ];
      default:
        return [{ table, mode, rewrite }];
    }
  });
}

const NUMBERED = new Set(['serial', 'serial2', 'serial4', 'serial8', 'smallserial', 'bigserial']);

function rewriteOfColumn(column: Node): TableLock['rewrite'] {
  const constraints = constraintsOf(column);
  if (NUMBERED.has(typeOf(column.typeName)) || constraints.has('CONSTR_IDENTITY')) return 'yes';
  if (constraints.get('CONSTR_GENERATED')?.generated_kind === 's') return 'yes';
  const found = constraints.get('CONSTR_DEFAULT');
  if (!found) return 'no';
  const kind = volatility(found.raw_expr);
  return kind === 'volatile' ? 'yes' : kind === 'maybe' ? 'maybe' : 'no';
}

function drop(node: Node, indexOf: (index: string, mode: LockMode) => TableLock[]): TableLock[] {
  const names = dropped(node);
  switch (node.removeType) {
    case 'OBJECT_TABLE':
    case 'OBJECT_VIEW':
    case 'OBJECT_MATVIEW':
    case 'OBJECT_SEQUENCE':
      return names.map((parts) => ({ table: nameOfParts(parts), mode: 'ACCESS EXCLUSIVE', rewrite: 'no' }));
    case 'OBJECT_INDEX':
      return names.flatMap((parts) =>
        indexOf(parts.at(-1) as string, node.concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE'),
      );
    case 'OBJECT_TRIGGER':
    case 'OBJECT_POLICY':
    case 'OBJECT_RULE':
      return names.map((parts) => ({
        table: nameOfParts(parts.slice(0, -1)),
        mode: 'ACCESS EXCLUSIVE',
        rewrite: 'no',
      }));
    default:
      return [];
  }
}

function comment(node: Node): TableLock[] {
  const parts = stringsIn(node.object);
  const lock = (table: string): TableLock[] => [{ table, mode: 'SHARE UPDATE EXCLUSIVE', rewrite: 'no' }];
  if (['OBJECT_TABLE', 'OBJECT_VIEW', 'OBJECT_MATVIEW', 'OBJECT_SEQUENCE'].includes(node.objtype))
    return lock(nameOfParts(parts));
  return node.objtype === 'OBJECT_COLUMN' ? lock(nameOfParts(parts.slice(0, -1))) : [];
}

/** Tables that a query reads. Names of WITH queries are none. */
function reads(tree: Node): TableLock[] {
  const own = new Set(find(tree, 'CommonTableExpr').map(({ ctename }) => ctename));
  const mode = find(tree, 'lockingClause').length > 0 ? 'ROW SHARE' : 'ACCESS SHARE';
  return find(tree, 'RangeVar')
    .filter((range) => range.schemaname || !own.has(range.relname))
    .map((range) => ({ table: nameOf(range), mode, rewrite: 'no' }));
}
