import { KasmDbError } from '../app/errors.js';
import { describeHolder, type LockHolder } from '../app/lock-holder.js';
import { plural } from '../app/plural.js';
import { sleep } from '../app/time.js';
import { VERSION } from '../app/version.js';
import { ago, localTime } from '../app/when.js';
import { type LockInfo, readLocks } from '../history/locks.js';
import { readState } from '../history/read-state.js';
import { type HistoryEntry, isAtWork, isOnce, type MigrationState, type RunRow } from '../history/state.js';
import { writesVendorVersion } from '../migrations/files.js';
import { type Plan, plan } from '../migrator/plan.js';
import { sessionOptions } from '../migrator/with-lock.js';
import { prometheusText } from '../output/prometheus.js';
import type { RunInfo } from '../output/result.js';
import { printable, type Style, table } from '../output/terminal.js';
import { lockHolders } from '../postgres/lock.js';
import { withSession } from '../postgres/session.js';
import type { Answer, CommandContext } from './command.js';
import { describeDatabase } from './database-info.js';

export interface StatusOptions {
  /** For people: only what is pending. */
  pending?: boolean;
  /** text (default) or prometheus. */
  format?: string;
  /** With the format prometheus: also how many differences `verify` finds. */
  drift?: boolean;
  /** For people: look again every two seconds, until it is interrupted. */
  watch?: boolean;
}

const STATUS_FORMATS = ['text', 'prometheus'] as const;

/** Pause between two looks of --watch. */
const WATCH_MS = 2000;

/** What is applied, pending, unknown and changed, the run in progress or the last one, and who holds the lock. */
export async function statusCommand(ctx: CommandContext, options: StatusOptions = {}): Promise<Answer> {
  if (options.format !== undefined && !STATUS_FORMATS.some((known) => known === options.format))
    throw new KasmDbError('usage', `--format ${options.format} is not known`, {
      hint: `one of ${STATUS_FORMATS.join(', ')}`,
    });
  if (!options.watch) return readStatus(ctx, options);
  const { show } = ctx;
  if (!show)
    throw new KasmDbError('usage', '--watch is for people, --json gives one object', { hint: 'leave one of them out' });
  for (;;) {
    const answer = await readStatus(ctx, options);
    show(answer.text);
    try {
      await sleep(WATCH_MS, ctx.signal);
    } catch {
      return { ...answer, text: () => '' };
    }
  }
}

async function readStatus(ctx: CommandContext, options: StatusOptions): Promise<Answer> {
  const migrations = await ctx.migrations();
  const { state, holder, locks } = await withSession(
    ctx.resolve,
    { ...sessionOptions(ctx), doing: 'asking' },
    async (session) => {
      const state = await readState(session, { vendor: writesVendorVersion(migrations) });
      const [holder] = state.seesLocks ? await session.reading(() => lockHolders(session)) : [];
      return { state, holder, locks: await readLocks(session) };
    },
  );
  const planned = plan(migrations, state, { appVersion: VERSION });
  const run = state.run ? runInfo(state.run, holder, state.seesLocks === true) : undefined;
  const changed = planned.problems.flatMap((p) => (p.kind === 'changed' && p.migration ? [p.migration] : []));
  const warnings = [...planned.problems.map((p) => p.message), ...planned.warnings];
  const metrics =
    options.format === 'prometheus' ? await metricsOf(ctx, { planned, changed, run }, options) : undefined;
  return {
    fields: {
      database: describeDatabase(ctx.resolve(), state),
      ...(planned.target ? { target: planned.target } : {}),
      ...(planned.current ? { current: planned.current } : {}),
      applied: (state.history ?? [])
        .filter((row) => planned.applied.includes(row.name))
        .map(({ name, durationMs }) => ({
          name,
          ms: durationMs ?? 0,
          ...(locks.has(name) ? { locks: locks.get(name) } : {}),
        })),
      pending: planned.pending.map((m) => m.name),
      unknown: planned.unknown,
      changed,
      ...(holder ? { lock: { waitedMs: 0, holder } } : {}),
      ...(run ? { run } : {}),
      ...(warnings.length > 0 ? { warnings } : {}),
    },
    verbatim: metrics !== undefined,
    text: (s) =>
      metrics ??
      report(
        {
          planned,
          history: state.history ?? [],
          changed,
          run,
          locks,
          lock: lockText(state, holder),
          warnings,
          again: ctx.again,
        },
        options,
        s,
      ),
  };
}

async function metricsOf(
  ctx: CommandContext,
  { planned, changed, run }: Pick<Found, 'planned' | 'changed' | 'run'>,
  { drift = false }: StatusOptions,
): Promise<string> {
  const { dbname, hosts } = ctx.resolve();
  const verified = drift
    ? await (await import('../schema/verify.js')).verify(ctx, await ctx.migrations(), ctx.folder)
    : undefined;
  const began = run && Date.parse(run.startedAt) / 1000;
  const metric = (name: string, help: string, value: number | boolean | undefined) => ({
    name: `kasm_db_${name}`,
    help,
    value: value === undefined ? undefined : Number(value),
  });
  return prometheusText(
    [
      metric('migrations_applied', 'Migrations of this build that are applied.', planned.applied.length),
      metric('migrations_pending', 'Migrations that are not applied yet.', planned.pending.length),
      metric('migrations_unknown', 'Applied migrations that this build does not know.', planned.unknown.length),
      metric('migrations_changed', 'Applied migrations whose file has changed since.', changed.length),
      metric('ahead', 'The database is newer than this build (1) or not (0).', planned.ahead),
      metric('last_run_failed', 'The last run failed or died (1) or not (0).', run && /failed|died/.test(run.phase)),
      metric('last_run_timestamp_seconds', 'When the last run began, in seconds since 1970.', began),
      metric(
        'seconds_since_last_run',
        'Seconds since the last run began.',
        began === undefined ? undefined : Math.max(0, Math.round(Date.now() / 1000 - began)),
      ),
      metric(
        'drift',
        'Differences between the live catalog and what the migrations make.',
        verified?.differences.length,
      ),
    ],
    { database: dbname, host: hosts[0]?.host ?? '' },
  );
}

