import { plural } from '../app/plural.js';
import { formatMs } from '../app/when.js';
import type { ConnectionSettings } from '../config/settings.js';
import type { MigrateResult } from '../migrator/migrate.js';
import type { Result } from '../output/result.js';
import { type Style, table } from '../output/terminal.js';
import { describeDatabase, unlessEmpty } from './database-info.js';

/** What of a run goes into the result. @param dryRun what is pending is told, too */
export function migrateFields(
  { plan, applied, state, waitedMs, holder, blockers, cancelled }: MigrateResult,
  settings: ConnectionSettings,
  { dryRun = false } = {},
): Partial<Result> {
  const waited = waitedMs > 0 || blockers.length > 0 || cancelled.length > 0;
  return {
    database: describeDatabase(settings, state),
    target: plan.target,
    current: applied.at(-1)?.name ?? plan.current,
    applied,
    pending: dryRun ? plan.pending.map(({ name }) => name) : undefined,
    unknown: unlessEmpty(plan.unknown),
    lock: waited
      ? { waitedMs: Math.round(waitedMs), holder, blockers: unlessEmpty(blockers), cancelled: unlessEmpty(cancelled) }
      : undefined,
  };
}

/** For people: what was applied. */
export function migrateText({ applied, plan }: MigrateResult, database: string, known: number, s: Style): string {
  if (applied.length === 0) {
    const ahead = plan.ahead ? `; it also has ${plan.unknown.join(', ')} from a newer kasm-db, which is fine` : '';
    return `${s.green('Nothing to do.')} Database ${database} is at ${plan.current ?? 'no migration'} (${plan.applied.length} of ${known} applied)${ahead}.`;
  }
  const total = applied.reduce((sum, { ms }) => sum + ms, 0);
  const rows = applied.map(({ name, ms }) => [name, formatMs(ms)]);
  const list = s.listed ? '' : `${table(['MIGRATION', 'TIME'], rows, s)}\n\n`;
  return `${list}${s.green(`Applied ${plural(applied.length, 'migration')}`)} to database ${database} in ${formatMs(total)}; it is now at ${applied.at(-1)?.name}.`;
}

/** For people: what would be. */
export function dryRunText({ plan }: MigrateResult, s: Style): string {
  if (plan.pending.length === 0)
    return `${s.green('Nothing to do.')} The database is at ${plan.current ?? 'no migration'}.`;
  return `Would apply, in this order:\n${plan.pending.map((m) => `  ${m.name}`).join('\n')}`;
}
