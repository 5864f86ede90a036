import { expect, it } from 'vitest';
import { unlessStopped } from '../../src/app/time.js';

it('what never ends is waited for until the signal, and not a moment where it has come', async () => {
  const controller = new AbortController();
  const reason = new Error('stopped');
  const waiting = unlessStopped(new Promise(() => {}), controller.signal);
  controller.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  await expect(unlessStopped(new Promise(() => {}), controller.signal)).rejects.toBe(reason);
});

it('gives what the work gives, or throws what it throws', async () => {
  const { signal } = new AbortController();
  expect(await unlessStopped(Promise.resolve(1), signal)).toBe(1);
  await expect(unlessStopped(Promise.reject(new Error('no')), signal)).rejects.toThrow('no');
});
