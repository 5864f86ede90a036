import { expect, it } from 'vitest';
import { locksOfLastRun } from '../../src/history/locks.js';
import type { HistoryEntry, RunRow } from '../../src/history/state.js';

const at = (minute: number) => `2030-01-01T00:0${minute}:00.000Z`;
const row = (name: string, minute: number) => ({ name, kind: 'sql', appliedAt: at(minute) }) as HistoryEntry;
const run = (minute: number, more: Partial<RunRow> = {}) =>
  ({ startedAt: at(minute), current: null, rollback: false, ...more }) as RunRow;
const LOCKS = new Map([['0002', [{ relation: 'public.t', mode: 'ACCESS EXCLUSIVE' }]]]);

it.each([
  ['of the last run', [row('0001', 1), row('0002', 3)], run(2), true],
  ['a seed or a program came after it', [row('0002', 1)], run(2), true],
  ['a program is at work', [row('0002', 1)], run(2, { current: 'once kasm-seed' }), true],
  ['another run has applied something since', [row('0002', 1), row('0003', 3)], run(2), false],
  ['another run is at work, or has failed', [row('0002', 1)], run(2, { current: '0003' }), false],
  ['another run has undone something', [row('0002', 1)], run(2, { rollback: true }), false],
  ['it is undone', [row('0001', 1)], run(2), false],
])('what is recorded of locks › %s', (_, history, last, shown) => {
  expect([...locksOfLastRun(LOCKS, history, last).keys()]).toEqual(shown ? ['0002'] : []);
});
