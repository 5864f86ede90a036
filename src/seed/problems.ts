import { KasmDbError } from '../app/errors.js';
import { plural } from '../app/plural.js';

/** Something wrong with a seed document, and where. */
export interface Problem {
  file: string;
  line: number;
  message: string;
}

/** One error that lists everything that is wrong. @throws KasmDbError seed */
export function refuse(problems: readonly Problem[]): void {
  if (problems.length === 0) return;
  const sorted = [...problems].sort((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1));
  const [first] = sorted as [Problem];
  const shown = sorted.slice(0, MAX_SHOWN).map(({ file, line, message }) => `${file}:${line}: ${message}`);
  const more = sorted.length > MAX_SHOWN ? [`and ${sorted.length - MAX_SHOWN} more`] : [];
  throw new KasmDbError(
    'seed',
    `the seed documents have ${plural(sorted.length, 'problem')}, so nothing was written: ${[...shown, ...more].join('; ')}`,
    { file: first.file, line: first.line, hint: 'correct the documents and run the command again' },
  );
}

const MAX_SHOWN = 50;
