/** `1 migration`, `2 migrations`. @param many default: `one` with an s */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
