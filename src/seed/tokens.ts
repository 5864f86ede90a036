/** Types of columns that take text; a secret may also stand as bytes. */
const TEXT = ['varchar', 'text'];
const SECRET = [...TEXT, 'bytea'];

/** The tokens of Kasm's seed format: what follows the kind, with the name in it, and the types of columns that what it makes fits. */
const KINDS = {
  uuid: { form: /^(.+)$/s, types: ['uuid', ...TEXT] },
  datetime: { form: /^(utcnow)$/, types: ['timestamp', 'timestamptz'] },
  random_token: { form: /^(.+)$/s, types: SECRET },
  crypt: { form: /^(?:password|salt):(.+)$/s, types: SECRET },
  rsa: { form: /^([^:]+):(?:private|public)$/, types: SECRET },
  ec: { form: /^([^:]+):(?:private|public)$/, types: SECRET },
  signing: { form: /^([^:]+):(?:private|certificate)$/, types: SECRET },
};

export interface Token {
  kind: keyof typeof KINDS;
  name: string;
  /** Of columns that it fits. */
  types: readonly string[];
}

/** True for a value that is a token as a whole; text that merely contains `${…}` (a start-up script) is text. */
export function looksLikeToken(value: unknown): value is string {
  return typeof value === 'string' && /^\$\{[^{}]*\}$/.test(value);
}

/** @returns undefined for a token that this build doesn't know */
export function parseToken(text: string): Token | undefined {
  const [, kind = '', rest = ''] = /^\$\{([^:]*):(.*)\}$/s.exec(text) ?? [];
  if (!Object.hasOwn(KINDS, kind)) return undefined;
  const { form, types } = KINDS[kind as Token['kind']];
  const name = form.exec(rest)?.[1];
  return name === undefined ? undefined : { kind: kind as Token['kind'], name, types };
}

/** The tokens of a value; in a JSON column they may stand inside lists and maps. */
export function tokensIn(value: unknown): string[] {
  if (looksLikeToken(value)) return [value];
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return [];
  return Object.values(value).flatMap(tokensIn);
}
