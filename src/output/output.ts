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
  const fits = (value: object) => Buffer.byteLength(JSON.stringify(value)) <= maxBytes;
  if (fits(result)) return JSON.stringify(result);
  const withoutLocks = { ...result, applied: result.applied?.map(({ name, ms }) => ({ name, ms })) };
  if (fits(withoutLocks)) return JSON.stringify(withoutLocks);
  const {
    applied: _a,
    pending: _p,
    unknown: _u,
    changed: _c,
    warnings: _w,
    differences: _d,
    accepted: _e,
    ...short
  } = result;
  for (let max = 1000; max >= 20; max = Math.floor(max / 2)) {
    const cut = cutTexts(short, max) as object;
    if (fits(cut)) return JSON.stringify(cut);
  }
  const { command, outcome, exitCode, version, durationMs } = result;
  return JSON.stringify({ command, outcome, exitCode, version, durationMs });
}

function cutTexts(value: unknown, max: number): unknown {
  if (typeof value === 'string') return value.length > max ? `${value.slice(0, max - 1)}…` : value;
  if (Array.isArray(value)) return value.map((item) => cutTexts(item, max));
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, cutTexts(item, max)]));
  }
  return value;
}
