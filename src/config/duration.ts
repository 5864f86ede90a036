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

/** Milliseconds for people: `850 ms`, `3.2 s`, `4 min 10 s`, `2 h 5 min`, `3 days 1 h`. */
export function formatMs(ms: number): string {
  if (Math.round(ms) < 1000) return `${Math.round(ms)} ms`;
  if (Math.round(ms / 100) < 600) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  const minutes = Math.round(seconds / 60);
  const hours = Math.round(minutes / 60);
  if (minutes < 60) return pair([Math.floor(seconds / 60), 'min'], [seconds % 60, 's']);
  if (hours < 48) return pair([Math.floor(minutes / 60), 'h'], [minutes % 60, 'min']);
  return pair([Math.floor(hours / 24), 'days'], [hours % 24, 'h']);
}

function pair([whole, unit]: [number, string], [rest, smaller]: [number, string]): string {
  return rest === 0 ? `${whole} ${unit}` : `${whole} ${unit} ${rest} ${smaller}`;
}

/** Of every command that takes the migration lock: how long it waits for another migrator, in milliseconds. @throws KasmDbError usage */
export function lockTimeout(text = '5m'): number {
  return parseDuration(text, '--lock-timeout');
}
