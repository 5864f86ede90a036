import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { anchors, PAGES, prose, ROOT, textOf } from '../support/markdown.js';

/** Targets of links and pictures; code is none. */
const targets = (page: string): string[] =>
  [
    ...prose(textOf(page))
      .replace(/`[^`\n]*`/g, '')
      .matchAll(/\]\(([^)\s]+)\)/g),
  ].map(([, target]) => target as string);

/** What is wrong with a link. */
function broken(page: string, target: string): string | undefined {
  if (/^[a-z]+:/.test(target)) return undefined;
  const [path = '', anchor] = target.split('#');
  const file = path === '' ? page : join(dirname(page), path);
  if (!existsSync(join(ROOT, file))) return `${target}: there is no ${file}`;
  if (anchor !== undefined && !anchors(textOf(file)).has(anchor)) return `${target}: ${file} has no such heading`;
  return undefined;
}

describe('links in the documentation', () => {
  it.each(PAGES)('%s leads to files and headings that exist', (page) => {
    expect(targets(page).flatMap((target) => broken(page, target) ?? [])).toEqual([]);
  });

  it('finds a file and a heading that are missing', () => {
    expect(broken('README.md', 'docs/NOTHING.md')).toMatch('there is no docs/NOTHING.md');
    expect(broken('docs/SCHEMA.md', '#nothing')).toMatch('has no such heading');
    expect(broken('README.md', 'docs/SCHEMA.md#drift-verify')).toBeUndefined();
  });

  it.each(['docs', 'docs/decisions'])('%s/README.md lists every page of its folder', (folder) => {
    const index = join(folder, 'README.md');
    const listed = new Set(targets(index).map((target) => join(folder, target.split('#')[0] as string)));
    const pages = PAGES.filter((page) => dirname(page) === folder && page !== index);
    expect(pages.filter((page) => !listed.has(page))).toEqual([]);
  });
});
