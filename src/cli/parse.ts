import { Argument, Command, CommanderError, Option } from 'commander';
import type { Answer, CommandContext, GlobalOptions } from '../commands/command.js';
import { VERSION } from '../version.js';
import { COMMANDS, helpAnswer, versionAnswer } from './command-line.js';
import { GLOBAL_OPTIONS } from './global-options.js';
import { refusal, unknownValue } from './refusal.js';
import type { CommandSpec } from './spec.js';

/** What the command line asked for. */
export interface Call {
  command: string;
  options: GlobalOptions & OutputOptions;
  writes: boolean;
  /** Needs no database. */
  offline: boolean;
  work: (ctx: CommandContext) => Promise<Answer>;
}

export interface OutputOptions {
  json?: boolean;
  quiet?: boolean;
  verbose?: boolean;
  color?: boolean;
}

/**
 * Reads the arguments. Commands are imported only when they are called, and so is the help.
 * @throws KasmDbError usage
 */
export function parse(argv: readonly string[]): Call {
  let call: Call | undefined;
  let helpFor: string | undefined;
  const program = new Command('kasm-db')
    .version(VERSION)
    .exitOverride()
    .configureOutput({ writeOut: () => {}, writeErr: () => {} })
    .helpCommand(false);
  for (const { options } of GLOBAL_OPTIONS) addOptions(program, options);
  const meant = onlyCommand(argv);
  for (const spec of meant ? [meant] : COMMANDS) {
    const command = program.command(spec.name);
    if (spec.argument) command.addArgument(new Argument(spec.argument[0]));
    addOptions(command, spec.options ?? []);
    command.helpInformation = () => {
      helpFor = spec.name;
      return '';
    };
    command.action((...args: unknown[]) => {
      const options = command.optsWithGlobals<Call['options']>();
      checkArgument(spec, args[0]);
      call = {
        command: spec.name,
        options,
        writes: spec.writes ?? false,
        offline: spec.offline ?? false,
        work: (ctx) => spec.run(ctx, options, args),
      };
    });
  }

  try {
    program.parse(withCheckCommand(argv), { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === 'commander.helpDisplayed') return information('help', argv, () => helpAnswer(helpFor));
    if (error.code === 'commander.version')
      return information('version', argv, () => versionAnswer(argv.includes('--verbose')));
    const withValue = /^error: unknown option '(--[\w-]+)=/.exec(error.message)?.[1];
    // What was meant shows without the value only.
    if (withValue) return parse(argv.map((arg) => (arg.startsWith(`${withValue}=`) ? withValue : arg)));
    throw refusal(error, argv, calledCommand(argv), COMMANDS);
  }
  return call as Call;
}

function addOptions(command: Command, options: NonNullable<CommandSpec['options']>): void {
  for (const [flags] of options) command.addOption(new Option(flags));
}

/** An argument that has a list of values takes no other. */
function checkArgument({ argument }: CommandSpec, value: unknown): void {
  if (!argument || value === undefined) return;
  const [syntax, , values] = argument;
  if (Array.isArray(values) && !values.includes(value)) throw unknownValue(syntax.slice(1, -1), String(value), values);
}

/** `--help` and `--version` stand anywhere, and need nothing else of the command line. */
function information(command: string, argv: readonly string[], work: Call['work']): Call {
  const options = { json: argv.includes('--json'), color: !argv.includes('--no-color') };
  return { command, options, writes: false, offline: true, work };
}

/**
 * The one command that these arguments can mean: the others need not be set up, which takes longer than all else here.
 * @returns undefined when they may mean any, or ask for help
 */
function onlyCommand(argv: readonly string[]): CommandSpec | undefined {
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
function withCheckCommand(argv: readonly string[]): string[] {
  if (!argv.includes('--check')) return [...argv];
  const rest = argv.filter((arg) => arg !== '--check');
  const at = rest.findIndex((arg, i) => arg === 'migrate' && !TAKES_VALUE.has(rest[i - 1] ?? ''));
  if (at >= 0) rest.splice(at, 1);
  return rest.includes('check') ? rest : ['check', ...rest];
}
