/** Something that happens once, and that others can wait for. */
export function once(): { happen: () => void; happened: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { happen: resolve, happened: promise };
}
