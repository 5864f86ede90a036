import { expect, it } from 'vitest';
import { changeWords } from '../../src/schema/difference-words.js';

const sequence = { type: 'bigint', start: '1', increment: '1', min: '1', max: '9', cache: '1' };

it.each([
  ['notNull', 'true', 'false', 'column zone_name may now be NULL'],
  ['notNull', 'false', 'true', 'column zone_name must have a value now (NOT NULL)'],
  ['type', 'uuid', 'text', 'column zone_name: type is text, not uuid'],
  ['default', 'now()', undefined, 'column zone_name: default is missing, expected is now()'],
  ['default', undefined, "'a'", "column zone_name: default is 'a', expected is none"],
  ['identity', '{"always":true}', undefined, 'column zone_name is no longer an identity column'],
  [
    'identity',
    JSON.stringify({ always: true, sequence }),
    JSON.stringify({ always: false, sequence: { ...sequence, start: '5' } }),
    'column zone_name: its identity differs: the first value is 5, not 1; GENERATED ALWAYS is false, not true',
  ],
  [
    'grants',
    undefined,
    '[{"grantee":"reader","privileges":["SELECT","UPDATE"]},{"grantee":"PUBLIC","privileges":["ALL"],"grantable":true}]',
    'column zone_name: reader may SELECT, UPDATE; PUBLIC may do all and grant it, expected is: nothing is granted',
  ],
  ['labels', '["a","b"]', '["a","b","c d"]', 'column zone_name: its list of values is a, b, c d, not a, b'],
  ['definition', 'SELECT\n  1', 'SELECT\n  2', 'column zone_name: definition is SELECT 2, not SELECT 1'],
  [
    'valid',
    'true',
    'false',
    'column zone_name is invalid: its CREATE INDEX CONCURRENTLY has failed, and nobody uses it',
  ],
  ['unlogged', undefined, 'true', 'column zone_name is UNLOGGED now: a crash empties it'],
  ['rowSecurity', undefined, 'forced', 'column zone_name: row security is forced, expected is none'],
  ['default', "'[1]'::jsonb", '[not json', "column zone_name: default is [not json, not '[1]'::jsonb"],
])('a change of %s from %s to %s, in words', (property, expected, actual, text) => {
  const difference = {
    change: 'changed' as const,
    object: 'column public.zones.zone_name',
    group: 'public.zones',
    property,
    ...(expected === undefined ? {} : { expected }),
    ...(actual === undefined ? {} : { actual }),
  };
  expect(changeWords('column zone_name', difference)).toBe(text);
});
