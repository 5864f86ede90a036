import { KasmDbError } from '../app/errors.js';

/**
 * The name that a user gave must be one of these; says which are near when it is none.
 * @param flag for the message, such as `--to`
 * @throws KasmDbError usage
 */
export function requireName(flag: string, given: string, names: readonly string[]): string {
  if (names.includes(given)) return given;
  const near = nearest(given, names);
  const newest = names.at(-1);
  throw new KasmDbError('usage', `${flag}: there is no migration "${given}"`, {
    hint:
      near.length > 0
        ? `did you mean ${near.join(' or ')}? kasm-db status lists all`
        : `the newest is ${newest}; kasm-db status lists all`,
  });
}

/** Up to three names that someone may have meant: the same number, a part of the name, or a few letters off. */
function nearest(given: string, names: readonly string[]): string[] {
  const wanted = given.toLowerCase().replace(/(\.down)?\.sql$/, '');
  const distances = names
    .map((name) => ({ name, distance: distance(wanted, name.toLowerCase()) }))
    .filter(({ distance }) => distance <= 3)
    .sort((a, b) => a.distance - b.distance);
  return distances.slice(0, 3).map(({ name }) => name);
}

function distance(wanted: string, name: string): number {
  if (wanted === name) return 0;
  if (/^\d{1,4}$/.test(wanted) && name.startsWith(wanted.padStart(4, '0'))) return 1;
  if (wanted.length >= 4 && name.includes(wanted)) return 1;
  return levenshtein(wanted, name);
}

function levenshtein(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
