/** Text as HTML shows it. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** A name that may go on in the next line behind its underscores and dots, as HTML shows it. */
export function nameHtml(name: string): string {
  return escapeHtml(name).replace(/[_.](?=.)/g, '$&<wbr>');
}

/** The id of a table's or column's place in the page: HTML allows all but blanks in one. */
export function anchor(kind: 'table' | 'column' | 'area', name: string): string {
  return `${kind}-${name.replace(/\s/g, '+')}`;
}

/** A name or text without line breaks. */
export const oneLine = (text: string) => text.replace(/[\s\u0085]+/g, ' ');

/** Text as Markdown shows it, also in a table's cell: no markup, no HTML, no line break. An underscore within a word is none. */
export function escapeMarkdown(text: string): string {
  return oneLine(text).replace(/[\\`*[\]<>&|#~$!]|(?<![\p{L}\d])_|_(?![\p{L}\d])/gu, (c) => `\\${c}`);
}

/** Text as code, also in a table's cell: its fence is longer than any run of backticks in it. */
export function markdownCode(text: string): string {
  const line = oneLine(text).replaceAll('|', '\\|');
  const longest = Math.max(0, ...(line.match(/`+/g) ?? []).map((run) => run.length));
  const fence = '`'.repeat(longest + 1);
  return longest > 0 ? `${fence} ${line} ${fence}` : `${fence}${line}${fence}`;
}
