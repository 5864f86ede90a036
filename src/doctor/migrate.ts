import { plural } from '../app/plural.js';
import { VERSION } from '../app/version.js';
import type { MigrationState } from '../history/state.js';
import type { Migration } from '../migrations/files.js';
import { type Plan, plan } from '../migrator/plan.js';
import { planFor, requireApplicable } from '../migrator/plan-for.js';
import type { Report } from './report.js';

/** What `migrate` would find: the same plan, and the same reasons not to begin. @returns undefined where it would stop */
export async function checkMigrations(
  report: Report,
  migrations: Migration[],
  state: MigrationState,
): Promise<Plan<Migration> | undefined> {
  const recorded = state.history?.length ?? 0;
  report.ok(
    'history',
    recorded > 0 ? `${plural(recorded, 'migration is', 'migrations are')} recorded` : 'there is no history yet',
  );
  try {
    const planned = planFor(migrations, state);
    await requireApplicable(planned.pending, state);
    report.ok('migrations', describe(planned, migrations.length));
    for (const warning of planned.warnings) report.warning('migrations', warning);
    return planned;
  } catch (error) {
    const { problems } = plan(migrations, state, { appVersion: VERSION });
    if (problems.length === 0) report.fail('migrations', error);
    for (const { message, hint } of problems) report.failed('migrations', 'integrity', message, hint);
    return undefined;
  }
}

function describe({ pending, ahead, unknown }: Plan<Migration>, known: number): string {
  if (pending.length > 0)
    return `${pending.length} of ${plural(known, 'migration')} ${pending.length === 1 ? 'is' : 'are'} pending; migrate would apply ${pending.length === 1 ? 'it' : 'them'}`;
  if (ahead)
    return `the database is newer than this build (it has ${unknown.join(', ')}), and this build works with it`;
  return known === 1 ? 'the only migration is applied' : `all ${known} migrations are applied`;
}
