import { COMMANDS } from './command-line.js';
import { GLOBAL_OPTIONS } from './global-options.js';
import type { CommandSpec } from './spec.js';

/**
 * The one command that these arguments can mean: the others need not be set up, which takes longer than all else here.
 * @returns undefined when they may mean any, or ask for help
 */
export function onlyCommand(argv: readonly string[]): CommandSpec | undefined {
  const args = withCheckCommand(argv);
  const named = COMMANDS.filter(({ name }) => args.includes(name));
  return named.length === 1 && args[0] === named[0]?.name ? named[0] : undefined;
}

/** The command in the arguments, as far as it is one: for the result of a call that was refused. */
export function calledCommand(argv: readonly string[]): string {
  if (argv.includes('--check')) return 'check';
  const isCommand = (arg: string) => COMMANDS.some(({ name }) => name === arg);
  return argv.find((arg, i) => isCommand(arg) && !TAKES_VALUE.has(argv[i - 1] ?? '')) ?? '';
}

const TAKES_VALUE = new Set(
  GLOBAL_OPTIONS.flatMap(({ options }) => options.map(([flags]) => flags.split(' '))).flatMap(([long, value]) =>
    value?.startsWith('<') ? [long] : [],
  ),
);

/** `kasm-db --check …` and `kasm-db migrate --check …` are the command check. */
export function withCheckCommand(argv: readonly string[]): string[] {
  if (!argv.includes('--check')) return [...argv];
  const rest = argv.filter((arg) => arg !== '--check');
  const at = rest.findIndex((arg, i) => arg === 'migrate' && !TAKES_VALUE.has(rest[i - 1] ?? ''));
  if (at >= 0) rest.splice(at, 1);
  return rest.includes('check') ? rest : ['check', ...rest];
}
