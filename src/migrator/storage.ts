import type { UmzugStorage } from 'umzug';
import { VERSION } from '../app/version.js';
import { recordLocksSql } from '../history/locks.js';
import { PRUNE_PROGRAM_SEED_SQL, PRUNE_SEEDS_SQL } from '../history/prune-seeds.js';
import { recordSql, unrecordSql } from '../history/record.js';
import { findHistoryTable } from '../history/tables.js';
import type { Migration } from '../migrations/files.js';
import { toKasmDbError } from '../postgres/sqlstate.js';
import { progressSql, type Run } from './run.js';

/**
 * umzug's storage: the history. `execute` has left the migration's transaction open; its history row, the run row and COMMIT travel as one message,
 * so that a migration is in the database exactly where its row is.
 * @param migrations that umzug runs; those that run statement by statement are recorded as they go
 * @param executed names that umzug takes for applied
 */
export function historyStorage(run: Run, migrations: readonly Migration[], executed: readonly string[]): UmzugStorage {
  const { session } = run.lock;
  const inTransaction = new Map(migrations.map((migration) => [migration.name, migration]));
  for (const { name, transaction } of migrations) if (!transaction) inTransaction.delete(name);
  // Who keeps the history's tables keeps what the migration has locked, too.
  const patience = `SET LOCAL lock_timeout = ${Math.round(run.waits.patienceMs)}`;
  const commit = (name: string, ...sql: string[]) =>
    run.waits
      .commit(name, () => session.commit(name, [patience, ...sql, progressSql(run, name)].join('; ')))
      .catch((error) => {
        throw toKasmDbError(error, name, { migration: name });
      });
  return {
    executed: async () => [...executed],
    logMigration: async ({ name }) => {
      const migration = inTransaction.get(name);
      if (migration) await commit(name, recordSql(recordOf(migration)), ...locksSql(run, name));
    },
    unlogMigration: async ({ name }) => {
      if (inTransaction.has(name)) await commit(name, await undoneSql(run, name));
    },
  };
}

/** What the history says of a migration that this build runs. */
export function recordOf({ name, checksum, minCompatible }: Migration) {
  return { name, checksum, minCompatible, appVersion: VERSION };
}

/** SQL that records what a migration has locked, for `status`. */
export function locksSql({ recordsLocks, locks }: Run, name: string): string[] {
  return recordsLocks ? recordLocksSql(name, locks.get(name) ?? []) : [];
}

/** SQL that records that a migration is undone; within its transaction. */
export async function undoneSql({ lock }: Run, name: string): Promise<string> {
  const undone = `${unrecordSql(name)}; ${PRUNE_PROGRAM_SEED_SQL}`;
  return (await findHistoryTable(lock.session, 'kasm_db.seeds')) ? `${undone}; ${PRUNE_SEEDS_SQL}` : undone;
}
