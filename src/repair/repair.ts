import type { Context } from '../app/context.js';
import { KasmDbError } from '../app/errors.js';
import { VERSION } from '../app/version.js';
import { ensureHistory } from '../history/history.js';
import { look } from '../history/look.js';
import type { Look } from '../history/state.js';
import type { Migration } from '../migrations/files.js';
import { begin, rollback } from '../migrator/execute.js';
import { doubtHint } from '../migrator/in-doubt.js';
import { DDL_LOCK_TIMEOUT_MS } from '../migrator/migrate.js';
import { plan } from '../migrator/plan.js';
import { requireWritable, untilLocked } from '../migrator/with-lock.js';
import type { Client } from '../postgres/client.js';
import { connect } from '../postgres/connect.js';
import { tryTransactionLock } from '../postgres/lock.js';
import type { LockHolder } from '../postgres/lock-holder.js';
import { parseScript } from '../postgres/parser.js';
import { cancellable, disconnect } from '../postgres/query.js';
import { toKasmDbError } from '../postgres/sqlstate.js';
import { planRepair, type Repair, type RepairRequest } from './repair-plan.js';

export interface RepairOptions extends RepairRequest {
  lockTimeoutMs: number;
}

export interface RepairResult {
  look: Look;
  repairs: Repair[];
  /** What else is wrong, each with the call that repairs it. */
  advice: string[];
}

/** Indexes that CREATE INDEX CONCURRENTLY or REINDEX CONCURRENTLY left behind; not those being built, nor those that belong to a constraint. */
const INVALID_INDEXES_SQL = `SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, i.indrelid::regclass::text AS table
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE NOT (i.indisvalid AND i.indisready) AND c.relkind = 'i' AND NOT c.relispartition AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = c.oid)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.datname = pg_catalog.current_database() AND p.relid = i.indrelid)
ORDER BY 1`;

/** Says what a repair would change, and what else is wrong. Writes nothing. @throws KasmDbError */
export async function lookForRepairs(
  ctx: Context,
  migrations: Migration[],
  request: RepairRequest,
): Promise<RepairResult> {
  const client = await connect(ctx.resolve, { signal: ctx.signal, onRetry: ctx.events.retryConnect });
  try {
    return await cancellable(client, ctx.signal, async () => {
      const state = await look(client, { vendor: false });
      requireWritable(state);
      const { repairs } = await planned(client, migrations, state, request);
      return { look: state, repairs, advice: advice(migrations, state) };
    });
  } finally {
    await disconnect(client);
  }
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
  await untilLocked(ctx, { lockTimeoutMs: options.lockTimeoutMs, doing: 'repairing' }, (client) =>
    cancellable(client, ctx.signal, () => attempt(ctx, client, migrations, options, shown)),
  );
}

async function attempt(
  ctx: Context,
  client: Client,
  migrations: Migration[],
  options: RepairOptions,
  shown: readonly Repair[],
): Promise<object | { busy: LockHolder | undefined }> {
  await begin(client, {
    lockTimeoutMs: DDL_LOCK_TIMEOUT_MS,
    role: ctx.resolve().role,
    serverVersion: client.announcedVersion ?? 0,
  });
  try {
    const lock = await tryTransactionLock(client);
    if (!lock.locked) {
      await rollback(client);
      return { busy: lock.holder };
    }
    const state = await look(client, { vendor: false });
    const { repairs } = await planned(client, migrations, state, options);
    if (repairs.map(({ sql }) => sql).join('\n') !== shown.map(({ sql }) => sql).join('\n')) {
      throw new KasmDbError('integrity', 'the database has changed since the repair was shown; nothing was done', {
        hint: 'run the same call again',
      });
    }
    await ensureHistory(client);
    for (const { sql, text } of repairs) {
      await client.query(sql).catch((error) => {
        throw toKasmDbError(error, text);
      });
    }
    await client.query('COMMIT');
    return {};
  } catch (error) {
    await rollback(client);
    throw error;
  }
}

async function planned(client: Client, migrations: Migration[], state: Look, request: RepairRequest) {
  const rows = new Map((state.history ?? []).map((row) => [row.name, row]));
  const counted = migrations.filter(
    (migration) => !migration.transaction && (rows.has(migration.name) || migration.name === request.applied),
  );
  const totals = new Map<string, number>();
  for (const migration of counted) {
    const asked = [request.applied, request.pending].includes(migration.name);
    const changed = request.checksums && rows.get(migration.name)?.checksum !== migration.checksum;
    if (asked || changed) totals.set(migration.name, (await parseScript(await migration.sql(), migration.path)).length);
  }
  const { rows: invalidIndexes } = await client.query(INVALID_INDEXES_SQL);
  return { repairs: planRepair(migrations, state, request, { totals, invalidIndexes, appVersion: VERSION }) };
}

function advice(migrations: Migration[], state: Look): string[] {
  const problems = plan(migrations, state, { appVersion: VERSION }).problems;
  const doubts = (state.history ?? []).filter(
    (row) => row.durationMs === null && row.statementsTotal !== null && row.statementsDone !== row.statementsTotal,
  );
  return [
    ...problems.map(({ message, hint }) => `${message}; ${hint}`),
    ...doubts.map((row) => {
      const done = row.statementsDone ?? 0;
      return `${row.name}: a run died in statement ${done + 1} of ${row.statementsTotal}; if migrate can't tell whether it was completed, look at the database; ${doubtHint(row.name, done)}`;
    }),
  ];
}
