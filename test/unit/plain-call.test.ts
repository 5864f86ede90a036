import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/cli/command-line.js';
import { GLOBAL_OPTIONS } from '../../src/cli/global-options.js';
import { parse } from '../../src/cli/parse.js';
import { plainCall } from '../../src/cli/plain-call.js';

/** What commander makes of it. */
function commander(argv: string[]): unknown {
  try {
    const { work: _, ...call } = parse(argv);
    return call;
  } catch {
    return 'refused';
  }
}

describe('plainCall', () => {
  it("reads a gate's call", () => {
    const { work: _, ...call } = plainCall(['--check', '--seed', '--wait', '10m', '--no-color']) ?? {};
    expect(call).toEqual({
      command: 'check',
      options: { seed: true, wait: '10m', color: false },
      writes: false,
      offline: false,
    });
  });

  it.each([
    [['check', '--wiat']],
    [['check', '--host']],
    [['check', '--host', '--json']],
    [['check', '--json', '--json']],
    [['check', '--host=db']],
    [['check', 'what']],
    [['lint', 'a.sql']],
    [['--help']],
    [['check', '--help']],
    [['status', 'check']],
    [[]],
  ])('leaves %j to commander', (argv) => {
    expect(plainCall(argv)).toBeUndefined();
  });

  it('never says anything else than commander does', () => {
    const flags = [...COMMANDS, ...GLOBAL_OPTIONS].flatMap(({ options }) =>
      (options ?? []).map(([f]) => f.split(' ')[0] as string),
    );
    const words = fc.constantFrom(
      ...flags,
      ...COMMANDS.map(({ name }) => name),
      '--',
      '-',
      '',
      'x',
      '10m',
      '--check',
      '-V',
      '--seed=1',
    );
    let read = 0;
    fc.assert(
      fc.property(
        fc.constantFrom(...COMMANDS.map(({ name }) => name), '--check'),
        fc.array(words, { maxLength: 4 }),
        (first, rest) => {
          const argv = [first, ...rest];
          const quick = plainCall(argv);
          if (!quick) return;
          read++;
          const { work: _, ...call } = quick;
          expect(call).toEqual(commander(argv));
        },
      ),
      { numRuns: 5000 },
    );
    expect(read).toBeGreaterThan(300);
  });
});
