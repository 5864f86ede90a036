import { escapeIdentifier } from 'pg';
import { KasmDbError } from '../app/errors.js';
import type { MigrationState } from '../history/state.js';

/** Set for this login alone, or by it: its other sessions are meant, such as an analyst's. */
const OF_THE_LOGIN: Record<string, string> = {
  user: 'the role (ALTER ROLE … SET)',
  'database user': 'the role in this database (ALTER ROLE … IN DATABASE … SET)',
  client: 'the connection itself (PGOPTIONS)',
  session: 'the session',
};
const OF_THE_HOST: Record<string, string> = {
  database: 'the database (ALTER DATABASE … SET)',
  global: 'all roles (ALTER ROLE ALL SET)',
  'configuration file': "the server (a configuration file, or ALTER SYSTEM's postgresql.auto.conf)",
  'command line': 'the server (its command line)',
};

/**
 * Whoever sets a whole database or server to read-only wants no writes: a host does so when the disk is full. Our transactions could write all
 * the same, since they say READ WRITE.
 */
export function readOnlyGuard(
  { readOnlyBy }: Pick<MigrationState, 'readOnlyBy'>,
  database: string,
): KasmDbError | undefined {
  if (readOnlyBy === undefined || readOnlyBy in OF_THE_LOGIN) return undefined;
  const where = OF_THE_HOST[readOnlyBy] ?? readOnlyBy;
  const back =
    readOnlyBy === 'database'
      ? `from another database: ALTER DATABASE ${escapeIdentifier(database)} RESET default_transaction_read_only`
      : 'set it to off where it was set';
  return new KasmDbError(
    'environment',
    `default_transaction_read_only is on, set for ${where}: whoever did that wants no writes, so none are made`,
    {
      hint: `a host sets it when the disk is full: look there and make room; then ${back}`,
    },
  );
}

/** What to warn of where it is set for the login alone. */
export function readOnlyLogin({ readOnlyBy }: Pick<MigrationState, 'readOnlyBy'>): string | undefined {
  const where = OF_THE_LOGIN[readOnlyBy ?? ''];
  return (
    where &&
    `default_transaction_read_only is on, set for ${where}; kasm-db says READ WRITE and goes on, Kasm itself does not`
  );
}
