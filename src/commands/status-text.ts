import { describeHolder, type LockHolder } from '../app/lock-holder.js';
import { plural } from '../app/plural.js';
import { ago, localTime } from '../app/when.js';
import type { LockInfo } from '../history/locks.js';
import { type HistoryEntry, isOnce, type MigrationState } from '../history/state.js';
import type { Plan } from '../migrator/plan.js';
import type { RunInfo } from '../output/result.js';
import { printable, type Style, table } from '../output/terminal.js';
import type { CommandContext } from './command.js';

/** Who has the migration lock, for people. */
export function lockText({ seesLocks, standby }: MigrationState, holder: LockHolder | undefined): string {
  if (holder) return `held by ${describeHolder(holder)}`;
  if (seesLocks) return 'free';
  return standby ? "not known, a standby doesn't show it" : 'not known, this role may not read pg_locks';
}

/** What was found. */
export interface Found extends Pick<CommandContext, 'again'> {
  planned: Plan;
  history: readonly HistoryEntry[];
  changed: string[];
  run: RunInfo | undefined;
  /** What the last run has locked, by migration. */
  locks: ReadonlyMap<string, readonly LockInfo[]>;
  lock: string;
  warnings: string[];
}

/** For people. @param pending only what is not applied yet */
export function statusText(found: Found, pending: boolean, s: Style): string {
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
