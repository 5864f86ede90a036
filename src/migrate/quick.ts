import { splitStatements } from '../postgres/statements.js';

const QUICK =
  /^(create table|create unlogged table|create index|create unique index|comment on|drop table|drop index)\b/;
/**
 * CREATE TABLE … AS runs a query, and the bounds of a partition (FOR VALUES …) may call a function. The others stand for a scanner that takes
 * for a string or comment what the server does not.
 */
const NOT_QUICK =
  /\b(abort|as|begin|call|commit|copy|deallocate|discard|do|end|execute|function|insert|load|prepare|reset|rollback|select|set|set_config|start|values)\b/i;

/**
 * Is the file nothing but simple DDL? It then runs no code of anybody's: it cannot change a setting, end its transaction or leave something in
 * the session, so none of that has to be put right after it. When in doubt it is not.
 * @returns the number of its statements, or undefined
 */
export function quickStatements(sql: string): number | undefined {
  if (NOT_QUICK.test(sql)) return undefined;
  let count = 0;
  for (const { words } of splitStatements(sql)) {
    if (!QUICK.test(words.join(' '))) return undefined;
    count++;
  }
  return count;
}
