/**
 * Writes the table of values in chart/<name>/README.md from the comments in values.yaml, between the markers.
 *   node scripts/chart-readme.mjs          writes
 *   node scripts/chart-readme.mjs --check  exits 1 when a README is out of date
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isMap, parseDocument } from 'yaml';

const charts = fileURLToPath(new URL('../chart', import.meta.url));
const MARKERS = /(<!-- values: [^\n]* -->\n)[\s\S]*(<!-- end of values -->)/;

/** Every value: its path, its default and the comment above it. A block of values with a comment gets a row without default. */
function rows(map, path = []) {
  return map.items.flatMap(({ key, value }, i) => {
    const name = [...path, key.value];
    // The first key's comment hangs on the map itself.
    const comment = key.commentBefore ?? (i === 0 && path.length > 0 ? map.commentBefore : undefined);
    // What stands above a blank line is about more than this value.
    const own = (comment ?? '').split(/\n\s*\n/).at(-1) ?? '';
    const text = own.split('\n').map((line) => line.trim());
    const block = isMap(value) && value.items.length > 0 && !value.flow;
    const row = {
      name: name.join('.'),
      value: block ? undefined : JSON.stringify(value.toJSON()),
      text: text.join(' '),
    };
    if (!block) return [row];
    return [...(row.text ? [row] : []), ...rows(value, name)];
  });
}

function table(values) {
  const cell = (text) => text.replaceAll('|', '\\|').replaceAll('{{', '{ {').replace(/ {2,}/g, ' ');
  const lines = rows(parseDocument(values).contents).map(
    ({ name, value, text }) => `| \`${name}\` | ${value === undefined ? '' : `\`${cell(value)}\``} | ${cell(text)} |`,
  );
  return ['| value | default | |', '|---|---|---|', ...lines].join('\n');
}

let stale = 0;
for (const chart of readdirSync(charts)) {
  const readme = `${charts}/${chart}/README.md`;
  if (!existsSync(readme)) continue;
  const before = readFileSync(readme, 'utf8');
  if (!MARKERS.test(before)) throw new Error(`${readme}: the markers of the table of values are missing`);
  const values = readFileSync(`${charts}/${chart}/values.yaml`, 'utf8');
  const after = before.replace(MARKERS, (_, begin, end) => `${begin}\n${table(values)}\n\n${end}`);
  if (after === before) continue;
  if (process.argv.includes('--check')) {
    console.error(`${readme} is out of date: npm run docs:chart`);
    stale = 1;
  } else writeFileSync(readme, after);
}
process.exitCode = stale;
