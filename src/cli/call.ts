import type { Answer, CommandContext, GlobalOptions } from '../commands/command.js';
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

/** @param args values of the command's argument */
export function callOf(spec: CommandSpec, options: Call['options'], args: unknown[]): Call {
  return {
    command: spec.name,
    options,
    writes: spec.writes ?? false,
    offline: spec.offline ?? false,
    work: (ctx) => spec.run(ctx, options, args),
  };
}
