/** Types whose modifiers may grow or go without a new look at the rows. */
const SIZED = new Set(['varchar', 'varbit', 'numeric', 'timestamp', 'timestamptz', 'time', 'timetz', 'interval']);

/** True for a change of type that PostgreSQL makes without touching the rows (no rewrite, no scan). */
export function onlyWidens(from: string, to: string): boolean {
  if (from === to) return true;
  const [a, b] = [parts(from), parts(to)];
  if (a.name !== b.name)
    return b.size === undefined && ['varchar text', 'text varchar', 'cidr inet'].includes(`${a.name} ${b.name}`);
  if (b.size === undefined) return SIZED.has(a.name);
  return SIZED.has(a.name) && a.size !== undefined && a.size <= b.size && (a.scale ?? 0) === (b.scale ?? 0);
}

function parts(type: string): { name: string; size: number | undefined; scale: number | undefined } {
  const match = /^([^(]+)(?:\((\d+)(?:,(-?\d+))?\))?$/.exec(type);
  const number = (text: string | undefined) => (text === undefined ? undefined : Number(text));
  return { name: match?.[1] ?? type, size: number(match?.[2]), scale: number(match?.[3]) };
}
