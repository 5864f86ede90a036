import type { Difference } from './diff.js';
import type { Grant } from './model.js';

/** Where the property's name alone is no English. */
const NAMES: Record<string, string> = {
  partitionKey: 'the partition key',
  partitionBound: 'what the partition holds',
  rowSecurity: 'row security',
  replicaIdentity: 'the replica identity',
  ownedBy: 'its owner, a column,',
  min: 'the smallest value',
  max: 'the largest value',
  start: 'the first value',
  subtypeOpclass: 'the operator class',
  subtypeDiff: 'the difference function',
  canonical: 'the canonical function',
  using: 'its USING expression',
  check: 'its CHECK expression',
  foreign_key: 'its foreign key',
  version_num: 'the version',
  base: 'the base type',
  always: 'GENERATED ALWAYS',
  labels: 'its list of values',
  attributes: 'its list of attributes',
  columns: 'its list of columns',
  options: 'its list of options',
  inherits: 'its list of parents',
  roles: 'its list of roles',
};

/** What is or is not: true, or left out. */
const FLAGS: Record<string, readonly [is: string, isNot: string]> = {
  notNull: ['must have a value now (NOT NULL)', 'may now be NULL'],
  required: [
    'must have a value now (NOT NULL, without a default)',
    'needs no value now (it may be NULL, or has a default)',
  ],
  valid: ['is valid now', 'is invalid: its CREATE INDEX CONCURRENTLY has failed, and nobody uses it'],
  unlogged: ['is UNLOGGED now: a crash empties it', 'is no longer UNLOGGED'],
  permissive: ['is permissive now', 'is restrictive now'],
  cycle: ['begins again at its end now (CYCLE)', 'no longer begins again at its end (NO CYCLE)'],
  empty: ['was never filled (WITH NO DATA)', 'is filled'],
  disabled: ['is not enforced: its triggers are disabled', 'is enforced now'],
  notNullNoInherit: ['must have a value here only now (NOT NULL NO INHERIT)', 'must have a value in its heirs too now'],
  notNullUnchecked: ['must have a value in new rows only (NOT NULL NOT VALID)', 'must have a value in every row now'],
};

/**
 * A change of one property as a sentence without its end. Pure.
 * @param name what has changed, such as `column zone_name`
 */
export function changeWords(name: string, { property = '', expected, actual }: Difference): string {
  const flag = FLAGS[property];
  if (flag) return `${name} ${flag[actual === 'true' ? 0 : 1]}`;
  if (property === 'grants') return `${name}: ${grantWords(actual)}, expected is: ${grantWords(expected)}`;
  if (property === 'identity') return identityWords(name, expected, actual);
  const what = NAMES[property] ?? property;
  if (actual === undefined) return `${name}: ${what} is missing, expected is ${plain(expected)}`;
  if (expected === undefined) return `${name}: ${what} is ${plain(actual)}, expected is none`;
  return `${name}: ${what} is ${plain(actual)}, not ${plain(expected)}`;
}

function identityWords(name: string, expected: string | undefined, actual: string | undefined): string {
  if (actual === undefined) return `${name} is no longer an identity column`;
  if (expected === undefined) return `${name} is an identity column now`;
  const [before, now] = [flat(JSON.parse(expected)), flat(JSON.parse(actual))];
  const changed = Object.keys({ ...before, ...now }).filter((key) => before[key] !== now[key]);
  return `${name}: its identity differs: ${changed.map((key) => `${NAMES[key] ?? key} is ${now[key] ?? 'none'}, not ${before[key] ?? 'none'}`).join('; ')}`;
}

function flat({ sequence, ...own }: { sequence?: object }): Record<string, string> {
  const all = { ...sequence, ...own };
  return Object.fromEntries(Object.entries(all).map(([key, value]) => [key, plain(JSON.stringify(value))]));
}

/** `reader may SELECT, UPDATE; PUBLIC may do all`. */
function grantWords(json: string | undefined): string {
  if (json === undefined) return 'nothing is granted';
  const grants = JSON.parse(json) as Grant[];
  if (grants.length === 0) return 'nobody may do anything';
  return grants
    .map(({ grantee, privileges, grantable }) => {
      const what = privileges.join() === 'ALL' ? 'do all' : privileges.join(', ') || 'do nothing';
      return `${grantee === 'OWNER' ? 'the owner' : grantee} may ${what}${grantable ? ' and grant it' : ''}`;
    })
    .join('; ');
}

/** A list or a record without the signs of JSON; on one line. */
function plain(text: string | undefined): string {
  if (text === undefined) return 'none';
  let value: unknown = text;
  try {
    if (/^[[{"]/.test(text)) value = JSON.parse(text);
  } catch {
    // It only looks like JSON.
  }
  return words(value).replace(/\s+/g, ' ');
}

function words(value: unknown): string {
  if (Array.isArray(value)) return value.map(words).join(', ') || 'none';
  if (value !== null && typeof value === 'object') return Object.values(value).map(words).join(' ');
  return String(value);
}
