/** A migration that makes a table, for tests that need one and do not care which. */
export const ONE = { '0001_one.sql': 'CREATE TABLE one (x integer);\n' };
export const TWO = { ...ONE, '0002_two.sql': 'CREATE TABLE two (x integer);\n' };
