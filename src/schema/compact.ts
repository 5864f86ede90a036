/** Without what is not there: null, undefined, false, an empty list or map of lists. */
export function compact<T extends object>(value: { [K in keyof T]: T[K] | null | undefined | false }): T {
  return Object.fromEntries(
    Object.entries(value).filter(([, item]) => item !== null && item !== undefined && item !== false),
  ) as T;
}
