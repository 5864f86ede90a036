/** As Map.groupBy, which the oldest Node that package.json names lacks. */
export function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

/** @returns those that are so, and those that are not */
export function partition<T>(items: readonly T[], is: (item: T) => boolean): [T[], T[]] {
  const groups = groupBy(items, is);
  return [groups.get(true) ?? [], groups.get(false) ?? []];
}
