import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { backoff, retry } from '../../src/app/retry.js';
import { now } from '../../src/app/time.js';

describe('backoff', () => {
  it('grows from the first pause to the longest, each between half and the whole', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), fc.double({ min: 1, max: 4, noNaN: true }), (firstMs, factor) => {
        const maxMs = 8000;
        const next = backoff({ firstMs, factor, maxMs });
        for (let i = 0; i < 12; i++) {
          const whole = Math.min(firstMs * factor ** i, maxMs);
          const pause = next();
          expect(pause).toBeGreaterThanOrEqual(whole * 0.499);
          expect(pause).toBeLessThanOrEqual(whole * 1.001);
        }
      }),
    );
  });

  it('differs between those who wait', () => {
    const firsts = new Set(Array.from({ length: 100 }, () => backoff({ firstMs: 100, maxMs: 100 })()));
    expect(firsts.size).toBeGreaterThan(90);
  });
});

describe('retry', () => {
  afterEach(() => void vi.restoreAllMocks());
  const busy = new Error('busy');
  const soon = { deadline: now() + 60_000, backoff: () => 1, retryable: () => true };
  const failing = (times: number, error: Error = busy) => {
    const calls: number[] = [];
    const work = async (attempts: number) => {
      calls.push(attempts);
      if (calls.length <= times) throw error;
      return 'done';
    };
    return { calls, work };
  };

  it('ends with the first success', async () => {
    const { calls, work } = failing(3);
    await expect(retry(work, soon)).resolves.toBe('done');
    expect(calls).toEqual([0, 1, 2, 3]);
  });

  it('throws at once what another attempt would not mend', async () => {
    const { calls, work } = failing(3);
    await expect(retry(work, { ...soon, retryable: (error) => error !== busy })).rejects.toBe(busy);
    expect(calls).toEqual([0]);
  });

  it('makes one attempt when there is no time, and throws its error', async () => {
    const { calls, work } = failing(3);
    await expect(retry(work, { ...soon, deadline: now() - 1 })).rejects.toBe(busy);
    expect(calls).toEqual([0]);
  });

  it('cuts the last pause, so that the last attempt is made when the time is up', async () => {
    const pauses: number[] = [];
    let seconds = 1;
    vi.spyOn(process, 'uptime').mockImplementation(() => seconds);
    const { calls, work } = failing(99);
    const pause = async (ms: number) => {
      pauses.push(ms);
      seconds += ms / 1000;
    };
    await expect(retry(work, { ...soon, deadline: 6000, backoff: () => 10_000, pause })).rejects.toBe(busy);
    expect(pauses).toEqual([5000]);
    expect(calls).toEqual([0, 1]);
  });

  it('tells of each failure before it pauses', async () => {
    const told: unknown[] = [];
    await retry(failing(2).work, { ...soon, onRetry: (error) => told.push(error) });
    expect(told).toEqual([busy, busy]);
  });

  it('ends a pause with the reason of the signal, and begins nothing after it', async () => {
    const controller = new AbortController();
    const reason = new Error('stopped');
    const { calls, work } = failing(99);
    const options = { ...soon, backoff: () => 60_000, signal: controller.signal };
    const onRetry = () => setImmediate(() => controller.abort(reason));
    await expect(retry(work, { ...options, onRetry })).rejects.toBe(reason);
    expect(calls).toEqual([0]);
    await expect(retry(work, options)).rejects.toBe(reason);
    expect(calls).toEqual([0]);
  });

  it('makes no attempt after the signal: it is the signal that ended the wait, unless none was to come', async () => {
    const controller = new AbortController();
    const reason = new Error('stopped');
    let calls = 0;
    const work = async () => {
      calls++;
      controller.abort(reason);
      throw busy;
    };
    const ends = { ...soon, signal: controller.signal };
    await expect(retry(work, ends)).rejects.toBe(reason);
    expect(calls).toBe(1);
    for (const last of [{ retryable: () => false }, { deadline: now() - 1 }]) {
      const stopping = new AbortController();
      const interrupted = async () => {
        stopping.abort(reason);
        throw busy;
      };
      await expect(retry(interrupted, { ...soon, signal: stopping.signal, ...last })).rejects.toBe(busy);
    }
  });
});
