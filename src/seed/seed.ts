import { messageOf } from '../app/errors.js';
import { VERSION } from '../app/version.js';
import type { Context } from '../config/context.js';
import { readState } from '../history/read-state.js';
import { newRun } from '../history/run-row.js';
import type { MigrationState } from '../history/state.js';
import { ensureHistory, SEED_TABLES } from '../history/tables.js';
import type { Migration } from '../migrations/files.js';
import { isReadyToSeed } from '../migrator/plan-for.js';
import { LockTaken, type MigrationLock, withMigrationLock } from '../migrator/with-lock.js';
import { type Session, withSession } from '../postgres/session.js';
import { documentRows, seedDigest } from './document-rows.js';
import { type SeedReport, type SeedRequest, writeSeed } from './write-seed.js';

export interface SeedOptions extends SeedRequest {
  lockTimeoutMs: number;
  dryRun: boolean;
}

export interface SeedResult extends SeedReport {
  state: MigrationState;
  /** The database is ahead of this build: nothing was done. */
  skipped: boolean;
}

/** How long a statement may wait for someone who has a table or a row. */
const TABLE_LOCK_TIMEOUT_MS = 10_000;

/** Counts of a seed that did not come about. */
export const NOTHING_SEEDED = { inserted: 0, updated: 0, unchanged: 0, kept: 0 };

/**
 * Writes the default rows and the credentials, in one transaction under the migration lock. Safe to repeat: what someone has changed,
 * renamed or deleted since stays so.
 * @throws KasmDbError seed when a document or a Secret is wrong (nothing is written); pending when migrations are missing
 */
export async function seed(ctx: Context, migrations: Migration[], options: SeedOptions): Promise<SeedResult> {
  const rows = documentRows(options.documents, migrations);
  /** Within a transaction. */
  const write = async (session: Session, state: MigrationState): Promise<SeedResult> => {
    // A customer's trigger must not send us its rows as notices.
    await session.script("SET LOCAL client_min_messages = 'error'");
    return { state, skipped: false, ...(await writeSeed(ctx, session, rows, options, state)) };
  };
  if (options.dryRun)
    return withSession(ctx, 'seeding', async (session) => {
      const state = await readState(session, { vendor: true });
      if (!isReadyToSeed(state, migrations)) return skipped(state);
      // Not read-only: what is sent for comparison stands in temporary tables.
      await session.begin('write', { lockTimeoutMs: TABLE_LOCK_TIMEOUT_MS });
      const result = await write(session, state);
      await session.rollback();
      return result;
    });
  const waiting = { waitMs: options.lockTimeoutMs, vendor: true, doing: 'seeding' };
  const { result } = await withMigrationLock(ctx, waiting, (lock) =>
    seedUnderLock(ctx, lock, migrations, options, write),
  );
  return result;
}

async function seedUnderLock(
  ctx: Context,
  lock: MigrationLock,
  migrations: Migration[],
  options: SeedOptions,
  write: (session: Session, state: MigrationState) => Promise<SeedResult>,
): Promise<SeedResult> {
  const { session, state: before } = lock;
  if (!isReadyToSeed(before, migrations)) return skipped(before);
  const bounds = { lockTimeoutMs: Math.min(TABLE_LOCK_TIMEOUT_MS, options.lockTimeoutMs) };
  const run = newRun();
  const start = run.start(migrations.length, 'seed');
  await lock.begin('write', bounds);
  await ensureHistory(session, SEED_TABLES);
  await session.commit('writing the run row (kasm_db.run)', start);
  try {
    await lock.begin('write', bounds);
    // Behind a pooler another migrator may have had the lock since.
    const state = await lock.reread();
    if (!isReadyToSeed(state, migrations)) {
      await session.rollback();
      return skipped(state);
    }
    const result = await write(session, state);
    // Once more: whoever found us busy may have put its own name into the run row.
    await session.commit('seeding', `${start}; ${run.seeded(`${VERSION}:${seedDigest(options.documents)}`)}`);
    return result;
  } catch (error) {
    await session.rollback();
    if (!(error instanceof LockTaken)) {
      const told = ctx.signal.aborted ? ctx.signal.reason : error;
      await session.writeUninterrupted(run.fail(messageOf(told))).catch(() => session.rollback());
    }
    throw error;
  }
}

function skipped(state: MigrationState): SeedResult {
  const nothing = { credentials: [], plainText: [], encrypted: [], settings: 0, warnings: [] };
  return { state, skipped: true, counts: NOTHING_SEEDED, ...nothing };
}
