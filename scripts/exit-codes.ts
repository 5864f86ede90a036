// Writes docs/TROUBLESHOOTING.md's part about exit codes, from the text of `kasm-db help exit-codes`: npm run docs:exit-codes
import { readFileSync, writeFileSync } from 'node:fs';
import { EXIT_CODE_HELP } from '../src/cli/help/exit-codes.js';
import { exitCodesMarkdown } from '../src/cli/help/exit-codes-text.js';

const PAGE = 'docs/TROUBLESHOOTING.md';
const page = readFileSync(PAGE, 'utf8');
const [before, after] = [page.search(/^## /m), page.indexOf("## The history's definition")];
writeFileSync(PAGE, `${page.slice(0, before)}${exitCodesMarkdown(EXIT_CODE_HELP)}\n\n${page.slice(after)}`);
