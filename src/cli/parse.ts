import { Argument, Command, CommanderError, Option } from 'commander';
import { KasmDbError } from '../app/errors.js';
import { VERSION } from '../app/version.js';
import type { Answer, CommandContext, GlobalOptions } from '../commands/command.js';
import { COMMANDS, helpAnswer, versionAnswer } from './command-line.js';
import { GLOBAL_OPTIONS } from './global-options.js';
import { refusal, unknownValue } from './refusal.js';
import type { CommandSpec } from './spec.js';

/** What the command line asked for. */
export interface Call {
  /** Empty where the arguments name none. */
  command: string;
  options: GlobalOptions & OutputOptions;
  writes: boolean;
  /** Needs no database. */
  offline: boolean;
  work: (ctx: CommandContext) => Promise<Answer>;
  /** What is wrong with the arguments; `work` throws it, so that it is reported as any failure is. */
  refusal?: KasmDbError;
}

export interface OutputOptions {
  json?: boolean;
  quiet?: boolean;
  verbose?: boolean;
  color?: boolean;
}

/** Reads the arguments. Never throws for what is wrong with them: see `refusal`. */
export function parse(argv: readonly string[]): Call {
  let call: Call | undefined;
  let named = '';
  const program = new Command('kasm-db')
    .version(VERSION)
    .exitOverride()
    .configureOutput({ writeOut: () => {}, writeErr: () => {} })
    .helpCommand(false)
    .hook('preSubcommand', (_, command) => {
      named = command.name();
      // Those of the other commands need not be made.
      addOptions(command, COMMANDS.find(({ name }) => name === named)?.options ?? []);
    });
  for (const { options } of GLOBAL_OPTIONS) addOptions(program, options);
  for (const spec of COMMANDS) {
    const command = program.command(spec.name);
    if (spec.argument) command.addArgument(new Argument(spec.argument[0]));
    if (spec.rest) command.addArgument(new Argument(spec.rest[0]));
    command.action((...args: unknown[]) => {
      checkArgument(spec, args[0]);
      const options = command.optsWithGlobals<Call['options']>();
      call = {
        command: spec.name,
        options,
        writes: spec.writes ?? writesWith(spec, options),
        offline: spec.offline ?? false,
        work: (ctx) => spec.run(ctx, options, args),
      };
    });
  }
  try {
    program.parse(withCheckCommand(argv), { from: 'user' });
    return call as unknown as Call;
  } catch (error) {
    if (error instanceof KasmDbError) return refused(named, argv, error);
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === 'commander.helpDisplayed') return offline('help', argv, () => helpAnswer(named || undefined));
    if (error.code === 'commander.version')
      return offline('version', argv, () => versionAnswer(ownArguments(argv).includes('--verbose')));
    const withValue = /^error: unknown option '(--[\w-]+)=/.exec(error.message)?.[1];
    // What was meant shows without the value only.
    if (withValue) return parse(argv.map((arg) => (arg.startsWith(`${withValue}=`) ? withValue : arg)));
    return refused(named, argv, refusal(error, argv, named, COMMANDS));
  }
}

/** The arguments that are meant for kasm-db, and not for a program that it runs. */
export function ownArguments(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--');
  return end < 0 ? argv : argv.slice(0, end);
}

/** `kasm-db --check …` is the command check: charts call it so. */
function withCheckCommand(argv: readonly string[]): string[] {
  const at = argv.findIndex((arg) => arg === '--check' || COMMANDS.some(({ name }) => name === arg));
  return argv.map((arg, i) => (i === at && arg === '--check' ? 'check' : arg));
}

/** Where a private server stands aside, the database itself is only read. */
function writesWith({ writesWith: option }: CommandSpec, options: GlobalOptions): boolean {
  return option !== undefined && (options as Record<string, unknown>)[option] === true && !options.embedded;
}

function addOptions(command: Command, options: NonNullable<CommandSpec['options']>): void {
  for (const [flags, , values] of options) {
    const option = new Option(flags);
    command.addOption(
      values === 'many' ? option.argParser((value, before: string[] = []) => [...before, value]) : option,
    );
  }
}

/** An argument that has a list of values takes no other. */
function checkArgument({ argument }: CommandSpec, value: unknown): void {
  if (!argument || value === undefined) return;
  const [syntax, , values] = argument;
  if (Array.isArray(values) && !values.includes(value)) throw unknownValue(syntax.slice(1, -1), String(value), values);
}

/** A call that is done without a database and without reading more of the arguments. */
function offline(command: string, argv: readonly string[], work: Call['work']): Call {
  const own = ownArguments(argv);
  const options = { json: own.includes('--json'), color: !own.includes('--no-color') };
  return { command, options, writes: false, offline: true, work };
}

function refused(command: string, argv: readonly string[], refusal: KasmDbError): Call {
  return { ...offline(command, argv, () => Promise.reject(refusal)), refusal };
}
