import type { Migration } from '../migrations/files.js';
import type { Result } from '../output/result.js';
import type { ParsedStatement } from '../postgres/parser.js';
import type { Known } from './known.js';
import type { SoFar } from './so-far.js';
import { commandsOf, type Node, nameOf } from './tree.js';

export type Finding = NonNullable<Result['findings']>[number];

/** One hazard. */
export interface Rule extends Pick<Finding, 'why' | 'safe'> {
  id: string;
  /** Set where it holds for down migrations, too. */
  ofDown?: true;
  /** What is wrong with a statement: a text, or one for each place. */
  check?(statement: ParsedStatement, ctx: RuleContext): Told | Told[];
  /** What is wrong with the file as a whole. */
  checkFile?(file: LintFile): Told;
}

/** false: nothing is wrong. */
export type Told = string | false | undefined;

export interface LintFile {
  migration: Migration;
  statements: readonly ParsedStatement[];
}

export interface RuleContext {
  known: Known;
  file: LintFile;
  /** By the statements of the file before this one. */
  soFar: SoFar;
}

/** A check of each subcommand of such a kind in an ALTER TABLE on a table that others use. */
export function eachCommand(
  kinds: readonly string[],
  tell: (cmd: Node, table: string, known: Known) => Told,
): NonNullable<Rule['check']> {
  return (statement, { known }) => {
    const commands = commandsOf(statement).filter(({ subtype }) => kinds.includes(subtype));
    if (commands.length === 0) return false;
    const table = nameOf(statement.node.relation);
    return known.isFresh(table) ? false : commands.map((cmd) => tell(cmd, table, known));
  };
}
