import { splitStatements } from '../postgres/statements.js';

const QUICK =
  /^(create table|create unlogged table|create index|create unique index|comment on|drop table|drop index)\b/;
/** The rows that are there are looked at by PostgreSQL's own query. */
const FOREIGN_KEY =
  /^alter\s+table\s+[\w.]+\s+add\s+constraint\s+\w+\s+foreign\s+key\s*\([\w\s,]+\)\s*references\s+[\w.]+\s*(\([\w\s,]+\)\s*)?(on\s+(delete|update)\s+(cascade|restrict|no\s+action)\s*)*$/i;
/**
 * CREATE TABLE … AS runs a query, and the bounds of a partition (FOR VALUES …) may call a function. The others stand for a scanner that takes
 * for a string or comment what the server does not.
 */
const NOT_QUICK =
  /\b(abort|as|begin|call|commit|copy|deallocate|discard|do|end|execute|function|insert|load|prepare|reset|rollback|select|set|set_config|start|values)\b/i;
/** Strings and comments of a text without these end where anybody sees them end; in any other their words count too. */
const ODD = /[\\$]|\/\*/;
const HIDDEN = /'[^']*'|"[^"]*"|--[^\n]*/g;

/**
 * Is the file nothing but simple DDL? It then runs no code of anybody's: it cannot change a setting, end its transaction or leave something in
 * the session, so none of that has to be put right after it. When in doubt it is not.
 * @returns the number of its statements, or undefined
 */
export function quickStatements(sql: string): number | undefined {
  const text = ODD.test(sql) ? sql : sql.replace(HIDDEN, (hidden) => ' '.repeat(hidden.length));
  if (NOT_QUICK.test(text)) return undefined;
  let count = 0;
  for (const { start, end, words } of splitStatements(text)) {
    if (!QUICK.test(words.join(' ')) && !FOREIGN_KEY.test(text.slice(start, end))) return undefined;
    count++;
  }
  return count;
}
