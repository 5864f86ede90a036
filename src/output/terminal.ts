import { styleText } from 'node:util';
import { withoutSecrets } from '../app/secrets.js';
import { now } from '../app/time.js';
import { formatMs } from '../app/when.js';
import type { Sink } from './streams.js';
import { columnsOf, cut, wrap } from './wrap.js';

/** What a message may look like on this stream. */
export interface Style {
  colored: boolean;
  /** Columns that a line may take; Infinity where no terminal is: there a message stays on one line, for logs and other programs. */
  width: number;
  /** What was done stands on stderr already, a line each: the text need not list it again. */
  listed?: boolean;
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
}

/** How text is painted. @param colored false: not at all @param width see Style */
export function style(colored: boolean, width = Number.POSITIVE_INFINITY): Style {
  // Whether the stream takes colours is decided by wantsColor.
  const paint = (format: keyof Omit<Style, 'colored' | 'width' | 'listed'>) => (text: string) =>
    colored ? styleText(format, text, { validateStream: false }) : text;
  return {
    colored,
    width,
    bold: paint('bold'),
    dim: paint('dim'),
    red: paint('red'),
    green: paint('green'),
    yellow: paint('yellow'),
  };
}

/** Colours only on a terminal or with FORCE_COLOR (as in CI logs), and never against NO_COLOR (no-color.org) or --no-color. */
export function wantsColor(stream: Pick<Sink, 'isTTY'>, flag: boolean): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  if (!flag || NO_COLOR) return false;
  return FORCE_COLOR ? !['0', 'false'].includes(FORCE_COLOR) : stream.isTTY && TERM !== 'dumb';
}

/** Of a terminal that doesn't say how wide it is. */
const USUAL_COLUMNS = 80;

/** @returns the columns that a line may take on this stream: all but the last one, behind which some terminals begin a new line */
export function widthOf({ isTTY, columns }: Pick<Sink, 'isTTY' | 'columns'>): number {
  return isTTY ? (columns || USUAL_COLUMNS) - 1 : Number.POSITIVE_INFINITY;
}

/**
 * Text from a server or a file, safe to print: on one line, so that it cannot look like another message of ours; without control characters
 * that a terminal would obey, any that turn its direction, and secrets that are known.
 */
export function printable(text: string): string {
  return printableLines(text).replace(/[\n\u2028\u2029]+/g, ' ');
}

/** The same with its line breaks, for text that is shown as a block of its own. */
export function printableLines(text: string): string {
  return withoutSecrets(text).replace(OBEYED, '\ufffd');
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: removing them is the point.
const OBEYED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** The last look at what is printed: only our own colours get through, whoever forgot `printable`. */
export function safe(text: string, { colored }: Style): string {
  if (!colored) return printableLines(text);
  return text
    .split(OWN_COLOR)
    .map((part, i) => (i % 2 === 0 ? printableLines(part) : part))
    .join('');
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the codes of `style`.
const OWN_COLOR = /(\u001b\[(?:1|2|22|31|32|33|39)m)/;

/** JSON of one line; what a terminal would obey is written as an escape. */
export function safeJson(value: unknown): string {
  return JSON.stringify(value).replace(OBEYED, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** A last column that has less room goes below its row. */
const MIN_LAST_COLUMN = 24;
const BELOW = 4;

/** Rows as aligned columns. Where the last one is too wide for the terminal, its text is wrapped in its column, or below the row. */
export function table(header: string[], rows: string[][], s: Style): string {
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => columnsOf(row[i] ?? ''))));
  const start = widths.slice(0, -1).reduce((sum, width) => sum + width + 2, 0);
  const tooWide = start + (widths.at(-1) ?? 0) > s.width;
  const below = tooWide && s.width - start < MIN_LAST_COLUMN;
  const line = (cells: string[]) => {
    const aligned = cells.map((cell, i) =>
      i === header.length - 1 ? printable(cell) : printable(cell).padEnd(widths[i] as number),
    );
    if (!below) return wrap(aligned.join('  ').trimEnd(), s.width, start);
    const last = aligned[header.length - 1] ?? '';
    const first = aligned
      .slice(0, header.length - 1)
      .join('  ')
      .trimEnd();
    return last === '' ? first : `${first}\n${wrap(' '.repeat(BELOW) + last, s.width, BELOW)}`;
  };
  return [s.dim(line(header)), ...rows.map(line)].join('\n');
}

/** Without a terminal, work that goes on says so this often, in milliseconds. */
const SILENCE_MS = 30_000;

/** Progress of a run on stderr: a line that is written over on a terminal, else a line an event. */
export class Progress {
  private timer: NodeJS.Timeout | undefined;
  private shown = false;

  constructor(
    private readonly stream: Sink,
    private readonly s: Style,
    private readonly quiet: boolean,
  ) {}

  /** One line that stays. @param text with whatever comes from elsewhere made `printable` */
  log(text: string): void {
    if (this.quiet) return;
    this.clear();
    this.stream.write(`${wrap(safe(text, this.s).replace(/\n+/g, ' '), widthOf(this.stream))}\n`);
  }

  /** One line is written over: a terminal, and somebody who wants to see it. */
  get live(): boolean {
    return !this.quiet && this.stream.isTTY;
  }

  /** A piece of the work is done: a line that stays, unless the live line has shown it. */
  done(text: string): void {
    if (this.live) this.clear();
    else this.log(text);
  }

  /** What is being done now, with the time it takes so far. */
  busy(text: string): void {
    if (this.quiet) return;
    this.clear();
    const started = now();
    if (!this.live) {
      const again = () => this.stream.write(`${printable(text)}: running for ${formatMs(now() - started)}\n`);
      this.timer = setInterval(again, SILENCE_MS);
      this.timer.unref();
      return;
    }
    const draw = () => {
      const since = formatMs(now() - started);
      // A row more could not be written over.
      const line = `${cut(printable(text), widthOf(this.stream) - since.length - 1)} ${this.s.dim(since)}`;
      this.stream.write(`\r\u001b[K${line}`);
      this.shown = true;
    };
    draw();
    this.timer = setInterval(draw, 100);
    this.timer.unref();
  }

  clear(): void {
    clearInterval(this.timer);
    if (this.shown) this.stream.write('\r\u001b[K');
    this.shown = false;
  }
}
