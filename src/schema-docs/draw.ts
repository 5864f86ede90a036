import { Graphviz } from '@hpcc-js/wasm-graphviz';
import type { Area } from './areas.js';
import { dotOf, inlineSvg } from './diagram.js';

/** The diagrams of all areas as SVG, by area; Graphviz as WebAssembly, some 100 ms to load. */
export async function drawAll(areas: readonly Area[]): Promise<Map<string, string>> {
  const graphviz = await Graphviz.load();
  return new Map(areas.map((area) => [area.id, inlineSvg(graphviz.layout(dotOf(area), 'svg', 'dot'), area.title)]));
}
