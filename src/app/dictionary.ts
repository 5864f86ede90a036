/** A table of values by names that come from elsewhere: without a prototype, so that `constructor` or `__proto__` is not in it. */
export function dictionary<T>(entries: Record<string, T>): Readonly<Record<string, T>> {
  return Object.assign(Object.create(null), entries);
}
