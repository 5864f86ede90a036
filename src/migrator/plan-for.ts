import { KasmDbError } from '../app/errors.js';
import { plural } from '../app/plural.js';
import { breather } from '../app/time.js';
import { VERSION } from '../app/version.js';
import type { MigrationState } from '../history/state.js';
import type { Migration } from '../migrations/files.js';
import { requireName } from '../migrations/name.js';
import { refuseUnrunnable } from '../migrations/refused.js';
import { list } from './half-done.js';
import { type Plan, plan } from './plan.js';
import { requireSupported } from './with-lock.js';

/** What the caller expects of the database. */
export interface Expectations {
  /** Last migration to apply. */
  to?: string | undefined;
  /** There must be a history already: an upgrade never initialises an empty database. */
  expectExisting?: boolean | undefined;
  /** There must be no history and no table yet. */
  requireEmpty?: boolean | undefined;
}

/** Plans, and stops on whatever makes it unsafe to go on. @throws KasmDbError usage, integrity, environment */
export function planFor(
  migrations: Migration[],
  state: MigrationState,
  { to, expectExisting, requireEmpty }: Expectations = {},
): Plan<Migration> {
  requireSupported(state);
  const names = migrations.map((migration) => migration.name);
  const upTo = to === undefined ? undefined : requireName('--to', to, names);
  const planned = plan(migrations, state, { to: upTo, appVersion: VERSION });
  const [first, ...more] = planned.problems;
  // Tables of Kasm's without a history are a problem of their own, which says more.
  if (expectExisting && !first) requireExisting(state);
  if (requireEmpty && (!first || state.history?.length)) refuseExisting(state);
  // An upgrade of what goes with a newer Kasm: all that this build brings is there, and Kasm's own upgrade is the owner's wish.
  if (expectExisting && first?.kind === 'vendor-upgraded' && more.length === 0 && planned.pending.length === 0)
    return { ...planned, problems: [], warnings: [...planned.warnings, `${first.message}; nothing was done`] };
  if (first) {
    const others = more.length > 0 ? ` (and ${more.length} more: ${more.map((p) => p.message).join('; ')})` : '';
    throw new KasmDbError('integrity', first.message + others, {
      hint: first.hint,
      ...(first.migration ? { migration: first.migration } : {}),
    });
  }
  return planned;
}

/**
 * Is there what a seed is written into?
 * @returns false when the database is ahead of this build: then it is left alone
 * @throws KasmDbError pending, environment, integrity
 */
export function isReadyToSeed(state: MigrationState, migrations: Migration[]): boolean {
  const { ahead, pending } = planFor(migrations, state);
  if (ahead) return false;
  if (pending.length > 0) {
    throw new KasmDbError(
      'pending',
      `${plural(pending.length, 'migration is', 'migrations are')} not applied yet, so there is nothing to seed into`,
      { hint: 'run: kasm-db migrate --seed' },
    );
  }
  return true;
}

function requireExisting({ history, publicTables }: MigrationState): void {
  if (history === undefined || history.length === 0)
    throw noHistory(publicTables.length === 0 ? 'the database is empty: it' : 'the database');
}

/** @param what has no history: the database, or one that is not even there */
export function noHistory(what: string): KasmDbError {
  return new KasmDbError(
    'integrity',
    `this is an upgrade (--expect-existing), but ${what} has no history of kasm-db; nothing was done`,
    {
      hint: 'is it the right host and database, and is the backup restored yet? For a first installation leave --expect-existing out; for a database that Kasm made: kasm-db adopt',
    },
  );
}

function refuseExisting({ history, publicTables }: MigrationState): void {
  const found = history?.length
    ? `${plural(history.length, 'migration is', 'migrations are')} recorded`
    : publicTables.length > 0
      ? `schema public has tables (${list(publicTables)})`
      : undefined;
  if (found === undefined) return;
  throw new KasmDbError(
    'integrity',
    `the database has to be empty (--require-empty), but ${found}; nothing was migrated`,
    {
      hint: 'is it the right host and database? To bring an existing one up to date leave --require-empty out',
    },
  );
}

/** What can be known to be wrong before a statement is run. @throws KasmDbError usage, environment */
export async function requireApplicable(
  pending: readonly Migration[],
  { pooled }: Pick<MigrationState, 'pooled'>,
): Promise<void> {
  const breathe = breather();
  for (const migration of pending) {
    await breathe();
    refuseUnrunnable(migration, await migration.sql());
    if (pooled && !migration.transaction) throw needsDirectConnection(migration.name, migration.name);
  }
}

/** @param file what cannot run behind a pooler, for messages */
export function needsDirectConnection(file: string, migration: string): KasmDbError {
  return new KasmDbError(
    'environment',
    `${file} cannot run in a transaction, and a connection pooler stands before the server`,
    {
      hint: 'set KASM_DB_DIRECT_URL (or --direct-url) to PostgreSQL itself',
      migration,
    },
  );
}
