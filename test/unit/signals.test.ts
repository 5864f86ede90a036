import { afterEach, expect, it, vi } from 'vitest';
import { abortOnSignals } from '../../src/app/signals.js';

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1'] as const;
const before = new Map(SIGNALS.map((name) => [name, process.listeners(name)]));

afterEach(() => {
  vi.useRealTimers();
  for (const name of SIGNALS)
    for (const listener of process.listeners(name))
      if (!before.get(name)?.includes(listener)) process.off(name, listener);
});

it.each([
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const)('%s aborts at once; work that does not end is cut off with a result, %i', (name, exitCode) => {
  vi.useFakeTimers();
  const cut = vi.fn();
  const signal = abortOnSignals(cut);
  process.emit(name);
  expect(signal.reason).toMatchObject({ outcome: 'interrupted', exitCode });
  vi.advanceTimersByTime(1700);
  expect(cut).not.toHaveBeenCalled();
  vi.advanceTimersByTime(200);
  expect(cut).toHaveBeenCalledExactlyOnceWith(signal.reason);
});
