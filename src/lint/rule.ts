import type { Migration } from '../migrations/files.js';
import type { ParsedStatement } from '../postgres/parser.js';
import type { Known } from './known.js';
import type { SoFar } from './so-far.js';

/** One hazard. */
export interface Rule {
  id: string;
  /** What happens, in one sentence. */
  why: string;
  /** The safe way to write it. */
  safe: string;
  /** Set where it holds for down migrations, too. */
  ofDown?: true;
  /** What is wrong with a statement; one text for each place. */
  check?(statement: ParsedStatement, ctx: RuleContext): string[];
  /** What is wrong with the file as a whole. */
  checkFile?(file: LintFile): string[];
}

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

export interface Finding {
  rule: string;
  file: string;
  line: number;
  message: string;
  why: string;
  safe: string;
}
