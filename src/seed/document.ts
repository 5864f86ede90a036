import { KasmDbError } from '../app/errors.js';
import { plural } from '../app/plural.js';

/** One value of a row, and the line that it stands in. */
export interface Cell {
  value: unknown;
  line: number;
}

export interface SeedRow {
  table: string;
  file: string;
  line: number;
  /** By column. */
  cells: Map<string, Cell>;
}

export interface SeedDocument {
  file: string;
  alembicVersion: { value: string; line: number } | undefined;
  rows: SeedRow[];
  /** A `custom` overlay: merged into the others instead of standing beside them. */
  overlay: boolean;
}

/** What a document says of a column; null where it says nothing. */
export const valueIn = ({ cells }: SeedRow, column: string): unknown => cells.get(column)?.value ?? null;

/** Something wrong with a seed document, and where. */
export interface Problem {
  file: string;
  line: number;
  message: string;
}

export const problemOf = ({ file, line }: SeedRow, message: string): Problem => ({ file, line, message });

const MAX_SHOWN = 50;

/** One error that lists everything that is wrong. @throws KasmDbError seed */
export function refuse(problems: readonly Problem[]): void {
  const sorted = [...problems].sort((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1));
  const [first] = sorted;
  if (!first) return;
  const shown = sorted.slice(0, MAX_SHOWN).map(({ file, line, message }) => `${file}:${line}: ${message}`);
  const more = sorted.length > MAX_SHOWN ? [`and ${sorted.length - MAX_SHOWN} more`] : [];
  throw new KasmDbError(
    'seed',
    `the seed documents have ${plural(sorted.length, 'problem')}, so nothing was written: ${[...shown, ...more].join('; ')}`,
    { file: first.file, line: first.line, hint: 'correct the documents and run the command again' },
  );
}
