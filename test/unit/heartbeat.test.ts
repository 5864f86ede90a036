import { expect, it } from 'vitest';
import { KasmDbError } from '../../src/app/errors.js';
import { waitReporter } from '../../src/readiness/wait.js';

it('a gate says what it waits for once for each change, and once a minute', () => {
  const said: string[] = [];
  let time = 0;
  const report = waitReporter({ waiting: (text) => void said.push(text) }, () => time);
  for (time = 0; time <= 150_000; time += 10_000) report(new KasmDbError('unreachable', 'no answer', { hint: 'wait' }));
  report(new KasmDbError('unreachable', 'starting up', { hint: 'wait' }));
  expect(said).toEqual([
    'no answer (wait)',
    'no answer (wait), for 1 min so far',
    'no answer (wait), for 2 min so far',
    'starting up (wait)',
  ]);
});
