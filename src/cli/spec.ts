import type { Answer, CommandContext } from '../commands/command.js';

/** What completion may offer for a value; without one nothing is known of it. `many`: the option may stand several times. */
export type Values = readonly string[] | 'file' | 'folder' | 'path' | 'migration' | 'many';

/** An option: commander's notation, what it does, and what its value may be. */
export type OptionSpec = readonly [flags: string, text: string, values?: Values];

/** A positional argument, `<name>`, `[name]` or `<names...>`. */
export type ArgumentSpec = readonly [syntax: string, text: string, values?: Values];

/** One command, as far as the command line knows it: commander, help, completion and the docs' tests read this. */
export interface CommandSpec {
  name: string;
  /** Heading under which `--help` lists it. */
  group: string;
  text: string;
  argument?: ArgumentSpec;
  /** What follows `--`: words that are not ours to read. */
  rest?: ArgumentSpec;
  options?: readonly OptionSpec[];
  /** Takes the direct URL, where one is set. */
  writes?: boolean;
  /** The same, with this option. */
  writesWith?: string;
  /** Needs no database. */
  offline?: boolean;
  /** Imports the command only when it is called. @param args values of argument and rest */
  run: (ctx: CommandContext, options: object, args: unknown[]) => Promise<Answer>;
}

/** Options that every command takes, by topic. */
export interface OptionGroup {
  title: string;
  options: readonly OptionSpec[];
}

/** All of the command line, as help and completion get it. */
export interface CommandLine {
  commands: readonly CommandSpec[];
  globals: readonly OptionGroup[];
}
