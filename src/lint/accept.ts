import { groupBy } from '../app/group-by.js';
import { type Migration, readableMigration } from '../migrations/files.js';
import { lint } from './lint.js';

/** Why a generated migration does what a rule is against; the rules that are not here say so in general. */
const REASONS: Readonly<Record<string, string>> = {
  'rename-column': 'the new release knows it by the new name alone: stop the pods of the old one first',
  'change-column-type': 'the new release wants this type; where the table is rewritten, nobody can use it meanwhile',
  'drop-not-null': 'the new release writes rows without it',
  'drop-default': 'the new release always gives a value',
  'add-column-json': "it is the type that Kasm's own table has",
  'add-column-not-null': 'no value of this type means nothing: fill it by hand first',
  'write-whole-table': 'one row, or only rows without a value, once',
  'backfill-with-ddl': 'only rows without a value, once',
  'second-table-lock': 'one file leads to one release, and what is locked first stays so until its end',
  'validate-in-same-transaction': 'one file leads to one release; the table is locked while its rows are read',
  'unique-without-index': 'the foreign key below needs it',
};

/**
 * Puts a lint-ignore with its reason above each statement of a generated migration that a rule is against.
 * @param name of the migration, which comes after `before`
 */
export async function withSuppressions(
  name: string,
  { up, down }: { up: string; down: string },
  before: readonly Migration[],
): Promise<{ up: string; count: number }> {
  const migration = readableMigration(name, { up, down });
  const findings = await lint([...before, migration], (file) => file === migration);
  const lines = up.split('\n');
  const places = groupBy(findings, ({ line }) => line);
  // From the end, as the lines above stay where they are.
  for (const [line, found] of [...places].sort(([a], [b]) => b - a)) {
    const comments = [...new Set(found.map(({ rule }) => rule))].map(
      (rule) => `-- kasm-db: lint-ignore ${rule} ${REASONS[rule] ?? "the new release's export asks for it"}`,
    );
    lines.splice(line - 1, 0, ...comments);
  }
  return { up: lines.join('\n'), count: places.size };
}
