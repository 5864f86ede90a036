import { plural } from '../app/plural.js';
import { localTime } from '../app/when.js';
import { isAtWork, isOnce, type MigrationState } from '../history/state.js';
import type { Plan } from '../migrator/plan.js';

/** What a gate may be waiting for while the database answers. */
export type PendingState = 'no-history' | 'not-applied' | 'migrating' | 'seeding' | 'died' | 'failed' | 'not-seeded';

/** Pure; one place decides what is going on, the texts follow. */
export function pendingState({ history, run, lockHeld }: MigrationState, planned: Plan): PendingState {
  if (history === undefined) return 'no-history';
  if (run?.phase === 'failed') return 'failed';
  if (run && isAtWork(run)) {
    // A standby doesn't show the primary's locks; there, and where nobody looked, the run row is believed.
    if (lockHeld === false) return 'died';
    return run.phase === 'seed' ? 'seeding' : 'migrating';
  }
  return planned.pending.length > 0 ? 'not-applied' : 'not-seeded';
}

/** The same for people. @param total migrations that this build has */
export function pendingText(total: number, state: MigrationState, planned: Plan): string {
  const { run } = state;
  const count = `${planned.applied.length} of ${plural(total, 'migration')} ${planned.applied.length === 1 ? 'is' : 'are'} applied`;
  const next = planned.pending[0]?.name;
  const by = run ? `${run.applicationName} (PID ${run.pid}) since ${localTime(run.startedAt)}` : '';
  const at = run?.current;
  switch (pendingState(state, planned)) {
    case 'no-history':
      return 'there is no history yet: no migration was ever applied to this database';
    case 'migrating':
      return `${run?.rollback ? 'a rollback' : 'the migrator'} is running: ${by}${at ? `, last at ${at}` : ''}; ${count}`;
    case 'seeding':
      return `${count}; the seed is being written: ${by}${at ? `, by ${at}` : ''}`;
    case 'died':
      return `the migrator has died: ${by}${at ? `, last at ${at}` : ''}; ${count}`;
    case 'failed':
      return `the last run failed${at ? ` at ${at}` : ''}: ${run?.error}; ${count}`;
    case 'not-seeded':
      return run?.seedDigest
        ? `${count}, but it was seeded by an older kasm-db, or from other documents`
        : `${count}, but it is not seeded yet`;
    default:
      return `${count}, ${next} is next`;
  }
}

/** What to do about it. */
export function pendingHint(state: MigrationState, planned: Plan): string {
  switch (pendingState(state, planned)) {
    case 'migrating':
    case 'seeding':
      return 'wait until it is done; kasm-db status shows how far it is';
    case 'died':
      if (isOnce(state.run)) return 'its Job starts it again; by hand: run the same kasm-db once again';
      return 'its Job starts it again; by hand: kasm-db migrate, which goes on where it stopped';
    case 'failed':
      if (isOnce(state.run))
        return "correct the cause (the Job's log has what the program wrote), then run the same kasm-db once again";
      return "correct the cause (the Job's log has the whole error), then run: kasm-db migrate";
    case 'not-seeded':
      return 'run: kasm-db migrate --seed';
    case 'no-history':
      return 'run: kasm-db migrate (in a cluster: is the migration Job there?)';
    default:
      return 'run: kasm-db migrate';
  }
}
