// Writes docs/LINT.md's table of rules from src/lint: npm run docs:lint
import { readFileSync, writeFileSync } from 'node:fs';
import { RULES } from '../src/lint/lint.js';

const PAGE = 'docs/LINT.md';
const TABLE = /(\| rule \| what happens \| the safe way \|\n\|---\|---\|---\|\n)(?:\| .*\n)*/;
const rows = RULES.map(({ id, why, safe }) => `| \`${id}\` | ${why} | ${safe} |\n`).join('');
const page = readFileSync(PAGE, 'utf8');
if (!TABLE.test(page)) throw new Error(`${PAGE}: the heading of the table of rules is missing`);
writeFileSync(
  PAGE,
  page.replace(TABLE, (_, heading) => `${heading}${rows}`),
);
