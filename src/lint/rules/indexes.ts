import { needsNoTransaction } from '../../postgres/statement-kinds.js';
import { eachCommand, type Rule } from '../rule.js';
import { dropped, hasOption, nameOf, nameOfParts } from '../tree.js';

export const indexRules: Rule[] = [
  {
    id: 'index-not-concurrent',
    why: 'the table takes no writes while the index is built',
    safe: 'CREATE INDEX CONCURRENTLY in a migration of its own with "-- kasm-db: no-transaction"',
    check: ({ type, node }, { known }) =>
      type === 'IndexStmt' &&
      !node.concurrent &&
      !known.isFresh(nameOf(node.relation)) &&
      `an index on ${nameOf(node.relation)} is built while nobody can write to it`,
  },
  {
    id: 'drop-index-not-concurrent',
    why: 'it waits for all who use the table, and whoever comes after waits behind it',
    safe: 'DROP INDEX CONCURRENTLY in a migration of its own with "-- kasm-db: no-transaction"',
    check: ({ type, node }, { known }) =>
      type === 'DropStmt' &&
      node.removeType === 'OBJECT_INDEX' &&
      !node.concurrent &&
      dropped(node).map((parts) => {
        const table = known.indexes.get(parts.at(-1) as string);
        return !known.isFresh(table ?? '') && `index ${nameOfParts(parts)} is dropped under a lock`;
      }),
  },
  {
    id: 'reindex-not-concurrent',
    why: 'the table takes no writes, and reads that would use the index wait',
    safe: 'REINDEX (CONCURRENTLY) in a migration of its own with "-- kasm-db: no-transaction"',
    check: ({ type, node }) => type === 'ReindexStmt' && !hasOption(node, 'concurrently') && 'REINDEX stops writes',
  },
  {
    id: 'concurrently-in-transaction',
    ofDown: true,
    why: 'PostgreSQL refuses it in a transaction, so the migration fails',
    safe: 'put it into a migration of its own that begins with "-- kasm-db: no-transaction"',
    check: (statement, { file }) =>
      file.migration.transaction &&
      needsNoTransaction(statement) &&
      !['DoStmt', 'CallStmt'].includes(statement.type) &&
      `${statement.sql.split(/\s+/).slice(0, 3).join(' ')} … cannot run in the file's transaction`,
  },
  {
    id: 'concurrently-if-not-exists',
    why: 'IF NOT EXISTS accepts an invalid index that an interrupted build left behind',
    safe: 'leave IF NOT EXISTS out: kasm-db finds an invalid index by itself, drops it and builds it anew',
    check: ({ type, node }) =>
      type === 'IndexStmt' &&
      node.concurrent &&
      node.if_not_exists &&
      `index ${node.idxname} is built only where its name is free`,
  },
  {
    id: 'concurrently-without-name',
    why: 'a build that was interrupted cannot be found again, and a rerun builds a second index',
    safe: 'name the index',
    check: ({ type, node }) =>
      type === 'IndexStmt' && node.concurrent && !node.idxname && `an index on ${nameOf(node.relation)} has no name`,
  },
  {
    id: 'detach-partition',
    why: 'it locks the whole partitioned table against reads and writes',
    safe: 'DETACH PARTITION … CONCURRENTLY in a migration of its own with "-- kasm-db: no-transaction" (PostgreSQL 14 and later)',
    check: eachCommand(
      ['AT_DetachPartition'],
      ({ def }, table) => !def.PartitionCmd.concurrent && `${table}: a partition is detached`,
    ),
  },
];
