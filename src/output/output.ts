import { messageOf } from '../app/errors.js';
import { writeFile } from '../app/write-file.js';
import type { Result } from './result.js';

/** The kubelet reads no more of a termination log. */
const TERMINATION_LOG_BYTES = 4096;

/**
 * Writes the result to the termination log, as JSON that stays valid when it has to be cut.
 * @returns a warning when the file cannot be written
 */
export function writeTerminationLog(path: string, result: Result): string | undefined {
  try {
    writeFile(path, fitJson(result, TERMINATION_LOG_BYTES));
    return undefined;
  } catch (error) {
    return `KASM_DB_TERMINATION_LOG: cannot write ${path} (${messageOf(error)})`;
  }
}

/** JSON of a result in at most `maxBytes`: the locks of what was applied go first, then lists, then long texts are cut. */
export function fitJson(result: Result, maxBytes: number): string {
  const fits = (json: string) => Buffer.byteLength(json) <= maxBytes;
  const whole = JSON.stringify(result);
  if (fits(whole)) return whole;
  const { applied, pending, unknown, changed, warnings, differences, accepted, ...short } = result;
  const withoutLocks = JSON.stringify({ ...result, applied: applied?.map(({ name, ms }) => ({ name, ms })) });
  if (fits(withoutLocks)) return withoutLocks;
  for (const max of [1000, 500, 250, 125, 62, 31]) {
    const cut = JSON.stringify(short, (_, value) =>
      typeof value === 'string' && value.length > max ? `${value.slice(0, max - 1)}…` : value,
    );
    if (fits(cut)) return cut;
  }
  const { command, outcome, exitCode, version, durationMs } = result;
  return JSON.stringify({ command, outcome, exitCode, version, durationMs });
}
