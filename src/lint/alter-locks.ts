import { type LockMode, locked, type TableLock } from './lock-modes.js';
import type { Relations } from './relations.js';
import { constraintsOf, find, type Node, NUMBERED, nameOf, typeOf } from './tree.js';
import { volatility } from './volatility.js';

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
  AT_SetTableSpace: ['ACCESS EXCLUSIVE', 'maybe'],
  AT_SetAccessMethod: ['ACCESS EXCLUSIVE', 'yes'],
  AT_SetExpression: ['ACCESS EXCLUSIVE', 'yes'],
};

/** What a parent's partitions and heirs get too (ATPrepCmd in the server's source). */
const RECURSES = new Set([
  ...['AT_AddColumn', 'AT_DropColumn', 'AT_AlterColumnType', 'AT_ColumnDefault', 'AT_SetNotNull', 'AT_DropNotNull'],
  ...['AT_SetStatistics', 'AT_SetStorage', 'AT_AddConstraint', 'AT_DropConstraint', 'AT_ValidateConstraint'],
  ...['AT_DropExpression', 'AT_SetExpression'],
]);

/** Table locks of an ALTER TABLE, and of ALTER VIEW, MATERIALIZED VIEW and SEQUENCE, which are parsed as one. */
export function alterLocks(node: Node, relations: Relations): TableLock[] {
  if (node.objtype === 'OBJECT_INDEX') return [];
  const table = nameOf(node.relation);
  if (node.objtype === 'OBJECT_VIEW' || node.objtype === 'OBJECT_SEQUENCE') return locked([table], 'ACCESS EXCLUSIVE');
  return (node.cmds as Node[]).flatMap(({ AlterTableCmd: cmd }) => {
    const { mode, rewrite } = effectOf(cmd, relations);
    return [
      { table, mode, rewrite: relations.isPartitioned(table) ? 'no' : rewrite },
      ...(node.relation.inh && RECURSES.has(cmd.subtype) ? locked(familyOf(table, cmd, relations), mode, rewrite) : []),
      ...others(table, cmd, relations),
    ];
  });
}

/** The other side of foreign keys: it gets a trigger. */
export function referenced(tree: Node, relations: Relations): TableLock[] {
  const tables = find(tree, 'pktable').map(nameOf);
  return locked(
    tables.flatMap((table) => [table, ...relations.partitionsOf(table)]),
    'SHARE ROW EXCLUSIVE',
  );
}

function effectOf(cmd: Node, relations: Relations): { mode: LockMode; rewrite: TableLock['rewrite'] } {
  const [mode, rewrite = 'no'] = ALTER[cmd.subtype] ?? ['ACCESS EXCLUSIVE'];
  switch (cmd.subtype) {
    case 'AT_AddColumn':
      return { mode, rewrite: rewriteOfColumn(cmd.def.ColumnDef, relations) };
    case 'AT_AddConstraint':
      return { mode: cmd.def.Constraint.contype === 'CONSTR_FOREIGN' ? 'SHARE ROW EXCLUSIVE' : mode, rewrite };
    case 'AT_DetachPartition':
      return { mode: cmd.def.PartitionCmd.concurrent ? 'SHARE UPDATE EXCLUSIVE' : mode, rewrite };
    default:
      return { mode, rewrite };
  }
}

/** Keys go to partitions, not to heirs. */
function familyOf(table: string, cmd: Node, relations: Relations): string[] {
  const kind = cmd.subtype === 'AT_AddConstraint' ? cmd.def.Constraint.contype : 'CONSTR_CHECK';
  return ['CONSTR_CHECK', 'CONSTR_NOTNULL'].includes(kind)
    ? relations.descendantsOf(table)
    : relations.partitionsOf(table);
}

/** Tables and sequences beside the altered one. */
function others(table: string, cmd: Node, relations: Relations): TableLock[] {
  const cascades = cmd.behavior === 'DROP_CASCADE';
  switch (cmd.subtype) {
    case 'AT_AddColumn':
    case 'AT_AddConstraint':
      return referenced(cmd.def, relations);
    case 'AT_AttachPartition':
    case 'AT_DetachPartition': {
      const rest = relations.defaultPartitionOf(table);
      return locked([nameOf(cmd.def.PartitionCmd.name), ...(rest ? [rest] : [])], 'ACCESS EXCLUSIVE');
    }
    case 'AT_AddInherit':
      return locked([nameOf(cmd.def.RangeVar)], 'SHARE UPDATE EXCLUSIVE');
    case 'AT_DropInherit':
      return locked([nameOf(cmd.def.RangeVar)], 'ACCESS SHARE');
    case 'AT_SetIdentity':
      return locked(relations.sequencesOf(table, cmd.name), 'SHARE ROW EXCLUSIVE');
    case 'AT_DropIdentity':
      return locked(relations.sequencesOf(table, cmd.name), 'ACCESS EXCLUSIVE');
    case 'AT_DropConstraint': {
      const own = relations.foreignKeysOf(table).filter(({ name }) => name === cmd.name);
      const theirs = cascades ? relations.foreignKeysTo(table) : [];
      return locked([...own.map(({ to }) => to), ...theirs.map((key) => key.table)], 'ACCESS EXCLUSIVE');
    }
    case 'AT_DropColumn':
    case 'AT_AlterColumnType': {
      const changesType = cmd.subtype === 'AT_AlterColumnType';
      const own = relations.foreignKeysOf(table).filter(({ columns }) => columns.includes(cmd.name));
      const theirs = relations.foreignKeysTo(table).filter(({ toColumns }) => toColumns.includes(cmd.name));
      return locked(
        [
          ...own.map(({ to }) => to),
          ...(cascades || changesType ? theirs.map((key) => key.table) : []),
          ...(changesType ? [] : relations.sequencesOf(table, cmd.name)),
        ],
        'ACCESS EXCLUSIVE',
      );
    }
    default:
      return [];
  }
}

function rewriteOfColumn(column: Node, relations: Relations): TableLock['rewrite'] {
  const constraints = constraintsOf(column);
  if (relations.isConstrainedDomain(typeOf(column.typeName))) return 'yes';
  if (NUMBERED.has(typeOf(column.typeName)) || constraints.has('CONSTR_IDENTITY')) return 'yes';
  if (constraints.get('CONSTR_GENERATED')?.generated_kind === 's') return 'yes';
  const found = constraints.get('CONSTR_DEFAULT');
  if (!found) return 'no';
  const kind = volatility(found.raw_expr);
  return kind === 'volatile' ? 'yes' : kind === 'maybe' ? 'maybe' : 'no';
}
