import { type LockMode, locked, type Rewrite, type TableLock } from './lock-modes.js';
import type { Relations } from './relations.js';
import { constraintsOf, find, type Node, NUMBERED, nameOf, typeOf } from './tree.js';
import { volatility } from './volatility.js';

type Effect = readonly [mode: LockMode, rewrite?: Rewrite];

/** By subcommand of ALTER TABLE; what is not here takes ACCESS EXCLUSIVE and rewrites nothing (AlterTableGetLockLevel in the server's source). */
const EFFECTS: ReadonlyMap<string, Effect> = new Map([
  ...effectOfEach(
    'SetStatistics SetOptions ResetOptions ClusterOn DropCluster SetRelOptions ResetRelOptions ValidateConstraint AttachPartition',
    ['SHARE UPDATE EXCLUSIVE'],
  ),
  ...effectOfEach(
    'EnableTrig EnableTrigAll EnableTrigUser EnableAlwaysTrig EnableReplicaTrig DisableTrig DisableTrigAll DisableTrigUser',
    ['SHARE ROW EXCLUSIVE'],
  ),
  ...effectOfEach('AlterColumnType SetTableSpace', ['ACCESS EXCLUSIVE', 'maybe']),
  ...effectOfEach('SetLogged SetUnLogged SetAccessMethod SetExpression', ['ACCESS EXCLUSIVE', 'yes']),
]);

function effectOfEach(names: string, effect: Effect): [string, Effect][] {
  return names.split(' ').map((name) => [`AT_${name}`, effect]);
}

/** What a parent's partitions and heirs get too (ATPrepCmd in the server's source). */
const RECURSES = new Set([
  ...['AT_AddColumn', 'AT_DropColumn', 'AT_AlterColumnType', 'AT_ColumnDefault', 'AT_SetNotNull', 'AT_DropNotNull'],
  ...['AT_SetStatistics', 'AT_SetStorage', 'AT_AddConstraint', 'AT_DropConstraint', 'AT_ValidateConstraint'],
  ...['AT_DropExpression', 'AT_SetExpression'],
]);

/** Table locks of an ALTER TABLE, and of ALTER VIEW, MATERIALIZED VIEW and SEQUENCE, which are parsed as one. */
export function alterLocks({ objtype, relation, cmds }: Node, relations: Relations): TableLock[] {
  if (objtype === 'OBJECT_INDEX') return [];
  const table = nameOf(relation);
  if (objtype === 'OBJECT_VIEW' || objtype === 'OBJECT_SEQUENCE') return locked([table], 'ACCESS EXCLUSIVE');
  return (cmds as Node[]).flatMap(({ AlterTableCmd: cmd }) => {
    const [mode, rewrite] = effectOf(cmd, relations);
    return [
      ...locked([table], mode, relations.partitioned.has(table) ? 'no' : rewrite),
      ...(relation.inh && RECURSES.has(cmd.subtype) ? locked(familyOf(table, cmd, relations), mode, rewrite) : []),
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

function effectOf({ subtype, def }: Node, relations: Relations): Effect {
  if (subtype === 'AT_AddColumn') return ['ACCESS EXCLUSIVE', rewriteOfColumn(def.ColumnDef, relations)];
  if (subtype === 'AT_AddConstraint' && def.Constraint.contype === 'CONSTR_FOREIGN') return ['SHARE ROW EXCLUSIVE'];
  if (subtype === 'AT_DetachPartition' && def.PartitionCmd.concurrent) return ['SHARE UPDATE EXCLUSIVE'];
  return EFFECTS.get(subtype) ?? ['ACCESS EXCLUSIVE'];
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
    case 'AT_DetachPartition':
      return locked([nameOf(cmd.def.PartitionCmd.name), relations.defaultPartitions.get(table)], 'ACCESS EXCLUSIVE');
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

function rewriteOfColumn(column: Node, relations: Relations): Rewrite {
  const constraints = constraintsOf(column);
  const type = typeOf(column.typeName);
  if (relations.constrainedDomains.has(type) || NUMBERED.has(type) || constraints.has('CONSTR_IDENTITY')) return 'yes';
  if (constraints.get('CONSTR_GENERATED')?.generated_kind === 's') return 'yes';
  const found = constraints.get('CONSTR_DEFAULT');
  return found ? VOLATILE_REWRITES[volatility(found.raw_expr)] : 'no';
}

const VOLATILE_REWRITES = { stable: 'no', maybe: 'maybe', volatile: 'yes' } as const;
