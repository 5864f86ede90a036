import { escapeIdentifier } from 'pg';
import { KasmDbError, RetoldError } from '../app/errors.js';
import type { Context } from '../config/context.js';
import type { Resolve } from '../config/settings.js';
import { readState } from '../history/read-state.js';
import { recordSql } from '../history/record.js';
import type { HistoryEntry, MigrationState } from '../history/state.js';
import { ADOPT_TABLES, ensureHistory } from '../history/tables.js';
import { type Migration, writesVendorVersion } from '../migrations/files.js';
import { type Applied, migrate } from '../migrator/migrate.js';
import type { Plan } from '../migrator/plan.js';
import { planFor } from '../migrator/plan-for.js';
import { type Session, withSession } from '../postgres/session.js';
import { toKasmDbError } from '../postgres/sqlstate.js';
import { acceptedSql, readAccepted } from '../schema/accepted.js';
import { capture } from '../schema/capture.js';
import type { Difference } from '../schema/diff.js';
import { introspect, readStrangers } from '../schema/introspect.js';
import type { Schema } from '../schema/model.js';
import { type Ownership, readOwnership } from '../schema/ownership.js';
import { readSnapshot } from '../schema/snapshot.js';
import { compare } from '../schema/verify.js';
import { type DatabaseForm, readForm, withTemporaryDatabase } from './temporary-database.js';

export interface RehearseOptions {
  /** Last migration to apply. */
  to?: string | undefined;
  /** Of the migrations, with their snapshot; undefined: those that ship with this build. */
  folder: string | undefined;
  /** A private server for the copy; undefined: the server of the database itself. */
  aside?: Resolve | undefined;
}

export interface Rehearsal {
  /** Of the database itself, which was only read. */
  state: MigrationState;
  plan: Plan<Migration>;
  applied: Applied[];
  /** Was the result held against the snapshot? */
  compared: boolean;
  differences: Difference[];
  /** What the copy lacks, and why the result was not compared. */
  warnings: string[];
}

/** Nobody else uses the copy. */
const LOCK_TIMEOUT_MS = 60_000;

/**
 * Applies what is pending to a copy of the schema, without rows, in a temporary database, and holds the result against the snapshot. The database itself
 * is only read.
 * @throws KasmDbError as `migrate` would; RetoldError where a migration fails
 */
export async function rehearse(ctx: Context, migrations: Migration[], options: RehearseOptions): Promise<Rehearsal> {
  const live = await readLive(ctx, migrations, options.to);
  const { state, plan } = live;
  if (plan.pending.length === 0) return { state, plan, applied: [], compared: false, differences: [], warnings: [] };
  const form = options.aside ? undefined : live.form;
  const where = options.aside ?? ctx.resolve;
  return withRoles(ctx, options.aside, live.roles, () =>
    withTemporaryDatabase(ctx, where, form, async (resolve) => {
      const copy: Context = { ...ctx, resolve, events: { migrationStarted: ctx.events.migrationStarted } };
      ctx.events.progress?.(`rehearsing in ${resolve().dbname}, a copy of the schema without rows`);
      const warnings = await makeCopy(copy, live);
      const applied = await applyToCopy(copy, migrations, plan, options.to);
      return { state, plan, applied, ...(await compareCopy(copy, plan, live, options, warnings)) };
    }),
  );
}

interface Live {
  state: MigrationState;
  plan: Plan<Migration>;
  schema: Schema;
  accepted: Difference[];
  ownership: Ownership;
  strangers: Schema['others'];
  form: DatabaseForm;
  roles: string[];
}

async function readLive(ctx: Context, migrations: Migration[], to: string | undefined): Promise<Live> {
  return withSession(ctx, 'reading the schema for a rehearsal', async (session) => {
    const state = await readState(session, { vendor: writesVendorVersion(migrations) });
    const plan = planFor(migrations, state, { to });
    const schema = await introspect(session);
    const rest = await session.reading(async () => ({
      accepted: await readAccepted(session),
      ownership: await readOwnership(session),
      strangers: await readStrangers(session),
      form: await readForm(session),
      roles: await namesOf(session, "SELECT rolname AS name FROM pg_roles WHERE rolname !~ '^pg_'"),
    }));
    return { state, plan, schema, ...rest };
  });
}

