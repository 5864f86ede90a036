import { expect, it } from 'vitest';
import * as library from '../../src/index.js';

// What JavaScript lets through.
type Call = (options: unknown) => Promise<library.Result>;
const { migrate, check, rollback, lint } = library as unknown as Record<string, Call>;

it.each<[call: Call | undefined, options: unknown, message: string]>([
  [migrate, { port: 5432 }, 'option port has to be a string, not a number'],
  [migrate, { dryRun: 'yes' }, 'option dryRun has to be a boolean, not a string'],
  [migrate, { env: null }, 'option env has to be an object, not null'],
  [check, { wait: 10 }, 'option wait has to be a string or a boolean, not a number'],
  [rollback, { steps: [1] }, 'option steps has to be a number or a string, not an array'],
  [lint, { files: 'a.sql' }, 'option files has to be an array, not a string'],
  [migrate, 'postgres://db/kasm', 'the options are a string, not an object'],
])('a wrong type is a usage error that names the option: %#', async (call, options, message) => {
  const result = await call?.(options);
  expect(result).toMatchObject({ outcome: 'usage', exitCode: 2, error: { message, hint: expect.any(String) } });
});
