import { EXIT_CODES } from '../app/errors.js';
import type { Answer } from '../commands/command.js';
import { WORK } from './commands.js';
import { GLOBAL_OPTIONS } from './global-options.js';
import type { CommandLine, CommandSpec } from './spec.js';

/** What `help` explains: the commands, and what each exit code means. */
const TOPICS = [
  ...WORK.map(({ name }) => name),
  'completion',
  'licenses',
  'exit-codes',
  ...Object.values(EXIT_CODES).map(String),
  '129',
  '130',
];

const SHELLS = ['bash', 'zsh', 'fish'] as const;

const COMPLETION: CommandSpec = {
  name: 'completion',
  group: 'Other commands',
  text: 'a script that completes commands, options and values in your shell',
  argument: ['<shell>', 'bash, zsh or fish', SHELLS],
  offline: true,
  run: async (_, __, [shell]) =>
    (await import('./help/index.js')).completionAnswer(shell as (typeof SHELLS)[number], COMMAND_LINE),
};

const LICENSES: CommandSpec = {
  name: 'licenses',
  group: 'Other commands',
  text: 'the licences of kasm-db and of all that this program holds',
  offline: true,
  run: async () => (await import('../commands/licenses.js')).licensesCommand(),
};

const HELP: CommandSpec = {
  name: 'help',
  group: 'Other commands',
  text: 'a command and its options, with examples; or what each exit code means',
  argument: ['[topic]', 'a command, exit-codes, or one of them by its number', TOPICS],
  offline: true,
  run: (_, __, [topic]) => helpAnswer(topic as string | undefined),
};

/** Every command, in the order of the help. */
export const COMMANDS: readonly CommandSpec[] = [...WORK, COMPLETION, LICENSES, HELP];

const COMMAND_LINE: CommandLine = { commands: COMMANDS, globals: GLOBAL_OPTIONS };

/** The help's text, which is read only when somebody asks for it. @param topic one of TOPICS; undefined: all of it */
export async function helpAnswer(topic: string | undefined): Promise<Answer> {
  return (await import('./help/index.js')).helpAnswer(topic, COMMAND_LINE);
}

/** @returns what `--version` prints; with `verbose` also what a bug report needs */
export async function versionAnswer(verbose: boolean): Promise<Answer> {
  return (await import('./help/index.js')).versionAnswer(verbose);
}
