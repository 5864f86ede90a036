/** By code points, whatever the language of this machine. */
export const byText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
export const byName = (a: { name: string }, b: { name: string }) => byText(a.name, b.name);
export const bySchemaAndName = (a: { schema: string; name: string; arguments?: string }, b: typeof a) =>
  byText(a.schema, b.schema) || byName(a, b) || byText(a.arguments ?? '', b.arguments ?? '');
