import { KasmDbError } from '../app/errors.js';
import { VERSION } from '../app/version.js';
import type { Context } from '../config/context.js';
import { readState } from '../history/read-state.js';
import { isDone, type MigrationState } from '../history/state.js';
import { ensureHistory } from '../history/tables.js';
import type { Migration } from '../migrations/files.js';
import { isNamed } from '../migrations/name.js';
import { LONGEST_ATTEMPT_MS, TableWaits } from '../migrator/give-way.js';
import { inDoubtHint } from '../migrator/in-doubt.js';
import { type Plan, plan } from '../migrator/plan.js';
import { requireWritable, withMigrationLock } from '../migrator/with-lock.js';
import { parseScript } from '../postgres/parser.js';
import { type Session, withSession } from '../postgres/session.js';
import { toKasmDbError } from '../postgres/sqlstate.js';
import { planRepair, type Repair, type RepairRequest } from './repair-plan.js';

export interface RepairOptions extends RepairRequest {
  lockTimeoutMs: number;
}

export interface RepairResult {
  state: MigrationState;
  repairs: Repair[];
  /** What else is wrong, each with the call that repairs it. */
  advice: string[];
  /** Migrations of a newer build, which have no file here. */
  unknown: string[];
}

/** Indexes of ours that CREATE INDEX CONCURRENTLY or REINDEX CONCURRENTLY left behind; not those being built, nor those that belong to a constraint. */
const INVALID_INDEXES_SQL = `SELECT format('%I.%I', n.nspname, c.relname) AS name, i.indrelid::regclass::text AS table
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT (i.indisvalid AND i.indisready) AND c.relkind = 'i' AND NOT c.relispartition AND n.nspname NOT LIKE 'pg\\_%'
  AND pg_has_role(c.relowner, 'USAGE') AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid)
  AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.datname = current_database() AND p.relid = i.indrelid)
ORDER BY 1`;

/** Says what a repair would change, and what else is wrong. Writes nothing. @throws KasmDbError */
export async function lookForRepairs(
  ctx: Context,
  migrations: Migration[],
  request: RepairRequest,
): Promise<RepairResult> {
  return withSession(ctx, 'looking for repairs', async (session) => {
    const state = await readState(session, { vendor: false });
    requireWritable(state, session.database);
    const repairs = await session.reading(() => planned(session, migrations, state, request));
    const found = plan(migrations, state, { appVersion: VERSION });
    return { state, repairs, advice: advice(found, state), unknown: found.unknown };
  });
}

/**
 * Makes the changes that were shown, in one transaction under the migration lock.
 * @param shown what lookForRepairs said
 * @throws KasmDbError integrity when the database has changed since
 */
export async function repair(
  ctx: Context,
  migrations: Migration[],
  options: RepairOptions,
  shown: readonly Repair[],
): Promise<void> {
  const { lockTimeoutMs: waitMs } = options;
  await withMigrationLock(ctx, { waitMs, vendor: false, doing: 'repairing' }, async (lock) => {
    const { session } = lock;
    const waits = new TableWaits(ctx, lock, waitMs);
    await waits
      .giveWay({
        what: 'repair',
        longestMs: LONGEST_ATTEMPT_MS,
        begin: (lockTimeoutMs) => lock.begin('write', { lockTimeoutMs }),
        work: async () => {
          for (const { lockSql, text } of shown) if (lockSql) await run(session, lockSql, text);
          const repairs = await planned(session, migrations, await lock.reread(), options);
          if (repairs.map(({ sql }) => sql).join('\n') !== shown.map(({ sql }) => sql).join('\n'))
            throw new KasmDbError(
              'integrity',
              'the database has changed since the repair was shown; nothing was done',
              { hint: 'run the same call again' },
            );
          await ensureHistory(session);
          for (const { sql, text } of repairs) await run(session, sql, text);
          await session.commit('repairing');
        },
        rollback: () => session.rollback(),
      })
      .finally(() => waits.end());
  });
}

/** @param text what is done, for the message */
async function run(session: Session, sql: string, text: string): Promise<void> {
  await session.script(sql).catch((error) => {
    throw toKasmDbError(error, text);
  });
}

async function planned(
  session: Session,
  migrations: Migration[],
  state: MigrationState,
  request: RepairRequest,
): Promise<Repair[]> {
  const { applied, pending, checksums } = request;
  const rows = new Map(state.history?.map((row) => [row.name, row]));
  const totals = new Map<string, number>();
  for (const { name, path, transaction, checksum, sql } of migrations) {
    const row = rows.get(name);
    const changed = checksums && row?.checksum !== checksum;
    const asked = isNamed(applied, name) || (row && (isNamed(pending, name) || changed));
    if (asked && !transaction) totals.set(name, (await parseScript(await sql(), path)).length);
  }
  const invalidIndexes = await session.query(INVALID_INDEXES_SQL);
  return planRepair(migrations, state, request, totals, invalidIndexes);
}

function advice({ problems }: Plan, state: MigrationState): string[] {
  const doubts = (state.history ?? []).filter((row) => row.durationMs === null && !isDone(row));
  return [
    ...problems.map(({ message, hint }) => `${message}; ${hint}`),
    ...doubts.map((row) => {
      const done = row.statementsDone ?? 0;
      return `${row.name}: a run died in statement ${done + 1} of ${row.statementsTotal}; if migrate can't tell whether it was completed, look at the database; ${inDoubtHint(row.name, done)}`;
    }),
  ];
}
