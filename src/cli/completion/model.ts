import { headers } from 'kasm-db:migrations';
import type { CommandLine, OptionSpec, Values } from '../spec.js';

/** What can follow: some words, names of files or of folders, or something that only the user knows. */
export type Choice = { words: readonly string[] } | 'file' | 'folder' | undefined;

export interface Flag {
  /** With its dashes. */
  name: string;
  text: string;
  /** Does a value follow? */
  value: 'none' | 'required' | 'optional';
  choice: Choice;
}

export interface Completed {
  name: string;
  text: string;
  flags: readonly Flag[];
  argument: Choice;
}

/** The command line as the three shells need it. */
export interface Model {
  commands: readonly Completed[];
  /** What every command takes. */
  globals: readonly Flag[];
  /** Names of all flags behind which a value stands. */
  withValue: readonly string[];
}

const HELP: readonly OptionSpec[] = [['--help', 'print the help']];

/** What the scripts of all shells complete, from the one table of commands and options. */
export function modelOf(line: CommandLine): Model {
  const globals = [...line.globals.flatMap(({ options }) => options), ...HELP].map(flagOf);
  const commands = line.commands.map(({ name, text, options = [], argument }) => ({
    name,
    text,
    flags: options.map(flagOf),
    argument: choiceOf(argument?.[2]),
  }));
  const flags = [...globals, ...commands.flatMap((command) => command.flags)];
  const withValue = flags.filter(({ value }) => value === 'required').map(({ name }) => name);
  return { commands, globals, withValue: [...new Set(withValue)] };
}

function flagOf([flags, text, values]: OptionSpec): Flag {
  const [name = '', syntax = ''] = flags.split(' ');
  const value = syntax.startsWith('<') ? 'required' : syntax.startsWith('[') ? 'optional' : 'none';
  return { name, text, value, choice: choiceOf(values) };
}

function choiceOf(values: Values | undefined): Choice {
  if (values === 'migration') return { words: headers.map(({ name }) => name) };
  if (values === 'path') return 'file';
  if (values === 'many') return undefined;
  return values === undefined || values === 'file' || values === 'folder' ? values : { words: values };
}
