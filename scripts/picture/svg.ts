import { type Line, textOf } from './screen.js';

const CHAR = 8.43;
const ROW = 20;
const PAD = 22;
const BAR = 40;
const COLORS: Record<number, string> = { 1: 'b', 2: 'd', 31: 'r', 32: 'g', 33: 'y', 36: 'p' };

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** A window with these lines in it. Every stretch has its width set, so that columns stay aligned in whatever monospaced font there is. */
export function svg(lines: readonly Line[], title: string): string {
  const columns = Math.max(...lines.map((line) => textOf(line).length));
  const width = Math.ceil(columns * CHAR + 2 * PAD);
  const height = BAR + lines.length * ROW + PAD;
  const rows = lines.map((line, i) => {
    let column = 0;
    const parts = line.flatMap(({ text, style }) => {
      const x = (PAD + column * CHAR).toFixed(1);
      column += text.length;
      if (text.trim() === '') return [];
      const length = (text.length * CHAR).toFixed(1);
      const kind = COLORS[style] ? ` class="${COLORS[style]}"` : '';
      return [`<tspan x="${x}" textLength="${length}"${kind}>${escaped(text)}</tspan>`];
    });
    return parts.length > 0 ? `<text y="${BAR + 16 + i * ROW}">${parts.join('')}</text>` : '';
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}">
<style>
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace; fill: #d6deeb; white-space: pre; }
.b { font-weight: 700; fill: #ffffff; } .d { fill: #7f8ea3; } .r { fill: #ff7b72; } .g { fill: #7ee787; } .y { fill: #f2cc60; } .p { fill: #79c0ff; font-weight: 700; }
</style>
<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="10" fill="#0f1724" stroke="#2b3a52"/>
<circle cx="22" cy="20" r="6" fill="#ff5f57"/><circle cx="42" cy="20" r="6" fill="#febc2e"/><circle cx="62" cy="20" r="6" fill="#28c840"/>
${rows.filter(Boolean).join('\n')}
</svg>
`;
}
