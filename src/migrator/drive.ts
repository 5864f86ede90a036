import { Umzug } from 'umzug';
import type { Migration } from '../migrations/files.js';

/** umzug drives: it keeps the order and stops at the first failure; history and transactions are ours. */
export async function drive(
  pending: Migration[],
  apply: (migration: Migration, index: number) => Promise<void>,
): Promise<void> {
  const umzug = new Umzug({
    migrations: pending.map((migration, i) => ({ name: migration.name, up: () => apply(migration, i) })),
    storage: { executed: async () => [], logMigration: async () => {}, unlogMigration: async () => {} },
    logger: undefined,
  });
  try {
    await umzug.up();
  } catch (error) {
    throw (error as Error).cause ?? error;
  }
}
