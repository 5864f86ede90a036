import { type Area, type DocTable, traitsOf } from './areas.js';
import { markdownCode as code, escapeMarkdown as e } from './escape.js';
import { areaDiagram } from './mermaid.js';

/** The schema as one Markdown page with a Mermaid diagram for each area. Pure. */
export function markdownOf(title: string, areas: readonly Area[]): string {
  const contents = areas.map((area) => `- ${e(area.title)}: ${area.tables.map(({ name }) => code(name)).join(', ')}`);
  const sections = areas.map(
    (area) =>
      `## ${e(area.title)}\n\n\`\`\`mermaid\n${areaDiagram(area)}\`\`\`\n\n${area.tables.map(section).join('\n')}`,
  );
  return `# ${e(title)}\n\n${contents.join('\n')}\n\n${sections.join('\n')}`;
}

function section(doc: DocTable): string {
  const { name, table, references, referencedBy } = doc;
  const rows = table.columns.map((column) => {
    const target = references.get(column.name);
    const leads = target ? [`→ ${code(`${target.table}.${target.column}`)}`] : [];
    const byDefault = column.default ? [`default ${code(column.default)}`] : [];
    const notes = [...traitsOf(doc, column).map(e), ...byDefault, ...leads].join(', ');
    return `| ${code(column.name)} | ${e(column.type)} | ${notes} | ${e(column.comment ?? '')} |`;
  });
  const indexes = table.indexes.map((index) => `- ${code(index.name)}: ${code(index.definition)}`);
  return [
    `### ${e(name)}`,
    ...(table.comment ? ['', e(table.comment)] : []),
    '',
    '| column | type | | |',
    '|---|---|---|---|',
    ...rows,
    ...(referencedBy.length > 0
      ? ['', `Referenced by ${referencedBy.map((other) => code(`${other.table}.${other.column}`)).join(', ')}.`]
      : []),
    ...(indexes.length > 0 ? ['', ...indexes] : []),
    '',
  ].join('\n');
}
