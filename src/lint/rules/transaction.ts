import { formatMs } from '../../app/when.js';
import type { ParsedStatement } from '../../postgres/parser.js';
import { byTable, isStronger, stopsOthers } from '../lock-modes.js';
import { locksOf } from '../locks.js';
import type { Rule } from '../rule.js';
import { hasOption, type Node, nameOf } from '../tree.js';

/** Tables that a running Kasm reads or writes all the time: sessions, their logs and the logins. */
const BUSY = new Set([
  'accounting',
  'kasms',
  'logs',
  'managers',
  'servers',
  'session_permissions',
  'session_tokens',
  'users',
]);
const BUSY_LOCK_TIMEOUT_MS = 2000;
const LONG_LOCK_TIMEOUT_MS = 10_000;

/** Tables that a message names. */
const SHOWN = 3;

const writesAllRows = ({ type, node }: ParsedStatement) =>
  (type === 'UpdateStmt' || type === 'DeleteStmt') && !node.whereClause && !node.fromClause && !node.usingClause;

export const transactionRules: Rule[] = [
  {
    id: 'transaction-control',
    why: 'kasm-db runs the file in a transaction of its own, which this would end; it refuses the file',
    safe: 'take it out; what cannot run in a transaction goes into a migration with "-- kasm-db: no-transaction"',
    check: ({ type, node }) => type === 'TransactionStmt' && String(node.kind).replace('TRANS_STMT_', ''),
  },
  {
    id: 'write-whole-table',
    why: 'one transaction that writes every row keeps locks on all of them, bloats the table and delays autovacuum',
    safe: 'write in batches (WHERE id BETWEEN …) from a job, or in several no-transaction statements',
    check: (statement, { known }) =>
      writesAllRows(statement) &&
      !known.isFresh(nameOf(statement.node.relation)) &&
      `every row of ${nameOf(statement.node.relation)} is written`,
  },
  {
    id: 'backfill-with-ddl',
    why: 'the lock of the ALTER TABLE is kept until the rows are written',
    safe: 'put the UPDATE into a migration of its own',
    check: (statement, { known, file, soFar }) => {
      if (!file.migration.transaction || !['UpdateStmt', 'DeleteStmt', 'MergeStmt'].includes(statement.type))
        return false;
      const table = nameOf(statement.node.relation);
      const mode = soFar.held.get(table);
      if (!mode || !isStronger(mode, 'ROW EXCLUSIVE') || known.isFresh(table) || writesAllRows(statement)) return false;
      return `${table} is already locked ${mode} by this file when its rows are written`;
    },
  },
  {
    id: 'second-table-lock',
    why: 'the first table stays locked while the file waits for the second, so traffic on both has to wait; a session that takes them in the other order deadlocks with it',
    safe: 'put what comes after into a second file: the first table is free once its own file is committed',
    check: (statement, { known, file, soFar }) => {
      const { stopped } = soFar;
      if (!file.migration.transaction || stopped.size === 0) return false;
      const waitsFor = byTable(locksOf(statement, known)).filter(
        ({ table, mode, creates }) => stopsOthers(mode) && !creates && !known.isFresh(table) && !stopped.has(table),
      );
      if (waitsFor.length === 0) return false;
      const first: string[] = [];
      for (const [table, mode] of stopped) if (first.push(`${table} (${mode})`) === SHOWN) break;
      const more = stopped.size > SHOWN ? ` and ${stopped.size - SHOWN} more` : '';
      return waitsFor.map(
        ({ table, mode }) => `locks ${first.join(', ')}${more} first, then waits for ${table} (${mode})`,
      );
    },
  },
  {
    id: 'explicit-lock',
    why: 'everybody who needs the table waits until the file is through',
    safe: 'leave it out; each statement takes the lock that it needs',
    check: ({ type, node }, { known }) =>
      type === 'LockStmt' &&
      node.mode > 4 &&
      (node.relations as Node[])
        .map(({ RangeVar }) => nameOf(RangeVar))
        .map((table) => !known.isFresh(table) && `table ${table} is locked`),
  },
  {
    id: 'vacuum-full',
    why: 'the table is written anew under a lock that stops all reads and writes',
    safe: 'plain VACUUM; or pg_repack in a maintenance window',
    check: ({ type, node }) =>
      (type === 'ClusterStmt' && 'CLUSTER rewrites its table') ||
      (type === 'VacuumStmt' && hasOption(node, 'full') && 'VACUUM FULL rewrites its table'),
  },
  {
    id: 'refresh-not-concurrent',
    why: 'nobody can read the materialized view while it is filled',
    safe: 'REFRESH MATERIALIZED VIEW CONCURRENTLY (it needs a unique index)',
    check: ({ type, node }, { known }) =>
      type === 'RefreshMatViewStmt' &&
      !node.concurrent &&
      !known.isMade(nameOf(node.relation)) &&
      `${nameOf(node.relation)} is refreshed while nobody can read it`,
  },
  {
    id: 'lock-timeout-off',
    why: 'a statement that waits for a table makes everyone behind it wait too, for as long as it takes',
    safe: 'keep kasm-db\'s (2 s, then it gives way and tries again), or "-- kasm-db: lock-timeout 2s" at the top',
    check: ({ type, node }) => {
      if (type !== 'VariableSetStmt' || node.name !== 'lock_timeout') return false;
      const { sval, ival } = node.args?.[0]?.A_Const ?? {};
      const value = sval?.sval ?? ival?.ival ?? 0;
      const ms = timeoutMs(String(value));
      if (ms > 0 && ms <= LONG_LOCK_TIMEOUT_MS) return false;
      return value ? `lock_timeout is set to ${value}` : 'lock_timeout is off';
    },
    checkFile: ({ migration }) =>
      migration.transaction &&
      (migration.lockTimeoutMs ?? 0) > LONG_LOCK_TIMEOUT_MS &&
      `lock-timeout ${formatMs(migration.lockTimeoutMs ?? 0)}: all traffic on a table may wait that long`,
  },
  {
    id: 'busy-table-lock-timeout',
    why: 'sessions and logins have to wait while it waits for a table that is always in use; the default of 2 s is long for that',
    safe: '"-- kasm-db: lock-timeout 500ms" at the top: it gives way sooner, and tries again',
    check: (statement, { known, file }) => {
      if ((file.migration.lockTimeoutMs ?? BUSY_LOCK_TIMEOUT_MS) < BUSY_LOCK_TIMEOUT_MS) return false;
      const tables = locksOf(statement, known)
        .filter(({ mode, creates }) => !creates && mode === 'ACCESS EXCLUSIVE')
        .map(({ table }) => table)
        .filter((table) => BUSY.has(table) && !known.isFresh(table));
      return [...new Set(tables)].map(
        (table) => `${table} is locked ACCESS EXCLUSIVE, and the file has no lock-timeout below 2s`,
      );
    },
  },
];

function timeoutMs(value: string): number {
  const match = /^\s*(\d+)\s*(ms|s|min|h)?\s*$/.exec(value);
  const unit = { ms: 1, s: 1000, min: 60_000, h: 3_600_000 }[match?.[2] ?? 'ms'] as number;
  return match ? Number(match[1]) * unit : 0;
}
