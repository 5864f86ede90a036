// Prints how PostgreSQL's own parser sees SQL, as the rules of lint get it: npm run parse -- 'DROP TABLE x'
import { parseScript } from '../src/postgres/parser.js';

for (const { type, node } of await parseScript(process.argv.slice(2).join(' '), 'the argument'))
  console.log(type, JSON.stringify(node, undefined, 2));
