/** Without what is not there: null, undefined, false, an empty list or map of lists. */
export function compact<T extends object>(value: { [K in keyof T]: T[K] | null | undefined | false }): T {
  const kept: Partial<T> = {};
  for (const key in value) {
    const item = value[key];
    if (item !== null && item !== undefined && item !== false) kept[key] = item as T[typeof key];
  }
  return kept as T;
}
