import { Help } from 'commander';
import type { Style } from '../../output/terminal.js';

/** Where no terminal is: all but the last of 80 columns, as on a terminal of that width. */
const USUAL_WIDTH = 79;

const layout = Object.assign(new Help(), { minWidthToWrap: 20 });

function widthOf({ width }: Style): number {
  return Number.isFinite(width) ? width : USUAL_WIDTH;
}

/** A term, and its text in a column of its own. @param width of the terms' column */
export function item(term: string, text: string, width: number, s: Style): string {
  layout.helpWidth = widthOf(s);
  return layout.formatItem(term, width, text, layout);
}

export function wrapped(text: string, s: Style): string {
  return layout.boxWrap(text, widthOf(s));
}
