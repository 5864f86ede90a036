import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const SRC = join(import.meta.dirname, '../../src');

/** The text of each `new KasmDbError(…)`, with its place. */
function errorsIn(file: string): { place: string; call: string }[] {
  const text = readFileSync(join(SRC, file), 'utf8');
  return [...text.matchAll(/new KasmDbError\(/g)].map(({ index }) => {
    let end = index + 'new KasmDbError('.length;
    for (let depth = 1; depth > 0; end++) {
      if ('([{'.includes(text[end] as string)) depth++;
      else if (')]}'.includes(text[end] as string)) depth--;
    }
    const line = text.slice(0, index).split('\n').length;
    return { place: `src/${file}:${line}`, call: text.slice(index, end) };
  });
}

it('every KasmDbError in the source has a next step: a hint of its own, or that of the error it is made from', () => {
  const all = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .flatMap(errorsIn);
  const without = all.filter(({ call }) => !/\bhint\b|\bdetails\b|\bforSomeoneElse\b/.test(call));
  expect(without.map(({ place, call }) => `${place} ${call.slice(0, 120)}`)).toEqual([]);
  expect(all.length).toBeGreaterThan(100);
});
