import type { ParsedStatement } from './parser.js';
import { tokensOf } from './statements.js';

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

/** True for SET, RESET and SELECT set_config(): it lasts for the session, so a resumed file has to run it again. */
export function isSessionSetting({ type, node }: ParsedStatement): boolean {
  if (type === 'SelectStmt') return isSetConfig(node);
  return type === 'VariableSetStmt' && node.is_local !== true;
}

/** SELECT set_config('search_path', 'app', false), as dumps write it, and nothing else in it. */
function isSetConfig({
  targetList = [],
  ...rest
}: {
  targetList?: Target[];
  fromClause?: unknown;
  whereClause?: unknown;
}) {
  const names = targetList.map(({ ResTarget }) => ResTarget.val?.FuncCall?.funcname?.at(-1)?.String.sval);
  const isAlone = rest.fromClause === undefined && rest.whereClause === undefined;
  return isAlone && names.length > 0 && names.every((name) => name === 'set_config');
}

interface Target {
  ResTarget: { val?: { FuncCall?: { funcname?: { String: { sval: string } }[] } } };
}

/** How many words a DROP begins with, before IF EXISTS would stand. */
const DROP_WORDS =
  /^drop (?:materialized view|foreign table|foreign data wrapper|event trigger|text search \w+|access method|operator (?:class|family)|procedural language|\w+)(?: concurrently)?/;

/** A DROP, of as many objects as it names, that takes what is not there for dropped; another statement as it is. */
export function ifExists({ type, node, sql }: ParsedStatement): string {
  if (type !== 'DropStmt' || node.missing_ok) return sql;
  const tokens = [...tokensOf(sql)];
  const [words = ''] = DROP_WORDS.exec(tokens.map(({ text }) => text.toLowerCase()).join(' ')) ?? [];
  const at = tokens[words.split(' ').length - 1]?.end ?? sql.length;
  return `${sql.slice(0, at)} IF EXISTS${sql.slice(at)}`;
}