/** A private server has none of the roles that grants and migrations name: they are made for the time of the rehearsal. */
async function withRoles<T>(
  ctx: Context,
  aside: RehearseOptions['aside'],
  roles: readonly string[],
  work: () => Promise<T>,
): Promise<T> {
  if (!aside) return work();
  const there: Context = { ...ctx, resolve: aside };
  const here = (ctx: Context, doing: string, sql: (name: string) => string) =>
    withSession(ctx, doing, async (session) => {
      await session.begin('write');
      await session.script(missing.map((name) => `${sql(escapeIdentifier(name))};`).join('\n'));
      await session.commit(doing);
    });
  const known = await withSession(there, 'rehearsing', (session) =>
    session.reading(() => namesOf(session, 'SELECT rolname AS name FROM pg_roles')),
  );
  const missing = roles.filter((name) => !known.includes(name));
  if (missing.length === 0) return work();
  try {
    await here(there, 'making the roles of the rehearsal', (name) => `CREATE ROLE ${name}`);
    return await work();
  } finally {
    // After the signal too: nobody would know later that they are not the user's own.
    const lasting: Context = { ...there, signal: new AbortController().signal };
    await here(lasting, 'dropping the roles of the rehearsal', (name) => `DROP ROLE IF EXISTS ${name}`);
  }
}

/** @returns what the copy lacks */
async function makeCopy(ctx: Context, { schema, strangers, state, accepted }: Live): Promise<string[]> {
  return withSession(ctx, 'copying the schema', async (session) => {
    const possible = new Set(await session.reading(() => namesOf(session, CREATABLE_EXTENSIONS_SQL)));
    const extensions = schema.extensions.filter(({ name }) => possible.has(name));
    // What a stranger has made would belong to this role in the copy, and its functions run with this role's rights.
    const others = [...schema.others, ...strangers];
    const { sql, leftOut } = capture({ ...schema, extensions, others }, 'the database');
    await session.begin('migration');
    try {
      await session.script(`${session.forFile()}; ${sql}`);
      await session.script(session.forUs());
    } catch (error) {
      throw toKasmDbError(error, 'the schema could not be copied into the temporary database');
    }
    await ensureHistory(session, ADOPT_TABLES);
    const rows = [...(state.history ?? []).map(historySql), ...accepted.map(acceptedSql)];
    await session.commit('copying the history', rows.join(';\n') || undefined);
    return [
      ...schema.extensions
        .filter(({ name }) => !possible.has(name))
        .map(({ name }) => `the copy lacks extension ${name}, which this role or this server cannot make`),
      ...schema.others.map(({ kind, name }) => `the copy lacks ${kind} ${name}`),
      ...leftOut.map(({ object, needs }) => `the copy lacks ${object}, which needs ${needs}`),
    ];
  });
}

const CREATABLE_EXTENSIONS_SQL = `SELECT DISTINCT name FROM pg_available_extension_versions
WHERE NOT superuser OR trusted OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)`;

async function namesOf(session: Session, sql: string): Promise<string[]> {
  return (await session.query<{ name: string }>(sql)).map(({ name }) => name);
}

function historySql({ statementsDone: done, statementsTotal: total, ...row }: HistoryEntry): string {
  return recordSql({
    ...row,
    kind: row.kind === 'adopted' ? 'adopted' : 'sql',
    minCompatible: row.minCompatible ?? undefined,
    statements: done === null || total === null ? undefined : { done, total },
  });
}

async function applyToCopy(
  ctx: Context,
  migrations: Migration[],
  { pending }: Plan<Migration>,
  to: string | undefined,
): Promise<Applied[]> {
  try {
    return (await migrate(ctx, migrations, { to, lockTimeoutMs: LOCK_TIMEOUT_MS })).applied;
  } catch (error) {
    if (!(error instanceof KasmDbError)) throw error;
    const applied = 'fields' in error ? ((error.fields as { applied?: Applied[] }).applied ?? []) : [];
    // Nothing of it is applied to the database itself.
    throw new RetoldError(error, `in the rehearsal ${error.message}; the database itself was only read`, {
      pending: pending.map(({ name }) => name),
      rehearsal: { applied, compared: false },
    });
  }
}

async function compareCopy(
  ctx: Context,
  { pending }: Plan<Migration>,
  { state, accepted, ownership }: Live,
  { folder }: RehearseOptions,
  warnings: string[],
): Promise<Pick<Rehearsal, 'compared' | 'differences' | 'warnings'>> {
  // What comes late may be older than what is applied.
  const names = [...(state.history ?? []), ...pending].map(({ name }) => name);
  const newest = names.sort().at(-1);
  const snapshot = await readSnapshot(folder);
  if (snapshot === undefined || snapshot.migration !== newest) {
    const why = snapshot
      ? `the snapshot is of ${snapshot.migration}, not of ${newest}`
      : 'there is no schema.snapshot.json';
    return { compared: false, differences: [], warnings: [...warnings, `the result was not compared: ${why}`] };
  }
  const found = await withSession(ctx, 'comparing the copy', introspect);
  const { ours } = compare(found, snapshot.schema, { ownership, stored: accepted });
  return { compared: true, differences: ours, warnings };
}
