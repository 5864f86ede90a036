/** A stretch of text in one style. */
export interface Span {
  text: string;
  /** SGR codes that kasm-db uses: 1 bold, 2 dim, 31 red, 32 green, 33 yellow; 36 is the picture's own prompt. */
  style: number;
}
export type Line = Span[];

/** Of the terminal; longer lines go on in the next row. */
export const COLUMNS = 96;

/**
 * What a terminal shows after this output: colours, carriage returns and "clear to the end of the line", which is all that kasm-db writes.
 * @throws Error for any other control sequence, so that nothing is left out in silence
 */
export function screen(output: string): Line[] {
  const lines: { char: string; style: number }[][] = [[]];
  let column = 0;
  let style = 0;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control sequences are what is read here.
  for (const [token] of output.matchAll(/\u001b\[[\d;]*[A-Za-z]|[\s\S]/gu)) {
    let line = lines.at(-1) as { char: string; style: number }[];
    if (token === '\r') column = 0;
    else if (token === '\n') {
      lines.push([]);
      column = 0;
    } else if (token === '\u001b[K') line.length = column;
    else if (token.startsWith('\u001b[') && token.endsWith('m')) style = styleOf(token);
    else if (token < ' ') throw new Error(`the terminal picture does not know ${JSON.stringify(token)}`);
    else {
      if (column === COLUMNS) {
        line = [];
        lines.push(line);
        column = 0;
      }
      line[column] = { char: token, style };
      column++;
    }
  }
  if (lines.at(-1)?.length === 0) lines.pop();
  return lines.map(spans);
}

/** 22 ends bold and dim, 39 a colour. */
function styleOf(token: string): number {
  const code = Number(token.slice(2, -1));
  return code === 22 || code === 39 ? 0 : code;
}

function spans(cells: { char: string; style: number }[]): Line {
  const line: Line = [];
  for (const { char, style } of cells) {
    const last = line.at(-1);
    if (last?.style === style) last.text += char;
    else line.push({ text: char, style });
  }
  return line;
}

export const textOf = (line: Line): string => line.map(({ text }) => text).join('');

/** Of many lines in a row that each tell of one migration, the first and the last ones; how many are left out is said. */
export function shortened(lines: readonly Line[]): Line[] {
  const result: Line[] = [];
  for (let i = 0; i < lines.length; ) {
    let end = i;
    while (end < lines.length && /\b\d{4}_\w+/.test(textOf(lines[end] as Line))) end++;
    if (end - i > HEAD + TAIL + 1) {
      const hidden = end - i - HEAD - TAIL;
      result.push(
        ...lines.slice(i, i + HEAD),
        [{ text: `  ⋮  ${hidden} more`, style: 2 }],
        ...lines.slice(end - TAIL, end),
      );
      i = end;
    } else {
      result.push(lines[i] as Line);
      i++;
    }
  }
  return result;
}
const HEAD = 3;
const TAIL = 1;
