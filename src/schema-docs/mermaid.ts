import type { Area } from './areas.js';
import { oneLine } from './escape.js';

/** An entity diagram of each area for Mermaid: keys only, so that a person can read it. Pure. */
export function mermaidOf(areas: readonly Area[]): string {
  return areas.map((area) => `%% ${oneLine(area.title)}\n${areaDiagram(area)}`).join('\n');
}

/** One area. */
export function areaDiagram({ tables }: Area): string {
  const lines = tables.flatMap(({ name, table, references, primaryKey, keys }) => {
    const rows = keys.map((column) => {
      const marks = [primaryKey.has(column.name) ? 'PK' : '', references.has(column.name) ? 'FK' : ''].filter(Boolean);
      return `    ${word(column.type)} ${word(column.name)} ${marks.join(', ')}`;
    });
    const links = [...references].map(([column, target]) => {
      const required = table.columns.find(({ name: found }) => found === column)?.notNull;
      return `  ${entity(target.table)} ${required ? '||' : '|o'}--o{ ${entity(name)} : ${word(column)}`;
    });
    return [...(rows.length > 0 ? [`  ${entity(name)} {`, ...rows, '  }'] : [`  ${entity(name)}`]), ...links];
  });
  return `erDiagram\n${lines.join('\n')}\n`;
}

const word = (text: string) => text.replace(/[^\w]+/g, '_').replace(/_$/, '') || '_';
/** Mermaid takes a quoted name as it is, but for quotes and line breaks; its HTML must not come through either. */
const entity = (name: string) => `"${oneLine(name).replace(/["<>&`%\\]/g, '_')}"`;
