import type { RunRow } from '../history/state.js';
import type { LockHolder } from '../postgres/lock-holder.js';

/** Who waits comes back when it has waited so long in all: each try takes some 20 ms of a core from the holder, and many may wait. */
const FIRST_MS = 400;
/** Later it comes back when it has waited a third longer, so it comes late by at most that. */
const GROWTH = 1 / 3;
const LEAST_MS = 60;
const MOST_MS = 2000;

/** What those who wait for the migration lock have seen of the run that has it. */
export class HolderWatch {
  #run: RunRow | undefined;

  /** @returns has the run got on since the last look? Then it holds the lock, and trying for it is needless. */
  sees(run: RunRow | undefined): boolean {
    const last = this.#run;
    this.#run = run?.phase === 'migrate' ? run : undefined;
    return this.#run !== undefined && this.#run.runId === last?.runId && this.#run.done > last.done;
  }

  /** As far as the run row tells. */
  holder(): LockHolder | undefined {
    if (!this.#run) return undefined;
    const { pid, applicationName, clientAddr } = this.#run;
    return { pid, applicationName, clientAddr, connectedSeconds: null };
  }

  /**
   * The pause before the next try, at most until the run should be done at its pace so far.
   * @param waitedMs in all, in milliseconds
   * @returns milliseconds, without jitter
   */
  pause(waitedMs: number): number {
    // Of two that came together one started later; the age of a run that has just begun is the same for both.
    const { ageMs = FIRST_MS } = this.#run ?? {};
    const first = FIRST_MS - (ageMs < FIRST_MS ? Math.max(waitedMs, ageMs) : waitedMs);
    const grown = Math.min(Math.max(first, waitedMs * GROWTH), MOST_MS);
    return Math.max(Math.min(grown, this.#leftMs()), LEAST_MS);
  }

  #leftMs(): number {
    const { ageMs, done = 0, total = 0 } = this.#run ?? {};
    return ageMs === undefined || done === 0 ? Number.POSITIVE_INFINITY : (ageMs / done) * (total - done);
  }
}
