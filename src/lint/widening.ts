/** True for a change of type that PostgreSQL makes without touching the rows (no rewrite, no scan). */
export function onlyWidens(from: string, to: string): boolean {
  const [a, b] = [parts(from), parts(to)];
  if (from === to) return true;
  const sameKind = a.name === b.name;
  switch (a.name) {
    case 'varchar':
      if (b.name === 'text') return true;
      return sameKind && (b.size === undefined || (a.size !== undefined && a.size <= b.size));
    case 'text':
      return b.name === 'varchar' && b.size === undefined;
    case 'varbit':
      return sameKind && (b.size === undefined || (a.size !== undefined && a.size <= b.size));
    case 'numeric':
      return (
        sameKind &&
        (b.size === undefined || (a.size !== undefined && a.size <= b.size && (a.scale ?? 0) === (b.scale ?? 0)))
      );
    case 'timestamp':
    case 'timestamptz':
    case 'time':
    case 'timetz':
    case 'interval':
      return sameKind && (b.size === undefined || (a.size !== undefined && a.size <= b.size));
    case 'cidr':
      return b.name === 'inet';
    default:
      return false;
  }
}

function parts(type: string): { name: string; size: number | undefined; scale: number | undefined } {
  const match = /^([^(]+)(?:\((\d+)(?:,(-?\d+))?\))?$/.exec(type);
  const number = (text: string | undefined) => (text === undefined ? undefined : Number(text));
  return { name: match?.[1] ?? type, size: number(match?.[2]), scale: number(match?.[3]) };
}
