/** Something that happens once, and that others can wait for. */
export function once(): { happen: () => void; happened: Promise<void> } {
  let happen = () => {};
  const happened = new Promise<void>((resolve) => {
    happen = resolve;
  });
  return { happen, happened };
}
