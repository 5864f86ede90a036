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

/** The same for people, and what to do about it. @param total migrations that this build has */
export function pendingTexts(total: number, state: MigrationState, planned: Plan): { text: string; hint: string } {
  const { run } = state;
  const count = `${planned.applied.length} of ${plural(total, 'migration')} ${planned.applied.length === 1 ? 'is' : 'are'} applied`;
  const by = run ? `${run.applicationName} (PID ${run.pid}) since ${localTime(run.startedAt)}` : '';
  const at = run?.current;
  const wait = 'wait until it is done; kasm-db status shows how far it is';
  switch (pendingState(state, planned)) {
    case 'no-history':
      return {
        text: 'there is no history yet: no migration was ever applied to this database',
        hint: 'run: kasm-db migrate (in a cluster: is the migration Job there?)',
      };
    case 'migrating': {
      const what = run?.rollback ? 'a rollback' : 'the migrator';
      return { text: `${what} is running: ${by}${at ? `, last at ${at}` : ''}; ${count}`, hint: wait };
    }
    case 'seeding':
      return { text: `${count}; the seed is being written: ${by}${at ? `, by ${at}` : ''}`, hint: wait };
    case 'died': {
      const again = isOnce(run) ? 'run the same kasm-db once again' : 'kasm-db migrate, which goes on where it stopped';
      return {
        text: `the migrator has died: ${by}${at ? `, last at ${at}` : ''}; ${count}`,
        hint: `its Job starts it again; by hand: ${again}`,
      };
    }
    case 'failed':
      return {
        text: `the last run failed${at ? ` at ${at}` : ''}: ${run?.error}; ${count}`,
        hint: isOnce(run)
          ? "correct the cause (the Job's log has what the program wrote), then run the same kasm-db once again"
          : "correct the cause (the Job's log has the whole error), then run: kasm-db migrate",
      };
    case 'not-seeded': {
      const why = run?.seedDigest
        ? 'but it was seeded by an older kasm-db, or from other documents'
        : 'but it is not seeded yet';
      return { text: `${count}, ${why}`, hint: 'run: kasm-db migrate --seed' };
    }
    case 'not-applied':
      return { text: `${count}, ${planned.pending[0]?.name} is next`, hint: 'run: kasm-db migrate' };
  }
}
