/** The calls that end a doubt. @param done statements recorded before the one in doubt */
export function inDoubtHint(name: string, done: number): string {
  return `if it was completed: kasm-db repair --pending ${name} --statements-done ${done + 1}; if not: kasm-db repair --pending ${name} --statements-done ${done}; if all of the file is done by hand: kasm-db repair --applied ${name}`;
}