/**
 * A run whose phase says "at work" while nobody holds the lock has died; a standby doesn't show the primary's locks, and pg_locks may be revoked.
 */
function runInfo(run: RunRow, holder: LockHolder | undefined, seesLocks: boolean): RunInfo {
  const working = isAtWork(run);
  return {
    phase: working && holder === undefined && seesLocks ? 'died' : run.phase,
    ...(run.rollback ? { rollback: true } : {}),
    startedAt: run.startedAt,
    by: `${run.applicationName} (PID ${run.pid}${run.clientAddr ? ` from ${run.clientAddr}` : ''})`,
    ...(run.current ? { current: run.current } : {}),
    done: run.done,
    total: run.total,
    ...(run.error ? { error: run.error } : {}),
  };
}

function lockText({ seesLocks, standby }: MigrationState, holder: LockHolder | undefined): string {
  if (holder) return `held by ${describeHolder(holder)}`;
  if (seesLocks) return 'free';
  return standby ? "not known, a standby doesn't show it" : 'not known, this role may not read pg_locks';
}

interface Found extends Pick<CommandContext, 'again'> {
  planned: Plan;
  history: readonly HistoryEntry[];
  changed: string[];
  run: RunInfo | undefined;
  /** What the last run has locked, by migration. */
  locks: ReadonlyMap<string, readonly LockInfo[]>;
  lock: string;
  warnings: string[];
}

function report(found: Found, { pending = false }: StatusOptions, s: Style): string {
  const { planned, changed, run, locks, lock, warnings, again } = found;
  const rows = migrationRows(found).filter(([, state]) => !pending || state !== 'applied');
  const none = pending ? 'Nothing is pending.' : 'There are no migrations.';
  const parts = [
    rows.length > 0 ? table(['MIGRATION', 'STATE', 'APPLIED AT'], rows, s) : none,
    `${planned.applied.length} applied, ${planned.pending.length} pending, ${planned.unknown.length} unknown, ${changed.length} changed.`,
  ];
  if (run) parts.push(printable(describeRun(run)));
  parts.push(...[...locks].map(describeLocks).map(printable));
  if (run?.error) parts.push(s.red(printable(run.error)));
  parts.push(printable(`Migration lock: ${lock}.`));
  for (const warning of warnings) parts.push(`${s.yellow('warning:')} ${printable(warning)}`);
  // Where migrate would stop, what it would say.
  const [problem] = planned.problems;
  if (problem) parts.push(`Next: ${printable(again(problem.hint))}`);
  else if (planned.pending.length > 0) parts.push(again('Next: kasm-db migrate'));
  return parts.join('\n');
}

function migrationRows({ planned, history, changed }: Found): [name: string, state: string, appliedAt: string][] {
  const rows = new Map(history.map((row) => [row.name, row]));
  const names = [...planned.applied, ...planned.pending.map((m) => m.name), ...planned.unknown];
  return [...new Set(names)].sort().map((name) => {
    const row = rows.get(name);
    if (!row) return [name, 'pending', ''];
    const state = changed.includes(name)
      ? 'changed'
      : planned.unknown.includes(name)
        ? 'unknown (of a newer build)'
        : planned.applied.includes(name)
          ? 'applied'
          : `statement ${row.statementsDone} of ${row.statementsTotal}`;
    return [name, state, row.appliedAt ? localTime(row.appliedAt) : ''];
  });
}

/** No more tables of a migration than a person would read. */
const SHOWN_LOCKS = 5;

function describeLocks([migration, locks]: [string, readonly LockInfo[]]): string {
  const shown = locks.slice(0, SHOWN_LOCKS).map(({ relation, mode }) => `${relation} (${mode})`);
  const more = locks.length - shown.length;
  return `  ${migration} locked ${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** What goes on, or how the last run has ended. */
function describeRun({ phase, rollback, current, done, total, by, startedAt }: RunInfo): string {
  const once = isOnce({ current: current ?? null });
  const what = once ? current : rollback ? 'rollback' : phase === 'seed' ? 'seed' : 'migrate';
  const running = phase === 'migrate' || phase === 'seed';
  const progress =
    once || phase === 'seed' ? '' : `, ${done} of ${plural(total, 'migration')}${current ? `, at ${current}` : ''}`;
  const when = `${running ? 'since' : 'began at'} ${localTime(startedAt)} (${ago(startedAt, Date.now())})`;
  return running
    ? `Run in progress: ${what}${progress}; ${when}, by ${by}.`
    : `Last run: ${what} ${phase}${progress}; ${when}, by ${by}.`;
}
