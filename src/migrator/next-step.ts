import type { ServerError } from '../postgres/server-error.js';
import { syntaxHint } from '../postgres/syntax-hint.js';

/** Where a migration has failed. */
export interface Place {
  /** For texts: `migrations/0003_zones.sql`. */
  path: string;
  /** Of the whole file. */
  text: string;
  /** Where in it the statement stands; undefined where nobody can say. */
  part?: [start: number, end: number] | undefined;
  /** The offset that the server points to. */
  at?: number | undefined;
}

const NO_TRANSACTION =
  'it cannot run in a transaction: put it into a migration of its own that begins with "-- kasm-db: no-transaction"';

/** By SQLSTATE (manual, appendix A); what is not here is looked up by its class, the first two characters. */
const STEPS: Record<string, string> = {
  '25001': NO_TRANSACTION,
  '2D000': `COMMIT and ROLLBACK in a DO block or procedure: ${NO_TRANSACTION}`,
  '2BP01': 'drop what depends on it first, in the same file, or with CASCADE',
  '42P01': 'see whether an earlier migration makes it, and whether its schema is named: only public is looked in',
  '42703': 'see whether the name is right, and whether an earlier migration makes the column',
  '42883': 'see whether name and types are right, and whether its schema is named: only public is looked in',
  '42704': 'see whether an earlier migration or an extension makes it, and whether its schema is named',
  '3F000': 'make the schema in an earlier migration (CREATE SCHEMA)',
  '42P07': 'somebody has made it already: drop it if nobody needs it, or leave it out of the file',
  '42701': 'somebody has made it already: drop it if nobody needs it, or leave it out of the file',
  '42710': 'somebody has made it already: drop it if nobody needs it, or leave it out of the file',
  '42P06': 'somebody has made it already: drop it if nobody needs it, or leave it out of the file',
  '42723': 'somebody has made it already: drop it, or write CREATE OR REPLACE',
  '42P16': 'correct the definition',
  '23505':
    'two rows have the same values: make them differ first, in the same file or by hand (the row stands in the server log)',
  '23503':
    'rows refer to what is not there: correct or delete them first, in the same file or by hand (the row stands in the server log)',
  '23502': 'rows have no value there: fill it first (UPDATE … WHERE … IS NULL), in the same file or by hand',
  '23514':
    'rows are against the check: correct them first, in the same file or by hand (the row stands in the server log)',
  '23P01':
    'rows are against the constraint: correct them first, in the same file or by hand (the row stands in the server log)',
  '55006': 'somebody uses it: end that, then run it again',
  '55P04': 'a new label of an enum can be used when it is committed: put what uses it into the next migration',
  P0001: 'the file raises this itself: do what it says',
  P0004: 'an ASSERT of the file does not hold',
  '0A000': 'this PostgreSQL cannot do it: write it in another way, or use a newer server',
  '57014': 'somebody or a timeout of the file itself cancelled it: run it again',
};

const CLASSES: Record<string, string> = {
  '22': 'correct the value or the conversion, in the file or in the rows that it reads',
  '23': 'correct the rows first, in the same file or by hand (the row stands in the server log)',
  '25': NO_TRANSACTION,
  '42': 'correct the SQL',
  '54': 'a limit of PostgreSQL: write less at once',
  P0: 'correct the PL/pgSQL code',
};

/**
 * What to do about a statement of a migration that the server has refused.
 * @returns undefined where it is the server's trouble and not the file's (its disk, its memory)
 */
export function nextStep(error: ServerError, place: Place): string | undefined {
  const own = ofText(error.code, place) ?? STEPS[error.code] ?? CLASSES[error.code.slice(0, 2)];
  return own ?? (OF_THE_SERVER.test(error.code) ? undefined : `correct ${place.path}, then run the same command again`);
}

/** Resources, an operator's intervention, the system, a bug. */
const OF_THE_SERVER = /^(53|57|58|XX)/;

/** What only the text can say. */
function ofText(code: string, { path, text, part, at }: Place): string | undefined {
  const statement = part ? text.slice(...part) : '';
  if (code === '25001' && /^\s*(create|drop)\s+database\b/i.test(statement))
    return 'a migration works inside of one database: make others by hand, or with kasm-db bootstrap';
  if (code === '25001' && /^\s*set\s+transaction\b/i.test(statement))
    return "take it out: kasm-db has begun the file's transaction, which is READ COMMITTED";
  if (code === '25001' && /^\s*discard\b/i.test(statement))
    return 'take it out: what a file leaves in the session is put away after it';
  if (code === '25001' && /^\s*alter\s+system\b/i.test(statement))
    return "take it out: settings of the server are its administrator's";
  // A typographic quote makes a name of a text, which a DEFAULT refuses as a feature that is not there.
  return code.startsWith('42') || code === '0A000' ? syntaxHint(text, path, { at, part }) : undefined;
}
