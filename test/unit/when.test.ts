import { expect, it } from 'vitest';
import { plural } from '../../src/app/plural.js';
import { ago, localTime } from '../../src/app/when.js';

const NOW = Date.parse('2026-03-01T12:00:00Z');

it.each([
  ['2026-03-01T12:00:03Z', 'just now'],
  ['2026-03-01T11:59:59.500Z', 'just now'],
  ['2026-03-01T11:59:18Z', '42 s ago'],
  ['2026-03-01T11:58:00Z', '2 min ago'],
  ['2026-03-01T09:30:00Z', '2 h ago'],
  ['2026-02-28T11:00:00Z', '1 day ago'],
  ['2026-02-01T12:00:00Z', '28 days ago'],
])('%s was %s', (iso, text) => {
  expect(ago(iso, NOW)).toBe(text);
});

it('a time is local, in whole seconds; what is no time stays as it is', () => {
  const time = new Date(2026, 2, 1, 4, 5, 9, 987);
  expect(localTime(time.toISOString())).toBe('2026-03-01 04:05:09');
  expect(localTime('infinity')).toBe('infinity');
});

it('one is not many', () => {
  expect([plural(1, 'row'), plural(0, 'row'), plural(2, 'index', 'indexes')]).toEqual(['1 row', '0 rows', '2 indexes']);
});
