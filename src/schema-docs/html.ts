import { type Area, type DocTable, traitsOf } from './areas.js';
import { anchor, escapeHtml as e, nameHtml as n } from './escape.js';
import { SCRIPT, STYLE } from './page.js';

/** One page that needs nothing from anywhere else: search, areas with their diagrams, a section for each table. Pure. @param diagrams SVG by area @param foot where it was read, when and by what */
export function htmlOf(
  title: string,
  areas: readonly Area[],
  diagrams: ReadonlyMap<string, string>,
  foot = '',
): string {
  const tables = areas.flatMap((area) => area.tables);
  const columns = tables.reduce((sum, { table }) => sum + table.columns.length, 0);
  const nav = areas.map(
    (area) =>
      `<li><a href="#${e(anchor('area', area.id))}">${e(area.title)}</a><ul>${area.tables.map(({ name }) => `<li data-name="${e(name)}"><a href="#${e(anchor('table', name))}">${n(name)}</a></li>`).join('')}</ul></li>`,
  );
  const sections = areas.map(
    (area) =>
      `<section class="area" id="${e(anchor('area', area.id))}"><h2>${e(area.title)}</h2><details class="picture" open><summary>Diagram</summary><div class="diagram" tabindex="0">${diagrams.get(area.id) ?? ''}</div></details>${area.tables.map(section).join('')}</section>`,
  );
  return `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,"><title>${e(title)}</title><style>${STYLE}</style></head>
<body><nav><h1>${e(title)}</h1><p class="count">${tables.length} tables, ${columns.toLocaleString('en-US')} columns</p>
<input id="search" type="search" placeholder="Search  ( / )" aria-label="Search tables and columns" autocomplete="off">
<p id="hits" role="status"></p><ul id="found" hidden></ul><details id="menu" open><summary>Tables by area</summary><ul id="areas">${nav.join('')}</ul></details>
<button id="theme" type="button">Dark or light</button></nav>
<main>${sections.join('\n')}<footer>${e(foot)}</footer></main><script>${SCRIPT}</script></body></html>
`;
}

function section(doc: DocTable): string {
  const { name, table, references, referencedBy } = doc;
  const rows = table.columns.map((column) => {
    const target = references.get(column.name);
    const notes = [
      ...traitsOf(doc, column).map(e),
      ...(column.default ? [`default <code>${e(column.default)}</code>`] : []),
      ...(target ? [`→ ${link(target.table, target.column)}`] : []),
    ].join(', ');
    return `<tr id="${e(anchor('column', `${name}.${column.name}`))}"><td><code>${n(column.name)}</code></td><td>${e(column.type)}</td><td>${notes}</td><td>${e(column.comment ?? '')}</td></tr>`;
  });
  const list = (title: string, items: readonly string[]) =>
    items.length > 0
      ? `<details><summary>${title} (${items.length})</summary><ul>${items.map((item) => `<li>${item}</li>`).join('')}</ul></details>`
      : '';
  const constraints = table.constraints.map(({ name: own, definition }) => `<code>${n(own)}</code> ${e(definition)}`);
  const indexes = table.indexes.map(({ definition }) => `<code>${e(definition)}</code>`);
  const triggers = table.triggers.map(({ definition }) => `<code>${e(definition)}</code>`);
  return `<article class="table" id="${e(anchor('table', name))}"><h3>${n(name)}</h3>${table.comment ? `<p>${e(table.comment)}</p>` : ''}
<div class="wide"><table><thead><tr><th>Column</th><th>Type</th><th>Details</th><th>Comment</th></tr></thead><tbody>${rows.join('')}</tbody></table></div>
${referencedBy.length > 0 ? `<p class="by">Referenced by ${referencedBy.map((other) => link(other.table, other.column)).join(', ')}</p>` : ''}${list('Keys and checks', constraints)}${list('Indexes', indexes)}${list('Triggers', triggers)}</article>`;
}

function link(table: string, column: string): string {
  return `<a href="#${e(anchor('table', table))}">${n(`${table}.${column}`)}</a>`;
}
