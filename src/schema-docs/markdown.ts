import { type Area, type DocTable, traitsOf } from './areas.js';
import { areaDiagram } from './mermaid.js';

/** The schema as one Markdown page with a Mermaid diagram for each area. Pure. */
export function markdownOf(title: string, areas: readonly Area[]): string {
  const contents = areas.map((area) => `- ${area.title}: ${area.tables.map(({ name }) => `\`${name}\``).join(', ')}`);
  const sections = areas.map(
    (area) => `## ${area.title}\n\n\`\`\`mermaid\n${areaDiagram(area)}\`\`\`\n\n${area.tables.map(section).join('\n')}`,
  );
  return `# ${cell(title)}\n\n${contents.join('\n')}\n\n${sections.join('\n')}`;
}

function section(doc: DocTable): string {
  const { name, table, references, referencedBy } = doc;
  const rows = table.columns.map((column) => {
    const target = references.get(column.name);
    const leads = target ? [`→ \`${target.table}.${target.column}\``] : [];
    const byDefault = column.default ? [`default \`${cell(column.default)}\``] : [];
    const notes = [...traitsOf(doc, column), ...byDefault, ...leads].join(', ');
    return `| \`${column.name}\` | ${cell(column.type)} | ${notes} | ${cell(column.comment ?? '')} |`;
  });
  const indexes = table.indexes.map((index) => `- \`${index.name}\`: \`${index.definition}\``);
  return [
    `### ${name}`,
    ...(table.comment ? ['', cell(table.comment)] : []),
    '',
    '| column | type | | |',
    '|---|---|---|---|',
    ...rows,
    ...(referencedBy.length > 0
      ? ['', `Referenced by ${referencedBy.map((other) => `\`${other.table}.${other.column}\``).join(', ')}.`]
      : []),
    ...(indexes.length > 0 ? ['', ...indexes] : []),
    '',
  ].join('\n');
}

const cell = (text: string) => text.replaceAll('|', '\\|').replace(/\s+/g, ' ');
