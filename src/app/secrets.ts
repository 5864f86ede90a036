/** Every secret that this process has read; what others say (a server's error, a notice) may repeat one. */
const known = new Set<string>();

/** Shorter words stand in many texts by chance, and guessing them takes nobody long. */
const LEAST_LENGTH = 6;

/** Remembers a secret, so that no output shows it. @returns the same */
export function keepSecret<T extends string | undefined>(value: T): T {
  if (value !== undefined && value.length >= LEAST_LENGTH) {
    known.add(value);
    known.add(encodeURIComponent(value));
  }
  return value;
}

/** A text without the secrets that are known. */
export function withoutSecrets(text: string): string {
  let shown = text;
  for (const secret of known) if (shown.includes(secret)) shown = shown.replaceAll(secret, '***');
  return shown;
}
