import { KasmDbError } from '../app/errors.js';

/**
 * The name that a user gave must be one of these, or the number of one; says which are near when it is none.
 * @param flag for the message, such as `--to`
 * @returns the whole name
 * @throws KasmDbError usage
 */
export function requireName(flag: string, given: string, names: readonly string[]): string {
  if (names.includes(given)) return given;
  const numbered = names.filter((name) => isNamed(given, name));
  if (numbered.length === 1) return numbered[0] as string;
  const near = similar(given, names);
  const newest = names.at(-1);
  throw new KasmDbError('usage', `${flag}: there is no migration "${given}"`, {
    hint:
      near.length > 0
        ? `did you mean ${near.join(' or ')}? kasm-db status lists all`
        : `the newest is ${newest}; kasm-db status lists all`,
  });
}

/** Is it a migration's name, or its number? */
export function isNamed(given: string | undefined, name: string): boolean {
  if (given === undefined) return false;
  return given === name || (/^\d{1,4}$/.test(given) && name.startsWith(`${given.padStart(4, '0')}_`));
}

/** Up to three names that someone may have meant: the same number, or a part of the name. */
function similar(given: string, names: readonly string[]): string[] {
  const wanted = given.toLowerCase().replace(/(\.down)?\.sql$/, '');
  const [number] = /^\d{1,4}(?!\d)/.exec(wanted) ?? [];
  const near = names.filter((name) =>
    number ? name.startsWith(number.padStart(4, '0')) : wanted.length >= 4 && name.toLowerCase().includes(wanted),
  );
  return near.slice(0, 3);
}
