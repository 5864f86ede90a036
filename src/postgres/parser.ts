import { KasmDbError, messageOf } from '../app/errors.js';

/** A statement as PostgreSQL's own parser sees it. */
export interface ParsedStatement {
  sql: string;
  /** UTF-16 offset in the script. */
  start: number;
  /** Node type of the parse tree (`IndexStmt`), and its fields. */
  type: string;
  // biome-ignore lint/suspicious/noExplicitAny: the parse tree's shape is PostgreSQL's own, some 700 node types.
  node: any;
}

/**
 * Parses a script with PostgreSQL's parser (WASM, some 35 ms to load: only where a tree is needed).
 * @param path for the error message
 * @throws KasmDbError failed, with the line of the syntax error
 */
export async function parseScript(sql: string, path: string): Promise<ParsedStatement[]> {
  const { loadModule, parseSync } = await import('./libpg-query.js');
  await loadModule();
  let stmts: { stmt?: object; stmt_location?: number; stmt_len?: number }[];
  try {
    stmts = (parseSync(sql) as { stmts?: typeof stmts }).stmts ?? [];
  } catch (error) {
    const at = (error as { sqlDetails?: { cursorPosition?: number } }).sqlDetails?.cursorPosition ?? 0;
    const line = sql.slice(0, Math.max(at, 0)).split('\n').length;
    throw new KasmDbError('failed', `${path}:${line}: ${messageOf(error)}`, {
      file: path,
      line,
      sqlstate: '42601',
      cause: error,
    });
  }
  // The parser counts bytes.
  const bytes = Buffer.from(sql, 'utf8');
  return stmts.map(({ stmt, stmt_location = 0, stmt_len }) => {
    const raw = bytes.subarray(stmt_location, stmt_len ? stmt_location + stmt_len : undefined).toString('utf8');
    const text = raw.replace(LEADING, '').replace(/;?\s*$/, '');
    const start =
      bytes.subarray(0, stmt_location).toString('utf8').length + (raw.length - raw.replace(LEADING, '').length);
    const [type, node] = Object.entries(stmt ?? {})[0] as [string, unknown];
    return { sql: text, start, type, node };
  });
}

/** Blank space and comments that the parser counts to the statement after them. */
const LEADING = /^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)+/;

/** True for a statement that PostgreSQL refuses inside a transaction block, or that may commit by itself. */
export function needsNoTransaction({ type, node }: ParsedStatement): boolean {
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
    case 'RefreshMatViewStmt':
      return false;
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
    case 'DoStmt':
      return true;
    default:
      return false;
  }
}

/** True for SET, RESET and the like: it lasts for the session, so a resumed file has to run it again. */
export function isSessionSetting({ type, node }: ParsedStatement): boolean {
  return type === 'VariableSetStmt' && node.is_local !== true;
}
