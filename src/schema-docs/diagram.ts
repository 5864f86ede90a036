import { Graphviz } from '@hpcc-js/wasm-graphviz';
import { breather } from '../app/time.js';
import type { Area, DocTable } from './areas.js';
import { anchor, escapeHtml } from './escape.js';

/** The diagrams of all areas as SVG, by area; Graphviz as WebAssembly, some 100 ms to load. @throws the signal's reason */
export async function drawAll(areas: readonly Area[], signal: AbortSignal): Promise<Map<string, string>> {
  const graphviz = await Graphviz.load();
  const breathe = breather(signal);
  const drawn = new Map<string, string>();
  for (const area of areas) {
    await breathe();
    drawn.set(area.id, inlineSvg(graphviz.layout(dotOf(area), 'svg', 'dot'), area.title));
  }
  return drawn;
}

/**
 * An area as Graphviz draws it, in a monospaced font, whose widths are the same everywhere: its tables with their keys, and small boxes for the tables of other areas that they are connected with. Pure.
 */
function dotOf({ id, tables }: Area): string {
  const own = new Set(tables.map(({ name }) => name));
  const others = new Set<string>();
  const edges = new Set<string>();
  for (const { name, references, referencedBy } of tables) {
    for (const [column, target] of references) {
      if (!own.has(target.table)) others.add(target.table);
      edges.add(
        `${quote(name)}:${quote(`c_${column}`)}:e -> ${quote(target.table)}${own.has(target.table) ? ':"head"' : ''};`,
      );
    }
    for (const other of referencedBy) {
      if (own.has(other.table)) continue;
      others.add(other.table);
      edges.add(`${quote(other.table)} -> ${quote(name)}:"head";`);
    }
  }
  const boxes = tables.map(
    (table) =>
      `${quote(table.name)} [class="table", href=${quote(`#${anchor('table', table.name)}`)}, label=<${label(table)}>];`,
  );
  const small = [...others].map(
    (name) =>
      `${quote(name)} [class="other", shape=box, style=rounded, fontsize=10, href=${quote(`#${anchor('table', name)}`)}, label=${quote(name)}];`,
  );
  return `digraph ${quote(id)} {
rankdir=LR; bgcolor="transparent"; nodesep=0.25; ranksep=0.9; fontname="Courier";
node [shape=plain, fontname="Courier", fontsize=11]; edge [arrowsize=0.6];
${[...boxes, ...small, ...edges].join('\n')}
}`;
}

function label({ name, table, references, primaryKey, keys }: DocTable): string {
  const others = table.columns.filter((column) => !keys.includes(column));
  // All keys; more rows make a box that nobody looks at as a whole.
  const shown = [...keys, ...others].slice(0, Math.max(keys.length, 6));
  const rows = shown.map((column) => {
    const mark = primaryKey.has(column.name) ? 'PK' : references.has(column.name) ? 'FK' : '';
    return `<tr><td align="left">${mark ? `<b>${mark}</b> ` : ''}${escapeHtml(column.name)}</td><td align="left" port="${escapeHtml(`c_${column.name}`)}">${escapeHtml(short(column.type))}</td></tr>`;
  });
  const rest = table.columns.length - shown.length;
  if (rest > 0) rows.push(`<tr><td align="left" colspan="2"><i>and ${rest} more</i></td></tr>`);
  return `<table border="0" cellborder="1" cellspacing="0" cellpadding="3"><tr><td port="head" colspan="2"><b>${escapeHtml(name)}</b></td></tr>${rows.join('')}</table>`;
}

function short(type: string): string {
  return type
    .replace('character varying', 'varchar')
    .replace('timestamp without time zone', 'timestamp')
    .replace('timestamp with time zone', 'timestamptz')
    .replace('time without time zone', 'time')
    .replace('double precision', 'float8');
}

const quote = (text: string) => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;

/** Graphviz's SVG without its prologue; colours are the page's, so that they follow dark and light. */
function inlineSvg(svg: string, title: string): string {
  return (
    svg
      .slice(svg.indexOf('<svg'))
      .replace(/<svg [^>]*viewBox="([^"]*)"[^>]*>/, (_, box: string) => {
        const [, , width = '0', height = '0'] = box.split(' ');
        return `<svg role="img" aria-label="${escapeHtml(title)}" viewBox="${box}" width="${Math.ceil(Number(width))}" height="${Math.ceil(Number(height))}">`;
      })
      .replaceAll('xlink:href', 'href')
      // Each diagram counts its boxes from 1, and a page has an id once.
      .replace(/ id="[^"]*"/g, '')
      .replace(/ xlink:title="[^"]*"/g, '')
      .replace(/<title>[^<]*<\/title>\n?/g, '')
      .replace(/<!--[\s\S]*?-->\n?/g, '')
      .replace(/ (?:fill|stroke|font-family|font-size)="(?:black|none|Courier[^"]*|transparent)"/g, (found) =>
        found.includes('"none"') ? ' class="bare"' : '',
      )
  );
}
