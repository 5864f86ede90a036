import { readFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';

/**
 * How long something may take on this machine that takes at most `ms` where nobody else keeps the processors busy; with a load of
 * 10 on two of them, seven times as long. For what is promised in seconds; whatever else is waited for is waited for by its state.
 */
export function busy(ms: number): number {
  const [lastMinute = 0] = loadavg();
  const load = Math.max(lastMinute, runningNow());
  return Math.round(ms * Math.min(10, Math.max(1, (1.5 * load) / availableParallelism())));
}

/** How many processes run or want to: the average of a minute does not know yet what has just begun (Linux). */
function runningNow(): number {
  try {
    return Number.parseInt(readFileSync('/proc/loadavg', 'utf8').split(' ')[3] ?? '', 10) || 0;
  } catch {
    return 0;
  }
}

/**
 * Runs with a short --connect-timeout, and again with a longer one while a busy machine has not even answered within it.
 * @param said what a run has said
 */
export async function withEnoughTime<T>(
  run: (connectTimeout: string) => Promise<T>,
  said: (of: T) => string,
): Promise<T> {
  let result = await run('500ms');
  for (const longer of ['3s', '15s', '60s']) {
    if (!/did not answer (in time|within)/.test(said(result))) break;
    result = await run(longer);
  }
  return result;
}
