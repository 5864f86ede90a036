import { describe, expect, it } from 'vitest';
import type { RunRow } from '../../src/history/state.js';
import { HolderWatch } from '../../src/migrator/lock-wait.js';

const RUN: RunRow = {
  runId: 'a',
  pid: 7,
  applicationName: 'kasm-db/1 pod',
  clientAddr: '10.0.0.1',
  appVersion: '1.0.0',
  startedAt: '2026-01-01T00:00:00Z',
  ageMs: 1000,
  phase: 'migrate',
  current: '0003_c',
  done: 2,
  total: 10,
  error: null,
  seedDigest: null,
};

describe('HolderWatch › sees', () => {
  it('a run that has got on since the last look holds the lock', () => {
    const watch = new HolderWatch();
    expect(watch.sees(RUN)).toBe(false);
    expect(watch.sees({ ...RUN, done: 3 })).toBe(true);
    expect(watch.sees({ ...RUN, done: 4 })).toBe(true);
    expect(watch.holder()).toEqual({
      pid: 7,
      applicationName: 'kasm-db/1 pod',
      clientAddr: '10.0.0.1',
      connectedSeconds: null,
    });
  });

  it.each<[string, RunRow | undefined]>([
    ['one that stands still may be dead', RUN],
    ['another run may have the lock or not', { ...RUN, runId: 'b', done: 3 }],
    ['one that has failed has let it go', { ...RUN, phase: 'failed', done: 3 }],
    ['one that is done has let it go', { ...RUN, phase: 'done', done: 10 }],
    ['no run', undefined],
  ])('%s: the lock has to be tried for', (_, next) => {
    const watch = new HolderWatch();
    watch.sees(RUN);
    expect(watch.sees(next)).toBe(false);
  });
});

describe('HolderWatch › pause', () => {
  it.each([
    [100, 300],
    [390, 130],
    [350, 117],
    [900, 300],
    [60_000, 2000],
  ])('after %i ms without a run row: %i ms', (waited, pause) => {
    expect(Math.round(new HolderWatch().pause(waited))).toBe(pause);
  });

  it('who came late comes back with the others, when the run is as old as they are', () => {
    const watch = new HolderWatch();
    watch.sees({ ...RUN, done: 0, ageMs: 250 });
    expect(watch.pause(100)).toBe(150);
  });

  it('who comes to a run that goes on for long has nobody to come back with', () => {
    const watch = new HolderWatch();
    watch.sees({ ...RUN, done: 0, ageMs: 60_000 });
    expect(watch.pause(30)).toBe(370);
  });

  it.each<[string, Partial<RunRow>, number]>([
    ['not longer than the rest of the run', { done: 8, ageMs: 400 }, 100],
    ['a run that has just ended is not asked at once', { done: 10 }, 60],
    ['a long rest says nothing', {}, 300],
    ['a run without progress has no pace', { done: 0 }, 300],
    ['an age that is not known', { ageMs: undefined } as Partial<RunRow>, 300],
  ])('%s', (_, run, pause) => {
    const watch = new HolderWatch();
    watch.sees({ ...RUN, ...run });
    expect(watch.pause(900)).toBe(pause);
  });
});
