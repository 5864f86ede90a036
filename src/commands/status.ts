import { KasmDbError } from '../app/errors.js';
import type { LockHolder } from '../app/lock-holder.js';
import { sleep } from '../app/time.js';
import { VERSION } from '../app/version.js';
import { locksOfLastRun, readLocks } from '../history/locks.js';
import { readState } from '../history/read-state.js';
import { isAtWork, type RunRow } from '../history/state.js';
import { writesVendorVersion } from '../migrations/files.js';
import { plan } from '../migrator/plan.js';
import type { RunInfo } from '../output/result.js';
import { lockHolders } from '../postgres/lock.js';
import { withSession } from '../postgres/session.js';
import type { Answer, CommandContext } from './command.js';
import { metricsOf } from './status-metrics.js';
import { lockText, statusText } from './status-text.js';

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
  let answer: Answer | undefined;
  try {
    for (;;) {
      answer = await readStatus(ctx, options);
      show(answer.text);
      await sleep(WATCH_MS, ctx.signal);
    }
  } catch (error) {
    // That is how it ends, in a pause as in a look.
    if (!ctx.signal.aborted || !answer) throw error;
    return { ...answer, text: () => '' };
  }
}

async function readStatus(ctx: CommandContext, options: StatusOptions): Promise<Answer> {
  const migrations = await ctx.migrations();
  const { state, holder, recorded } = await withSession(ctx, 'asking', async (session) => {
    const state = await readState(session, { vendor: writesVendorVersion(migrations) });
    const [holder] = state.seesLocks ? await session.reading(() => lockHolders(session)) : [];
    return { state, holder, recorded: await readLocks(session) };
  });
  const locks = locksOfLastRun(recorded, state.history ?? [], state.run);
  const planned = plan(migrations, state, { appVersion: VERSION });
  const run = state.run ? runInfo(state.run, holder, state.seesLocks === true) : undefined;
  const changed = planned.problems.flatMap((p) => (p.kind === 'changed' && p.migration ? [p.migration] : []));
  const warnings = [...planned.problems.map((p) => p.message), ...planned.warnings];
  const metrics =
    options.format === 'prometheus'
      ? await metricsOf(ctx, { planned, changed, run }, options.drift === true)
      : undefined;
  return {
    state,
    fields: {
      target: planned.target,
      current: planned.current,
      applied: (state.history ?? [])
        .filter((row) => planned.applied.includes(row.name))
        .map(({ name, durationMs }) => ({ name, ms: durationMs ?? 0, locks: locks.get(name) })),
      pending: planned.pending.map((m) => m.name),
      unknown: planned.unknown,
      changed,
      lock: holder && { waitedMs: 0, holder },
      run,
      warnings,
    },
    verbatim: metrics !== undefined,
    text: (s) =>
      metrics ??
      statusText(
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
        options.pending === true,
        s,
      ),
  };
}

/**
 * A run whose phase says "at work" while nobody holds the lock has died; a standby doesn't show the primary's locks, and pg_locks may be revoked.
 */
function runInfo(run: RunRow, holder: LockHolder | undefined, seesLocks: boolean): RunInfo {
  return {
    phase: isAtWork(run) && holder === undefined && seesLocks ? 'died' : run.phase,
    rollback: run.rollback || undefined,
    startedAt: run.startedAt,
    by: `${run.applicationName} (PID ${run.pid}${run.clientAddr ? ` from ${run.clientAddr}` : ''})`,
    current: run.current || undefined,
    done: run.done,
    total: run.total,
    error: run.error || undefined,
  };
}
