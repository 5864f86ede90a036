import { prometheusText } from '../output/prometheus.js';
import type { CommandContext } from './command.js';
import type { Found } from './status-text.js';

/** For Prometheus. @param drift also what `verify` finds */
export async function metricsOf(
  ctx: CommandContext,
  { planned, changed, run }: Pick<Found, 'planned' | 'changed' | 'run'>,
  drift: boolean,
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
