import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { spread } from '../../src/app/time.js';
import { type Moment, nextPause } from '../../src/readiness/backoff.js';

const calm: Moment = {
  looks: 1,
  lastPauseMs: 0,
  lookMs: 8,
  unreachable: false,
  crowded: false,
  nearEnd: false,
  bell: false,
  unheard: false,
  rung: false,
  sessionRate: undefined,
};
const pause = (change: Partial<Moment>) => nextPause({ ...calm, ...change });

describe('gate › pace', () => {
  it('begins at 250 ms and grows to 5 s', () => {
    let last = 0;
    const pauses = Array.from({ length: 12 }, () => {
      last = pause({ lastPauseMs: last });
      return last;
    });
    expect(pauses[0]).toBe(250);
    expect(pauses.at(-1)).toBe(5000);
    expect([...pauses].sort((a, b) => a - b)).toEqual(pauses);
  });

  it('is quicker when the end is near', () => {
    expect(pause({ lastPauseMs: 5000, nearEnd: true })).toBeLessThan(pause({ lastPauseMs: 5000 }));
  });

  it('does not look without a pause when the end stays near', () => {
    let last = 0;
    for (let i = 0; i < 20; i++) last = pause({ lastPauseMs: last, lookMs: 1, nearEnd: true });
    expect(last).toBe(80);
  });

  it('is slower when looks are slow, when the server is crowded, and when it serves too many sessions', () => {
    expect(pause({ lastPauseMs: 1000, lookMs: 400 })).toBeGreaterThan(5000);
    expect(pause({ lastPauseMs: 1000, crowded: true })).toBeGreaterThanOrEqual(5000);
    expect(pause({ lastPauseMs: 5000, sessionRate: 100 })).toBeGreaterThan(10_000);
    expect(pause({ lastPauseMs: 5000, sessionRate: 10 })).toBe(5000);
  });

  it('with a bell it hardly looks; after a ring it comes again soon when the house is full', () => {
    expect(pause({ bell: true })).toBeGreaterThan(25_000);
    expect(pause({ bell: true, unheard: true })).toBeLessThanOrEqual(1000);
    expect(pause({ bell: true, unheard: true, crowded: true })).toBe(pause({ crowded: true }));
    expect(pause({ bell: true, rung: true, crowded: true })).toBeLessThan(1000);
  });

  it('never waits longer than 14 s without a bell, nor less than 80 ms', () => {
    fc.assert(
      fc.property(
        fc.record({
          looks: fc.nat(10_000),
          lastPauseMs: fc.integer({ min: 0, max: 14_000 }),
          lookMs: fc.integer({ min: 0, max: 60_000 }),
          unreachable: fc.boolean(),
          crowded: fc.boolean(),
          nearEnd: fc.boolean(),
          bell: fc.constant(false),
          unheard: fc.boolean(),
          rung: fc.boolean(),
          sessionRate: fc.option(fc.integer({ min: 0, max: 100_000 }), { nil: undefined }),
        }),
        (moment) => {
          const ms = nextPause(moment);
          expect(ms).toBeGreaterThanOrEqual(80);
          expect(ms).toBeLessThanOrEqual(14_000);
          expect(spread(ms)).toBeLessThanOrEqual(ms);
        },
      ),
    );
  });
});
