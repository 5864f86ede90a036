import { KasmDbError } from '../app/errors.js';

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
/** setTimeout's limit (2^31 - 1 ms, 24 days): a longer wait would fire at once. */
const MAX_MS = 2_147_483_647;

/**
 * Reads a duration such as `500ms`, `30s`, `10m` or `1h`.
 * @param setting how the user named it, for the error message
 * @returns milliseconds
 * @throws KasmDbError usage
 */
export function parseDuration(text: string, setting: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text.trim());
  const ms = match ? Number(match[1]) * (UNITS[match[2] as string] as number) : Number.NaN;
  if (!match || ms > MAX_MS) {
    throw new KasmDbError('usage', `${setting}: "${text}" is not a duration`, {
      hint: 'write it as 500ms, 30s, 10m or 1h (at most 24 days)',
    });
  }
  return Math.round(ms);
}

/** Of every command that takes the migration lock: how long it waits for another migrator, in milliseconds. @throws KasmDbError usage */
export function lockTimeout(text = '5m'): number {
  return parseDuration(text, '--lock-timeout');
}
