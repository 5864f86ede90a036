// Writes docs/SETTINGS.md's table of libpq's parameters from src/config/parameters.ts: npm run docs:settings
import { readFileSync, writeFileSync } from 'node:fs';
import { settingsTable } from './settings/table.js';

const PAGE = 'docs/SETTINGS.md';
const MARKERS = /(<!-- parameters: [^\n]* -->\n)[\s\S]*(<!-- end of parameters -->)/;
const page = readFileSync(PAGE, 'utf8');
if (!MARKERS.test(page)) throw new Error(`${PAGE}: the markers of the table are missing`);
writeFileSync(
  PAGE,
  page.replace(MARKERS, (_, begin, end) => `${begin}\n${settingsTable()}\n\n${end}`),
);
