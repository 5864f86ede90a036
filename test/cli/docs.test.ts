import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { HtmlValidate, StaticConfigLoader } from 'html-validate';
import { beforeAll, describe, expect, it } from 'vitest';
import { publishedSchema } from '../fixtures/kasm/catalog.js';
import { migrate } from '../fixtures/kasm/observe.js';
import { hasChromium, openPage } from '../support/chromium.js';
import { cli, folder } from '../support/cli.js';
import { createDatabase } from '../support/database.js';
import { SCHEMA } from '../support/release.js';
import { hasTerminal, onTerminal } from '../support/terminal.js';

const published = [...publishedSchema().tables];
const TABLES = SCHEMA.tables.length;
const MAX_BYTES = 1_500_000;

/** What is not valid HTML, or not to be used by everybody. An id may be any name without blanks (HTML 3.2.6). */
async function faultsOf(page: string): Promise<string[]> {
  const rules = { 'valid-id': ['error', { relaxed: true }] as ['error', object] };
  const extended = ['html-validate:standard', 'html-validate:document', 'html-validate:a11y'];
  const { results } = await new HtmlValidate(
    new StaticConfigLoader({ root: true, extends: extended, rules }),
  ).validateString(page);
  const ids = [...page.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
  return [
    ...results.flatMap(({ messages }) => messages.map(({ line, message }) => `${line}: ${message}`)),
    // The validator does not look into SVG.
    ...ids.filter((id, i) => ids.indexOf(id) !== i).map((id) => `the id ${id} is there twice`),
  ];
}

let path: string;
let html: string;
beforeAll(async () => {
  path = join(folder({ 'x.txt': '' }), 'schema.html');
  const run = await cli(['docs', '--out', path]);
  expect(run.code, run.stderr).toBe(0);
  expect(run.stdout).toContain(`${TABLES} tables`);
  html = readFileSync(path, 'utf8');
});

describe('docs', () => {
  it('HTML: one file below 1.5 MB that names nothing outside of it, with every published table and column', () => {
    expect(statSync(path).size).toBeLessThan(MAX_BYTES);
    expect(
      html.replaceAll('http://www.w3.org/2000/svg', '').replaceAll('http://www.w3.org/1999/xlink', ''),
    ).not.toMatch(/https?:\/\//);
    for (const [table, columns] of published) {
      expect(html).toContain(`id="table-${table}"`);
      for (const column of columns.keys()) expect(html).toContain(`id="column-${table}.${column}"`);
    }
  });

  it('HTML: is valid', async () => {
    expect(await faultsOf(html)).toEqual([]);
  });

  it('HTML: says at its foot where it is from, when and by what; every column of a table has a name', () => {
    expect(html).toMatch(
      /<footer>Read from the migrations of this build on \d{4}-\d\d-\d\d \d\d:\d\d:\d\d by kasm-db [\d.]+\.<\/footer>/,
    );
    expect(html).not.toContain('<th></th>');
    expect(html).toContain('<details id="menu" open>');
  });

  it.runIf(hasTerminal)('HTML on a terminal goes into schema.html, and says so', async () => {
    const cwd = folder({});
    const text = await onTerminal(['docs', '--no-color'], {}, { cwd });
    expect(text).toMatch(/^Wrote schema\.html: \d+ tables/);
    expect(statSync(join(cwd, 'schema.html')).size).toBeGreaterThan(100_000);
  });

  it('Mermaid and Markdown: every table, and links by foreign key', async () => {
    const mermaid = await cli(['docs', '--format', 'mermaid']);
    expect(mermaid.stdout).toMatch(/"companies" \|o--o\{ "users" : company_id/);
    const markdown = await cli(['docs', '--format', 'markdown', '--json']);
    for (const [table] of published) {
      expect(mermaid.stdout).toContain(`"${table}"`);
      expect(markdown.json().page).toContain(`### ${table}\n`);
    }
    expect(markdown.json().page).toMatch(/\| `company_id` \| uuid \|.*→ `companies.company_id`/);
  });

  it('names, defaults and comments of a database become no line, markup or code of Markdown and Mermaid', async () => {
    const db = await createDatabase();
    await db.query(`CREATE TABLE "t\n## Forged\n""<img src=x>" ("c\n\`\`\`\n|" int PRIMARY KEY DEFAULT length('\`|x')); COMMENT ON TABLE
      "t\n## Forged\n""<img src=x>" IS E'| a |\n\n# Forged\n<script>[x](javascript:alert(1))'; COMMENT ON SCHEMA public IS 'x'`);
    const page = async (format: string) => (await cli(['docs', '--format', format], db.env)).stdout;
    const markdown = await page('markdown');
    expect(markdown).toContain('Forged');
    expect(markdown.replace(/(`+) ?.*?\1/g, '')).not.toMatch(/^#+ Forged|(?<!\\)<(img|script)/m);
    expect(markdown).not.toMatch(/(?<!\\)\[x(?<!\\)\]/);
    expect(markdown.match(/^```.*$/gm)).toEqual(markdown.match(/^```(mermaid)?$/gm));
    const mermaid = await page('mermaid');
    expect(mermaid).toMatch(/^ {2}"t ## Forged __img src=x_" \{$/m);
    expect(mermaid).not.toContain('<');
  });

  it('a database that is named is read instead; text from it cannot become markup', async () => {
    const db = await createDatabase();
    await migrate(
      db,
      folder({
        '0001_a.sql':
          'CREATE TABLE "a table" ("a column" int);\nCREATE TABLE "<b>" ("x""y" int PRIMARY KEY, note text DEFAULT \'</script>\');\nCOMMENT ON TABLE "<b>" IS \'<img src=x onerror=alert(1)>\';\nCREATE TABLE c (b int REFERENCES "<b>");\n',
      }),
    );
    const out = join(folder({ 'x.txt': '' }), 'live.html');
    const run = await cli(['docs', '--out', out], db.env);
    expect(run.code, run.stderr).toBe(0);
    const page = readFileSync(out, 'utf8');
    expect(page).toContain(`database ${db.name}`);
    expect(page).not.toContain('kasm_db.migrations');
    expect(page).not.toContain('<img');
    expect(page.match(/<\/script>/g)).toHaveLength(1);
    expect(page).toContain('Referenced by');
    expect(await faultsOf(page)).toEqual([]);
  });

  it('an unknown format, a folder without a snapshot, a file that cannot be written: exit 2', async () => {
    expect((await cli(['docs', '--format', 'pdf'])).code).toBe(2);
    expect((await cli(['docs', '--migrations', folder({ '0001_a.sql': 'SELECT 1;' })])).code).toBe(2);
    expect((await cli(['docs', '--out', '/nowhere/at/all.html'])).code).toBe(2);
  });
});

describe.skipIf(!hasChromium())('docs › in a real browser', () => {
  it('search finds users; every published table and column is there; diagrams, links and the theme work; no complaint', async () => {
    const page = await openPage(pathToFileURL(path).href);
    try {
      const names = await page.run<string[]>(
        "[...document.querySelectorAll('article.table')].map((a) => a.id.slice(6))",
      );
      expect(names).toHaveLength(TABLES);
      expect(published.filter(([table]) => !names.includes(table))).toEqual([]);
      const rows = new Set(
        await page.run<string[]>("[...document.querySelectorAll('tbody tr')].map((row) => row.id.slice(7))"),
      );
      const columns = published.flatMap(([table, own]) => [...own.keys()].map((column) => `${table}.${column}`));
      expect(columns.length).toBeGreaterThan(1000);
      expect(columns.filter((column) => !rows.has(column))).toEqual([]);

      const search = (text: string) =>
        page.run<
          string[]
        >(`(() => { const s = document.getElementById('search'); s.value = ${JSON.stringify(text)}; s.dispatchEvent(new Event('input'));
          return [...document.querySelectorAll('#found a')].map((a) => a.textContent); })()`);
      expect((await search('users'))[0]).toBe('users');
      expect(await search('company_id')).toContain('users.company_id');
      expect(await search('no such thing')).toEqual([]);
      expect(await search('')).toEqual([]);

      const dead =
        "[...document.querySelectorAll('a')].filter((a) => !document.getElementById(decodeURIComponent((a.getAttribute('href') ?? '').slice(1)))).length";
      expect(await page.run(dead)).toBe(0);
      expect(
        await page.run(
          "[...document.querySelectorAll('.diagram')].filter((d) => !d.querySelector('svg .node')).length",
        ),
      ).toBe(0);
      // No text leaves its box.
      const outside = `[...document.querySelectorAll('.diagram .node')].flatMap((node) => {
        const right = Math.max(...[...node.querySelectorAll('polygon, path')].map((box) => box.getBoundingClientRect().right));
        return [...node.querySelectorAll('text')].filter((text) => text.getBoundingClientRect().right > right + 1).map((text) => text.textContent);
      })`;
      expect(await page.run(outside)).toEqual([]);
      const background = 'getComputedStyle(document.body).backgroundColor';
      const before = await page.run(background);
      await page.run("document.getElementById('theme').click()");
      expect(await page.run(background)).not.toBe(before);
      expect(page.complaints).toEqual([]);
    } finally {
      await page.close();
    }
  });

  it.each([
    400, 1400,
  ])('a window of %i pixels: nothing scrolls sideways, and names are whole where there is room', async (width) => {
    const page = await openPage(pathToFileURL(path).href, width);
    try {
      const tooWide =
        "[document.documentElement, ...document.querySelectorAll('.wide')].filter((e) => e.scrollWidth > e.clientWidth).length";
      expect(await page.run(tooWide)).toBe(0);
      expect(await page.run("document.getElementById('menu').open")).toBe(width > 900);
      const broken =
        "[...document.querySelectorAll('nav a, h3, td:first-child code')].filter((e) => e.offsetHeight > 40).map((e) => e.textContent)";
      expect(await page.run(broken)).toEqual([]);
    } finally {
      await page.close();
    }
  });
});
