import { KasmDbError } from '../app/errors.js';
import { type DatabaseState, isUpgradedByVendor } from '../history/state.js';
import type { MigrationHeader } from '../migrations/directives.js';
import { requireName } from '../migrations/name.js';
import { wrongFolder } from './plan-problems.js';

/** Where to: `to` stays applied (`none`: nothing does), or that many steps. Exactly one of them. */
export interface RollbackGoal {
  to?: string | undefined;
  steps?: number | undefined;
}

export interface RollbackPlan<M extends MigrationHeader> {
  /** To be rolled back, in this order: last applied first. */
  steps: M[];
  /** Newest applied one, before. */
  current: string | undefined;
  /** Newest applied one, afterwards. */
  target: string | undefined;
}

const NOTHING = 'none';

/**
 * What has to be undone, last applied first. "Last" is by name, not by clock: a migration with the out-of-order directive counts by its number.
 * A half-done no-transaction migration is among them. Pure.
 * @param files in the order of their names
 * @throws KasmDbError usage for a goal that cannot be; integrity when something stands in the way, before anything is run
 */
export function planRollback<M extends MigrationHeader>(
  files: readonly M[],
  state: DatabaseState,
  goal: RollbackGoal,
): RollbackPlan<M> {
  const rows = [...(state.history ?? [])].sort((a, b) => (a.name < b.name ? 1 : -1));
  const known = new Map(files.map((file) => [file.name, file]));
  const chosen = rows.slice(0, count(files, rows, goal));
  const unknown = chosen.filter((row) => !known.has(row.name));
  const elsewhere = wrongFolder(files, rows);
  if (elsewhere) throw new KasmDbError('integrity', elsewhere.message, { hint: elsewhere.hint });
  if (unknown.length > 0) {
    throw new KasmDbError(
      'integrity',
      `the database is ahead of this build: it has ${list(unknown.map((row) => row.name))}, whose down scripts this build doesn't have`,
      {
        hint: `roll back with the kasm-db that applied them (${unknown[0]?.appVersion}); older builds work with a newer database as it is, so most often nothing has to be rolled back`,
        migration: unknown[0]?.name as string,
      },
    );
  }
  const changed = chosen.find((row) => known.get(row.name)?.checksum !== row.checksum);
  if (changed) {
    throw new KasmDbError(
      'integrity',
      `${changed.name} was changed after it was applied, so its down script may not fit what is in the database`,
      {
        hint: 'restore the file, or accept the change with: kasm-db repair --checksums',
        migration: changed.name,
      },
    );
  }
  const steps = chosen.map((row) => known.get(row.name) as M);
  const missing = steps.filter((file) => !file.hasDown);
  if (missing.length > 0) {
    throw new KasmDbError(
      'integrity',
      `${missing.length === 1 ? 'a down script is' : `${missing.length} down scripts are`} missing, so nothing was rolled back: ${missing.map((file) => `${file.name}.down.sql`).join(', ')}`,
      {
        hint: 'write them (a file of comments alone says that nothing has to be undone), or undo by hand and then: kasm-db repair --pending NAME',
        migration: missing[0]?.name as string,
      },
    );
  }
  const written = steps.concat(files).find((file) => file.vendorVersion !== undefined)?.vendorVersion;
  const wroteIt = rows.some((row) => known.get(row.name)?.vendorVersion !== undefined);
  if (chosen.length > 0 && wroteIt && isUpgradedByVendor(state, written)) {
    throw new KasmDbError(
      'integrity',
      `alembic_version is ${state.vendorVersion}, but kasm-db wrote ${written}: Kasm's own upgrade has changed this database, so the down scripts don't fit it`,
      { hint: 'restore a backup, or use the kasm-db for that Kasm release' },
    );
  }
  return { steps, current: rows[0]?.name, target: rows[chosen.length]?.name };
}

function count<M extends MigrationHeader>(
  files: readonly M[],
  rows: readonly { name: string }[],
  { to, steps }: RollbackGoal,
): number {
  if ((to === undefined) === (steps === undefined)) {
    throw new KasmDbError('usage', 'rollback needs exactly one of --to NAME and --steps N', {
      hint: `NAME stays applied, and what is newer is undone; --to ${NOTHING} undoes everything`,
    });
  }
  if (steps !== undefined) {
    if (!Number.isInteger(steps) || steps < 1) {
      throw new KasmDbError('usage', '--steps must be a whole number from 1 on', { hint: 'such as --steps 1' });
    }
    return steps;
  }
  if (to === NOTHING) return rows.length;
  const names = [...new Set([...files, ...rows].map(({ name }) => name))].sort();
  const name = requireName('--to', to as string, names);
  const applied = rows.findIndex((row) => row.name === name);
  if (applied >= 0) return applied;
  throw new KasmDbError('usage', `--to: ${name} is not applied, so there is nothing to go back to`, {
    hint: `the newest that is applied is ${rows[0]?.name ?? '(none)'}; kasm-db migrate --to ${name} goes forward`,
  });
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, 8).join(', ');
  return names.length > 8 ? `${shown} and ${names.length - 8} more` : shown;
}
