/** The pages of the documentation, and what stands in them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '../..');

/** Every Markdown file that a visitor reads, relative to the root. */
export const PAGES: string[] = ['.', 'docs', 'docs/decisions', 'chart/kasm-db', 'chart/kasm-single-zone'].flatMap(
  (folder) =>
    readdirSync(join(ROOT, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(folder, name)),
);

export const textOf = (page: string): string => readFileSync(join(ROOT, page), 'utf8');

export interface Fence {
  page: string;
  /** 1-based line of its first line. */
  line: number;
  /** `sh`, `yaml`, `ts`, or nothing. */
  language: string;
  /** What stands in a comment on the line above: `values: chart/kasm-db`. */
  mark: string;
  text: string;
}

/** Fenced blocks of a page. @throws Error where one is not closed */
export function fences(page: string, text = textOf(page)): Fence[] {
  const result: Fence[] = [];
  let open: Fence | undefined;
  let indent = '';
  const lines = text.split('\n');
  for (const [i, line] of lines.entries()) {
    const fence = /^( *)```(\w*)\s*$/.exec(line);
    if (open && fence && fence[2] === '' && fence[1] === indent) {
      result.push(open);
      open = undefined;
    } else if (open) open.text += `${line.startsWith(indent) ? line.slice(indent.length) : line}\n`;
    else if (fence) {
      indent = fence[1] as string;
      const mark = /^ *<!-- (.*) -->$/.exec(lines[i - 1] ?? '')?.[1] ?? '';
      open = { page, line: i + 2, language: fence[2] as string, mark, text: '' };
    }
  }
  if (open) throw new Error(`${page}:${open.line}: the block is not closed`);
  return result;
}

/** The page without its fenced blocks; lines keep their numbers. */
export function prose(text: string): string {
  let inside = false;
  return text
    .split('\n')
    .map((line) => {
      const fence = /^ *```/.test(line);
      const hidden = inside || fence;
      if (fence) inside = !inside;
      return hidden ? '' : line;
    })
    .join('\n');
}

/** Anchors of a page's headings, as GitHub makes them. */
export function anchors(text: string): Set<string> {
  const seen = new Map<string, number>();
  const result = new Set<string>();
  for (const [, title = ''] of prose(text).matchAll(/^#{1,6} (.*)$/gm)) {
    const plain = title.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1');
    const slug = plain
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
      .trim()
      .replaceAll(' ', '-');
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    result.add(times === 0 ? slug : `${slug}-${times}`);
  }
  return result;
}

/** Simple commands of shell text, as words: no comments, variables before a command, redirections and here-documents. */
export function shellCommands(text: string): { words: string[]; input: string }[] {
  const result: { words: string[]; input: string }[] = [];
  const lines = text.replace(/\\\n\s*/g, ' ').split('\n');
  for (let i = 0; i < lines.length; i++) {
    const line = (lines[i] as string).replace(/(^|\s)#.*$/, '');
    const end = /<<-?\s*'?(\w+)'?/.exec(line)?.[1];
    let input = '';
    if (end) while (++i < lines.length && lines[i]?.trim() !== end) input += `${lines[i]}\n`;
    for (const command of line.split(/&&|\|\||[;|]/)) {
      const words = (command.match(/(?:[^\s"']+|"[^"]*"|'[^']*')+/g) ?? [])
        .map((word) => word.replace(/^(['"])(.*)\1$/, '$2').replace(/=(['"])(.*)\1$/, '=$2'))
        .filter((word, at, all) => !/^\d?[<>]/.test(word) && !/^\d?>$/.test(all[at - 1] ?? ''));
      while (/^(npx|export|\w+=.*)$/.test(words[0] ?? '')) words.shift();
      if (words.length > 0) result.push({ words, input });
    }
  }
  return result;
}
