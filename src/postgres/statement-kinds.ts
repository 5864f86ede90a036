import type { ParsedStatement } from './parser.js';

/** True for a statement that PostgreSQL refuses inside a transaction block, or that may commit by itself. */
export function needsNoTransaction({ type, node, sql }: ParsedStatement): boolean {
  switch (type) {
    case 'IndexStmt':
    case 'DropStmt':
      return node.concurrent === true;
    case 'ReindexStmt': {
      const params = (node.params ?? []) as { DefElem?: { defname?: string } }[];
      const concurrently = params.some(({ DefElem }) => DefElem?.defname === 'concurrently');
      return concurrently || !['REINDEX_OBJECT_INDEX', 'REINDEX_OBJECT_TABLE'].includes(node.kind);
    }
    case 'VacuumStmt':
      return node.is_vacuumcmd === true;
    case 'ClusterStmt':
      return node.relation === undefined;
    case 'AlterTableStmt':
      return ((node.cmds ?? []) as { AlterTableCmd?: { def?: { PartitionCmd?: { concurrent?: boolean } } } }[]).some(
        (cmd) => cmd.AlterTableCmd?.def?.PartitionCmd?.concurrent === true,
      );
    case 'DoStmt':
      // It may end transactions of its own, or call a procedure that does.
      return /commit|rollback|call/i.test(sql);
    default:
      return NEVER_IN_TRANSACTION.has(type);
  }
}

const NEVER_IN_TRANSACTION = new Set([
  ...[
    'CreatedbStmt',
    'DropdbStmt',
    'AlterDatabaseStmt',
    'AlterSystemStmt',
    'CreateTableSpaceStmt',
    'DropTableSpaceStmt',
  ],
  ...['CreateSubscriptionStmt', 'AlterSubscriptionStmt', 'DropSubscriptionStmt', 'CallStmt'],
]);

/** True for what may commit a part of its work and fail afterwards: a DO block, a procedure. */
export function mayCommit({ type, sql }: ParsedStatement): boolean {
  return type === 'CallStmt' || (type === 'DoStmt' && /\b(?:commit|call)\b/i.test(sql));
}

/** May it be run again where nobody knows whether it had ended? */
export function isRepeatable({ type }: ParsedStatement): boolean {
  return /^(Index|Drop|Reindex|Vacuum|Cluster|AlterSystem|AlterDatabase)Stmt$/.test(type);
}

/** True for SET, RESET and the like: it lasts for the session, so a resumed file has to run it again. */
export function isSessionSetting({ type, node }: ParsedStatement): boolean {
  return type === 'VariableSetStmt' && node.is_local !== true;
}
