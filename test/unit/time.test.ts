import { afterEach, describe, expect, it, vi } from 'vitest';
import { unlessStopped } from '../../src/app/time.js';
import { lint } from '../../src/lint/lint.js';
import { locksOfFiles } from '../../src/lint/plan-locks.js';
import { parseMigration } from '../../src/migrations/directives.js';
import { drawAll } from '../../src/schema-docs/diagram.js';

const SQL = 'CREATE TABLE a (id int);';
const FILE = {
  ...parseMigration('0001_a', 'migrations/0001_a.sql', SQL, false),
  ...{
    path: 'migrations/0001_a.sql',
    downPath: 'migrations/0001_a.down.sql',
    sql: async () => SQL,
    downSql: async () => undefined,
  },
};

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

describe('work that computes for long', () => {
  afterEach(() => vi.restoreAllMocks());

  it.each([
    ['lint', (signal: AbortSignal) => lint([FILE], () => true, signal)],
    ['plan', (signal: AbortSignal) => locksOfFiles([], [FILE], signal)],
    ['docs', (signal: AbortSignal) => drawAll([{ id: 'a', title: 'a', tables: [] }], signal)],
  ])('%s hears the signal between two pieces', async (_, work) => {
    // Each look at the clock is a second later.
    let seconds = 0;
    vi.spyOn(process, 'uptime').mockImplementation(() => seconds++);
    const controller = new AbortController();
    const working = work(controller.signal);
    controller.abort(new Error('stopped'));
    await expect(working).rejects.toThrow('stopped');
  });
});
