import type { Rule } from '../rule.js';

/** NAMEDATALEN - 1. */
const MAX_IDENTIFIER_BYTES = 63;

export const fileRules: Rule[] = [
  {
    id: 'missing-down',
    why: 'kasm-db rollback cannot go back behind it',
    safe: 'write NNNN_name.down.sql beside it; comments alone say that nothing has to be undone',
    checkFile: ({ migration }) => !migration.hasDown && `there is no ${migration.name}.down.sql`,
  },
  {
    id: 'identifier-too-long',
    why: 'PostgreSQL cuts it to 63 bytes without a word, so that names meet that should differ',
    safe: 'use a shorter name',
    // From the text: the parser cuts names as the server does.
    check: ({ sql }) =>
      [...withoutTexts(sql).matchAll(/"([^"]+)"|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/g)]
        .map(([word, quoted]) => quoted ?? word)
        .filter((name) => Buffer.byteLength(name) > MAX_IDENTIFIER_BYTES)
        .map((name) => `"${name}" has ${Buffer.byteLength(name)} bytes`),
  },
];

function withoutTexts(sql: string): string {
  return sql.replace(/--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'|(\$\w*\$)[\s\S]*?\1/g, ' ');
}
