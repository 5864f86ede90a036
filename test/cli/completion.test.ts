import { beforeAll, describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/cli/command-line.js';
import { SSL_MODES } from '../../src/config/parameters.js';
import { NEWEST } from '../support/release.js';
import { bashOffers, completionOf, fishOffers, hasShell, type Shell, typeInto } from '../support/shells.js';
import { hasTerminal } from '../support/terminal.js';

const NAMES = COMMANDS.map(({ name }) => name);
type Completion = Awaited<ReturnType<typeof completionOf>>;

/** What bash and fish are asked in the same way: the words so far, the last one not finished. */
const QUESTIONS: [string, string[], (offers: string[]) => void][] = [
  ['commands', [''], (offers) => expect(offers.sort()).toEqual([...NAMES].sort())],
  ['a command that is begun', ['mig'], (offers) => expect(offers).toEqual(['migrate'])],
  [
    'a command after a global option with a value',
    ['--host', 'check', 'st'],
    (offers) => expect(offers).toEqual(['status']),
  ],
  [
    'its options and the global ones',
    ['rollback', '--'],
    (offers) => {
      expect(offers).toEqual(expect.arrayContaining(['--steps', '--allow-data-loss', '--url', '--no-color', '--help']));
      expect(offers).not.toContain('--rotate');
      expect(offers).not.toContain('--version');
    },
  ],
  ['options before any command', ['--ver'], (offers) => expect(offers.sort()).toEqual(['--verbose', '--version'])],
  ['those of check after --check', ['--check', '--fail'], (offers) => expect(offers).toEqual(['--fail-fast'])],
  ['sslmode', ['plan', '--sslmode', ''], (offers) => expect(offers.sort()).toEqual([...SSL_MODES].sort())],
  [
    'the formats of docs',
    ['docs', '--format', 'm'],
    (offers) => expect(offers.sort()).toEqual(['markdown', 'mermaid']),
  ],
  ['migrations', ['migrate', '--to', NEWEST.slice(0, 4)], (offers) => expect(offers).toEqual([NEWEST])],
  ['shells', ['completion', ''], (offers) => expect(offers.sort()).toEqual(['bash', 'fish', 'zsh'])],
  ['topics of help', ['help', 'e'], (offers) => expect(offers).toEqual(['exit-codes'])],
  ['nothing for what only the user knows', ['plan', '--host', ''], (offers) => expect(offers).toEqual([])],
  ['nothing where a command takes no argument', ['status', ''], (offers) => expect(offers).toEqual([])],
];

const scripts = new Map<Shell, Completion>();
const of = (shell: Shell) => scripts.get(shell) as Completion;
const here = (['bash', 'zsh', 'fish'] as const).filter(hasShell);
beforeAll(async () => {
  for (const shell of here) scripts.set(shell, await completionOf(shell));
});

describe.skipIf(!here.includes('bash'))('completion › bash', () => {
  it.each(QUESTIONS)('offers %s', (_, words, holds) => holds(bashOffers(words, of('bash'))));

  it('offers files and folders', () => {
    expect(bashOffers(['verify', '--against', 'exp'], of('bash'))).toEqual(['export one.yaml']);
    expect(bashOffers(['plan', '--migrations', 'd'], of('bash'))).toEqual(['dumps']);
    expect(bashOffers(['plan', '--migrations', 'exp'], of('bash'))).toEqual([]);
    expect(bashOffers(['lint', 'dumps/'], of('bash'))).toEqual(['dumps/a.sql']);
  });
});

describe.skipIf(!here.includes('fish'))('completion › fish', () => {
  it.each(QUESTIONS)('offers %s', (_, words, holds) => holds(fishOffers(`kasm-db ${words.join(' ')}`, of('fish'))));

  it('offers files and folders, and values after =', () => {
    expect(fishOffers('kasm-db verify --against exp', of('fish'))).toEqual(['export one.yaml']);
    expect(fishOffers('kasm-db plan --migrations d', of('fish'))).toEqual(['dumps/']);
    expect(fishOffers('kasm-db plan --migrations exp', of('fish'))).toEqual([]);
    expect(fishOffers('kasm-db --sslmode=verify-f', of('fish'))).toEqual(['--sslmode=verify-full']);
  });
});

describe.skipIf(!hasTerminal).each(['bash', 'zsh'] as const)('completion › %s, typed on a terminal', (shell) => {
  const skip = !here.includes(shell);

  it.skipIf(skip).each<[string, string]>([
    ['kasm-db mig\t--dr\t', '<migrate><--dry-run>'],
    ['kasm-db --json stat\t', '<--json><status>'],
    ['kasm-db plan --sslmode verify-f\t', '<plan><--sslmode><verify-full>'],
    ['kasm-db plan --sslmode=verify-f\t', '<plan><--sslmode=verify-full>'],
    ['kasm-db verify --against exp\t', '<verify><--against><export one.yaml>'],
    ['kasm-db plan --migrations dum\t', '<plan><--migrations><dumps'],
    ['kasm-db --check --fail\t', '<--check><--fail-fast>'],
    [`kasm-db rollback --to ${NEWEST.slice(0, 4)}\t`, `<rollback><--to><${NEWEST}>`],
    ['kasm-db completion f\t', '<completion><fish>'],
    ['kasm-db help exi\t', '<help><exit-codes>'],
  ])('%j', async (keys, called) => {
    expect(await typeInto(shell, keys, of(shell))).toContain(`CALLED${called}`);
  });

  it.skipIf(skip)('lists the commands', async () => {
    const text = await typeInto(shell, 'kasm-db \t\t', of(shell));
    for (const name of NAMES) expect(text).toMatch(new RegExp(`\\b${name}\\b`));
  });
});
