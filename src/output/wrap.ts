/** A call of kasm-db with its options: whoever copies it from a terminal must not get half of it. */
const CALL = /kasm-db [a-z][\w-]*(?: --?[a-z][\w-]*(?:[ =][^\s;,)]+)?)*/g;

/** Stands for a space at which no line ends; from Unicode's private use. */
const JOINT = '\ue000';

// biome-ignore lint/suspicious/noControlCharactersInRegex: colours take no room.
const COLOR = /\u001b\[\d+m/g;

/** A narrower terminal breaks the lines itself, in columns. */
const MIN_WIDTH = 20;

/** How many columns a text takes. */
export function columnsOf(text: string): number {
  return [...text.replace(COLOR, '')].length;
}

/**
 * Breaks lines that are longer than that at spaces; a word that is longer stays whole. Pure.
 * @param width in columns; Infinity: nothing is broken
 * @param hang the column at which a broken line goes on; default: two further in than it began
 */
export function wrap(text: string, width: number, hang?: number): string {
  if (width < MIN_WIDTH) return text;
  return text
    .split('\n')
    .map((line) => (columnsOf(line) <= width ? line : wrapLine(line, width, hang)))
    .join('\n');
}

function wrapLine(line: string, width: number, hang?: number): string {
  const indent = ' '.repeat(hang ?? (/^ */.exec(line)?.[0].length ?? 0) + 2);
  const rows: string[] = [];
  let row = '';
  for (const part of line.replace(CALL, (call) => call.replaceAll(' ', JOINT)).match(/\s*\S+/g) ?? []) {
    const fits = columnsOf(row) + columnsOf(part) <= width;
    if (fits || row === '') row += part;
    else {
      rows.push(row);
      row = `${indent}${part.trimStart()}`;
    }
  }
  return [...rows, row].join('\n').replaceAll(JOINT, ' ');
}

/** A text in at most so many columns; that something is left out shows. */
export function cut(text: string, width: number): string {
  return columnsOf(text) <= width ? text : `${[...text].slice(0, Math.max(0, width - 1)).join('')}…`;
}
