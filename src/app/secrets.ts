/** Every secret that this process has read; what others say (a server's error, a notice) may repeat one. */
const known = new Set<string>();

/** Shorter words stand in many texts by chance, and guessing them takes nobody long. */
const LEAST_LENGTH = 6;

/** A longer secret is known by its beginning, for whoever repeats it may cut it: Redis after 128 bytes, we ourselves a long error. */
const BEGINNING = 12;

/** A line of a key or certificate, but its first and last one. */
const LINE = /^(?!-----).{20,}$/gm;

/** Remembers a secret, so that no output shows it. @returns the same */
export function keepSecret<T extends string | undefined>(value: T): T {
  if (value !== undefined && value.length >= LEAST_LENGTH) {
    known.add(value);
    known.add(encodeURIComponent(value));
    if (value.includes('\n')) for (const [line] of value.matchAll(LINE)) known.add(line);
  }
  return value;
}

/** `://USER:PASSWORD@`, as far as its first @, and as far as its last: one may stand in the password. */
const URL_PASSWORDS = [/:\/\/[^\s/@:]*:([^\s@]+)@/, /:\/\/[^\s/@:]*:(\S+)@/];

/** Remembers the passwords of URLs, wherever they were put by mistake: what is wrong with a setting is told with its value. */
export function keepUrlPasswords(values: Iterable<unknown>): void {
  for (const value of values) {
    if (typeof value !== 'string' || !value.includes('://')) continue;
    for (const pattern of URL_PASSWORDS) {
      const password = pattern.exec(value)?.[1];
      keepSecret(password);
      keepSecret(password && decoded(password));
    }
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A text without the secrets that are known. */
export function withoutSecrets(text: string): string {
  let shown = text;
  for (const secret of known) shown = withoutSecret(shown, secret);
  return shown;
}

function withoutSecret(text: string, secret: string): string {
  const beginning = secret.slice(0, BEGINNING);
  let shown = '';
  let from = 0;
  for (let at = text.indexOf(beginning); at >= 0; at = text.indexOf(beginning, from)) {
    let length = beginning.length;
    while (length < secret.length && text[at + length] === secret[length]) length++;
    shown += `${text.slice(from, at)}***`;
    from = at + length;
  }
  return from === 0 ? text : shown + text.slice(from);
}
