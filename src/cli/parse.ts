import { Argument, Command, CommanderError, Option } from 'commander';
import { VERSION } from '../app/version.js';
import { calledCommand, onlyCommand, withCheckCommand } from './arguments.js';
import { type Call, callOf } from './call.js';
import { COMMANDS, helpAnswer, versionAnswer } from './command-line.js';
import { GLOBAL_OPTIONS } from './global-options.js';
import { refusal, unknownValue } from './refusal.js';
import type { CommandSpec } from './spec.js';

/**
 * Reads any arguments. Commands are imported only when they are called, and so is the help.
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
      call = callOf(spec, options, args);
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
