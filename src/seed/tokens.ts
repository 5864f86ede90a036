/** A token of Kasm's seed format. */
export type Token =
  | { kind: 'uuid'; name: string }
  | { kind: 'crypt' | 'rsa' | 'ec' | 'signing'; part: string; name: string }
  | { kind: 'random_token'; name: string }
  | { kind: 'datetime' };

const PARTS: Record<string, readonly string[]> = {
  rsa: ['private', 'public'],
  ec: ['private', 'public'],
  signing: ['private', 'certificate'],
};

/** True for a value that is a token as a whole; text that merely contains `${…}` (a start-up script) is text. */
export function looksLikeToken(value: unknown): value is string {
  return typeof value === 'string' && /^\$\{[^{}]*\}$/.test(value);
}

/** @returns undefined for a token that this build doesn't know */
export function parseToken(text: string): Token | undefined {
  const [kind = '', ...rest] = text.slice(2, -1).split(':');
  const name = rest.join(':');
  switch (kind) {
    case 'uuid':
      return name ? { kind, name } : undefined;
    case 'random_token':
      return name ? { kind, name } : undefined;
    case 'datetime':
      return name === 'utcnow' ? { kind } : undefined;
    case 'crypt': {
      const [part = '', number] = rest;
      return (part === 'password' || part === 'salt') && number ? { kind, part, name: number } : undefined;
    }
    case 'rsa':
    case 'ec':
    case 'signing': {
      const [number, part = ''] = rest;
      return number && PARTS[kind]?.includes(part) ? { kind, part, name: number } : undefined;
    }
    default:
      return undefined;
  }
}

/** The tokens of a value; in a JSON column they may stand inside lists and maps. */
export function tokensIn(value: unknown): string[] {
  if (looksLikeToken(value)) return [value];
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return [];
  return Object.values(value).flatMap(tokensIn);
}
