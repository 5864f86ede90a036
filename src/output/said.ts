import { withoutSecrets } from '../app/secrets.js';
import type { Result } from './result.js';

/** Fields of a result whose text may come from a server, a file or another program. */
const SAID = new Set([
  'message',
  'hint',
  'detail',
  'context',
  'statement',
  'text',
  'fix',
  'error',
  'by',
  'applicationName',
  'warnings',
]);

/** A result without fields that do not apply (undefined), and in which no secret of ours stands, whoever repeated it. */
export function saidWithoutSecrets(result: Result): Result {
  return walk(result, false) as Result;
}

function walk(value: unknown, said: boolean): unknown {
  if (typeof value === 'string') return said ? withoutSecrets(value) : value;
  if (Array.isArray(value)) return value.map((item) => walk(item, said));
  if (value === null || typeof value !== 'object') return value;
  const there = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(there.map(([key, item]) => [key, walk(item, SAID.has(key))]));
}
