import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import * as library from '../../src/index.js';

// What JavaScript lets through.
type Call = (options: unknown) => Promise<library.Result>;
const { migrate, check, rollback, lint, once, plan, seed } = library as unknown as Record<string, Call>;

it.each<[call: Call | undefined, options: unknown, message: string]>([
  [migrate, { port: 5432 }, 'option port has to be a string, not a number'],
  [migrate, { dryRun: 'yes' }, 'option dryRun has to be a boolean, not a string'],
  [migrate, { env: null }, 'option env has to be an object, not null'],
  [check, { wait: 10 }, 'option wait has to be a string or a boolean, not a number'],
  [rollback, { steps: [1] }, 'option steps has to be a number or a string, not an array'],
  [lint, { files: 'a.sql' }, 'option files has to be an array, not a string'],
  [lint, { files: ['a.sql', 1] }, 'option files has to hold strings: its 1 is a number'],
  [migrate, { env: { POSTGRES_PORT: 5432 } }, 'option env has to hold strings: its POSTGRES_PORT is a number'],
  [migrate, { events: { warning: 'loud' } }, 'option events has to hold functions: its warning is a string'],
  [migrate, { signal: {} }, 'option signal has to be an AbortSignal'],
  [migrate, { dryrun: true }, 'there is no option dryrun; did you mean dryRun?'],
  [seed, { somethingElse: true }, 'there is no option somethingElse'],
  [once, { name: 'x', command: 'true' }, 'option command has to be an array, not a string'],
  [once, null, 'the options are null, not an object'],
  [plan, null, 'the options are null, not an object'],
  [rollback, undefined, 'the options are undefined, not an object'],
  [migrate, 'postgres://db/kasm', 'the options are a string, not an object'],
])('a wrong type is a usage error that names the option: %#', async (call, options, message) => {
  const result = await call?.(options);
  expect(result).toMatchObject({ outcome: 'usage', exitCode: 2, error: { message, hint: expect.any(String) } });
});

/** Options of the command line alone: what the library has no function for, or prints nothing of. */
const COMMAND_LINE_ONLY = /(capture|doctor|new|status|wait-for|option-types)\.ts$/;
const COMMANDS = join(import.meta.dirname, '../../src/commands');
const OPTIONS = readdirSync(COMMANDS)
  .filter((file) => !COMMAND_LINE_ONLY.test(file))
  .map((file) => readFileSync(join(COMMANDS, file), 'utf8'))
  .concat(readFileSync(join(COMMANDS, '../config/places.ts'), 'utf8'))
  .flatMap((text) => [...text.matchAll(/^export interface \w*(?:Options|Flags)\b.*\{\n([^}]*)\}/gm)])
  .flatMap(([, body = '']) => [...body.matchAll(/^ {2}(\w+)\??:/gm)].map(([, name]) => name as string))
  .filter((name) => name !== 'json');

it.each([...new Set(OPTIONS)])('option %s: a wrong type is refused', async (name) => {
  const result = await migrate?.({ [name]: Symbol('no option is one') });
  expect(result).toMatchObject({
    outcome: 'usage',
    error: { message: expect.stringMatching(`^option ${name} has to be .*, not a symbol`) },
  });
});
