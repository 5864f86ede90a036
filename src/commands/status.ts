import { describeHolder, type LockHolder } from '../app/lock-holder.js';
import { VERSION } from '../app/version.js';
import { readState } from '../history/read-state.js';
import type { HistoryEntry, RunRow } from '../history/state.js';
import { writesVendorVersion } from '../migrations/files.js';
import { type Plan, plan } from '../migrator/plan.js';
import { sessionOptions } from '../migrator/with-lock.js';
import type { RunInfo } from '../output/result.js';
import { printable, type Style, table } from '../output/terminal.js';
import { lockHolders } from '../postgres/lock.js';
import { withSession } from '../postgres/session.js';
import { type Answer, type CommandContext, describeDatabase } from './command.js';

/** What is applied, pending, unknown and changed, the run in progress or the last one, and who holds the lock. */
export async function statusCommand(ctx: CommandContext): Promise<Answer> {
  const migrations = await ctx.migrations();
  const { state, holder } = await withSession(
    ctx.resolve,
    { ...sessionOptions(ctx), doing: 'asking' },
    async (session) => {
      const state = await readState(session, { vendor: writesVendorVersion(migrations) });
      const [holder] = state.standby ? [] : await session.reading(() => lockHolders(session));
      return { state, holder };
    },
  );
  const planned = plan(migrations, state, { appVersion: VERSION });
  const run = state.run ? runInfo(state.run, holder, state.standby) : undefined;
  const changed = planned.problems.flatMap((p) => (p.kind === 'changed' && p.migration ? [p.migration] : []));
  const warnings = [...planned.problems.map((p) => p.message), ...planned.warnings];
  return {
    fields: {
      database: describeDatabase(ctx.resolve(), state),
      ...(planned.target ? { target: planned.target } : {}),
      ...(planned.current ? { current: planned.current } : {}),
      applied: (state.history ?? [])
        .filter((row) => planned.applied.includes(row.name))
        .map((row) => ({ name: row.name, ms: row.durationMs ?? 0 })),
      pending: planned.pending.map((m) => m.name),
      unknown: planned.unknown,
      changed,
      ...(holder ? { lock: { waitedMs: 0, holder } } : {}),
      ...(run ? { run } : {}),
      ...(warnings.length > 0 ? { warnings } : {}),
    },
    text: (s) => report(planned, state.history ?? [], { changed, run, holder, warnings, again: ctx.again }, s),
  };
}

/** A run whose phase says "at work" while nobody holds the lock has died; a standby doesn't show the primary's locks. */
function runInfo(run: RunRow, holder: LockHolder | undefined, standby: boolean): RunInfo {
  const working = run.phase === 'migrate' || run.phase === 'seed';
  return {
    phase: working && holder === undefined && !standby ? 'died' : run.phase,
    startedAt: run.startedAt,
    by: `${run.applicationName} (PID ${run.pid}${run.clientAddr ? ` from ${run.clientAddr}` : ''})`,
    ...(run.current ? { current: run.current } : {}),
    done: run.done,
    total: run.total,
    ...(run.error ? { error: run.error } : {}),
  };
}

interface Told extends Pick<CommandContext, 'again'> {
  changed: string[];
  run: RunInfo | undefined;
  holder: LockHolder | undefined;
  warnings: string[];
}

function report(
  planned: Plan,
  history: readonly HistoryEntry[],
  { changed, run, holder, warnings, again }: Told,
  s: Style,
): string {
  const rows = new Map(history.map((row) => [row.name, row]));
  const lines = [...new Set([...planned.applied, ...planned.pending.map((m) => m.name), ...planned.unknown])]
    .sort()
    .map((name) => {
      const row = rows.get(name);
      if (!row) return [name, 'pending', ''];
      const state = changed.includes(name)
        ? 'changed'
        : planned.unknown.includes(name)
          ? 'unknown (of a newer build)'
          : planned.applied.includes(name)
            ? 'applied'
            : `statement ${row.statementsDone} of ${row.statementsTotal}`;
      return [name, state, row.appliedAt ?? ''];
    });
  const parts = [lines.length > 0 ? table(['MIGRATION', 'STATE', 'APPLIED AT'], lines, s) : 'No migrations.'];
  parts.push(
    `${planned.applied.length} applied, ${planned.pending.length} pending, ${planned.unknown.length} unknown, ${changed.length} changed.`,
  );
  if (run) {
    const at = run.current ? ` (${run.current})` : '';
    parts.push(
      printable(`Last run: ${run.phase}, ${run.done} of ${run.total}${at}, by ${run.by} at ${run.startedAt}.`),
    );
    if (run.error) parts.push(s.red(printable(run.error)));
  }
  parts.push(printable(holder ? `Migration lock: held by ${describeHolder(holder)}.` : 'Migration lock: free.'));
  for (const warning of warnings) parts.push(`${s.yellow('warning:')} ${printable(warning)}`);
  // Where migrate would stop, what it would say.
  const [problem] = planned.problems;
  if (problem) parts.push(`Next: ${printable(again(problem.hint))}`);
  else if (planned.pending.length > 0) parts.push(again('Next: kasm-db migrate'));
  return parts.join('\n');
}
