import type { ParsedStatement } from './parser.js';

/** True for a statement that PostgreSQL refuses inside a transaction block, or that may commit by itself. */
export function needsNoTransaction({ type, node, sql }: ParsedStatement): boolean {
  switch (type) {
    case 'IndexStmt':
    case 'DropStmt':
      return node.concurrent === true;
    case 'ReindexStmt': {
      const options = ((node.params ?? []) as { DefElem?: { defname?: string } }[]).map(
        (param) => param.DefElem?.defname,
      );
      return options.includes('concurrently') || !['REINDEX_OBJECT_INDEX', 'REINDEX_OBJECT_TABLE'].includes(node.kind);
    }
    case 'VacuumStmt':
      return node.is_vacuumcmd === true;
    case 'ClusterStmt':
      return node.relation === undefined;
    case 'AlterTableStmt':
      return ((node.cmds ?? []) as { AlterTableCmd?: { def?: { PartitionCmd?: { concurrent?: boolean } } } }[]).some(
        (cmd) => cmd.AlterTableCmd?.def?.PartitionCmd?.concurrent === true,
      );
    case 'CreatedbStmt':
    case 'DropdbStmt':
    case 'AlterDatabaseStmt':
    case 'AlterSystemStmt':
    case 'CreateTableSpaceStmt':
    case 'DropTableSpaceStmt':
    case 'CreateSubscriptionStmt':
    case 'AlterSubscriptionStmt':
    case 'DropSubscriptionStmt':
    case 'CallStmt':
      return true;
    case 'DoStmt':
      // It may end transactions of its own, or call a procedure that does.
      return /commit|rollback|call/i.test(sql);
    default:
      return false;
  }
}

/** True for what may commit a part of its work and fail afterwards: a DO block, a procedure. */
export function mayCommit({ type, sql }: ParsedStatement): boolean {
  return type === 'CallStmt' || (type === 'DoStmt' && /\b(?:commit|call)\b/i.test(sql));
}

const REPEATABLE = new Set([
  'IndexStmt',
  'DropStmt',
  'ReindexStmt',
  'VacuumStmt',
  'ClusterStmt',
  'AlterSystemStmt',
  'AlterDatabaseStmt',
]);

/** May it be run again where nobody knows whether it had ended? */
export function isRepeatable({ type }: ParsedStatement): boolean {
  return REPEATABLE.has(type);
}

/** True for SET, RESET and the like: it lasts for the session, so a resumed file has to run it again. */
export function isSessionSetting({ type, node }: ParsedStatement): boolean {
  return type === 'VariableSetStmt' && node.is_local !== true;
}
