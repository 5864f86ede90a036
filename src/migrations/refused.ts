import { KasmDbError } from '../app/errors.js';
import { excerpt, lineAt, psqlCommands, splitStatements, tokensOf } from '../postgres/statements.js';

/** A file of a migration, up or down. */
interface File {
  name: string;
  path: string;
  transaction: boolean;
}

/** Something in a file that kasm-db does not run. */
interface Refused {
  /** UTF-16 offset in the file. */
  offset: number;
  message: string;
  hint: string;
  statement: string;
  isTransactionControl?: true;
}

const TRANSACTION_CONTROL = new Set(['begin', 'start', 'commit', 'end', 'rollback', 'abort', 'savepoint', 'release']);
/** Most files have none of these anywhere, and need not be split. */
const ANY_OF_THEM = new RegExp(
  `\\\\|\\b(?:${[...TRANSACTION_CONTROL, 'prepare', 'stdin', 'client_encoding', 'names', 'standard_conforming_strings'].join('|')})\\b`,
  'i',
);

/**
 * What of a file cannot be run, the first thing of it: transaction control in a file that runs in one transaction (a COMMIT would end it, and what
 * follows would stay when a later statement fails), commands of psql, data for COPY, and settings that change how the rest of the file is read.
 * Words in strings, comments and function bodies are no statements. Pure.
 */
function refusedIn(sql: string, transaction: boolean): Refused | undefined {
  if (!ANY_OF_THEM.test(sql)) return undefined;
  const command = psqlCommands(sql).next().value ?? undefined;
  for (const { start, end, keyword, words } of splitStatements(sql)) {
    // What stands behind COPY … FROM stdin is no SQL: whatever is found there comes after it.
    if (command && command.start < start) break;
    const text = sql.slice(start, end);
    const found = { offset: start, statement: excerpt(text) };
    if (TRANSACTION_CONTROL.has(keyword) || words.slice(0, 2).join(' ') === 'prepare transaction')
      return {
        ...found,
        isTransactionControl: true,
        message: `${keyword.toUpperCase()} may not stand inside a migration`,
        hint: transactionHint(transaction),
      };
    if (keyword === 'copy' && readsFromClient(text.slice(0, 10_000)))
      return {
        ...found,
        message: 'COPY … FROM stdin takes its rows from a client, and a migration has none',
        hint: ROWS_AS_INSERT,
      };
    const setting = ['set', 'reset', 'select'].includes(keyword) ? readingSetting(text.slice(0, 10_000)) : undefined;
    if (setting)
      return {
        ...found,
        message: `${setting} changes how the rest of the file is read`,
        hint:
          setting === 'standard_conforming_strings'
            ? "take the line out, and write strings with backslashes as E'…'"
            : 'take the line out, and save the file as UTF-8 (iconv -f OLD -t UTF-8)',
      };
  }
  if (!command) return undefined;
  return {
    offset: command.start,
    message: `${command.name} is a command of psql, not SQL`,
    hint: commandHint(command.name, sql.slice(command.start, command.end)),
    statement: excerpt(sql.slice(command.start, command.end)),
  };
}

/** COPY … FROM stdin, by its words: they may stand in a name or in a query, and a comment between them. */
function readsFromClient(copy: string): boolean {
  let depth = 0;
  let before = '';
  for (const { text } of tokensOf(copy)) {
    if (text === '(') depth++;
    if (text === ')') depth--;
    const word = text.toLowerCase();
    if (depth === 0 && before === 'from' && word === 'stdin') return true;
    before = word;
  }
  return false;
}

/** The same as a refusal. @throws KasmDbError usage, before anything is run */
export function refuseUnrunnable(migration: File, sql: string): void {
  refuse(migration, sql, refusedIn(sql, migration.transaction));
}

/** The same without transaction control, of which `lint` tells every place. @throws KasmDbError usage */
export function refuseUnreadable(migration: File, sql: string): void {
  const refused = refusedIn(sql, migration.transaction);
  if (!refused?.isTransactionControl) refuse(migration, sql, refused);
}

function refuse(migration: File, sql: string, refused: Refused | undefined): void {
  if (!refused) return;
  const { offset, message, hint, statement } = refused;
  const line = lineAt(sql, offset);
  throw new KasmDbError('usage', `${migration.path}:${line}: ${message}`, {
    hint,
    migration: migration.name,
    file: migration.path,
    line,
    statement,
  });
}

function transactionHint(transaction: boolean): string {
  return transaction
    ? 'take it out: kasm-db runs the file in a transaction of its own; a file that cannot run in one begins with "-- kasm-db: no-transaction"'
    : 'take it out: kasm-db commits each statement of this file by itself';
}

const SETTING =
  /^(?:set\s+(?:session\s+|local\s+)?|reset\s+|select\b.*\bset_config\s*\(\s*')(client_encoding|standard_conforming_strings|names)\b[',\s]*(?:=|\bto\b)?\s*'?([^';\s]*)/is;

/** The name of a setting that the server reads the file by, where it is changed: dumps set it to what it is. */
function readingSetting(statement: string): string | undefined {
  const [, name = '', value = ''] = SETTING.exec(statement) ?? [];
  if (name === '') return undefined;
  if (name.toLowerCase() === 'standard_conforming_strings')
    return /^(on|true|yes|1)$/i.test(value) ? undefined : 'standard_conforming_strings';
  return /^(utf-?8|unicode|default|)$/i.test(value) ? undefined : 'client_encoding';
}

/** psql's own settings, which are written in capitals. */
const PSQL_SETTING = /^\\set\s+[A-Z_]+\b/;

const ROWS_AS_INSERT = 'write the rows as INSERT: pg_dump does it with --inserts (or --rows-per-insert=1000)';
const COMMAND_HINTS: readonly (readonly [names: RegExp, hint: string])[] = [
  [/^\\(i|ir|include|include_relative)$/, 'put the SQL of that file here, or into a migration of its own'],
  [/^\\(c|connect)$/, 'take it out: kasm-db connects by its own settings, and a migration works in that one database'],
  [
    /^\\(set|gset|if|elif|else|endif|gexec)$/,
    'write the values themselves; what depends on the database goes into a DO block',
  ],
  [/^\\(copy|\.)$/, ROWS_AS_INSERT],
  [/^\\gx?$/, 'end the statement with a semicolon instead'],
  [/^\\encoding$/, 'take it out, and save the file as UTF-8'],
];

function commandHint(name: string, command: string): string {
  if (PSQL_SETTING.test(command))
    return 'take it out: it is a setting of psql, and kasm-db stops at the first error by itself';
  const found = COMMAND_HINTS.find(([names]) => names.test(name));
  return found?.[1] ?? 'take it out: only SQL can stand in a migration';
}

/** What every pg_dump since August 2025 writes around its SQL, with a key that differs each time: it says nothing to a server. */
const RESTRICT = /^\\(?:un)?restrict\b/;

/** The text without those lines; all others stay where they are. */
export function withoutRestrict(sql: string): string {
  if (!sql.includes('restrict')) return sql;
  let out = '';
  let at = 0;
  for (const { start, end } of psqlCommands(sql)) {
    if (!RESTRICT.test(sql.slice(start, end))) continue;
    out += sql.slice(at, start) + ' '.repeat(end - start);
    at = end;
  }
  return out + sql.slice(at);
}
