import { KasmDbError } from '../app/errors.js';
import { PARAMETERS, type Parameter } from './parameters.js';
import type { Found, Place } from './places.js';

/** libpq reads whole numbers of 32 bits. */
export const LARGEST_INTEGER = 2_147_483_647;

/** What decides which database is worked on, and how well the way there is protected. */
const DECISIVE = ['host', 'hostaddr', 'port', 'dbname', 'user', 'sslmode'];
/** The way around a pooler has another host and port. */
const DECISIVE_OF_DIRECT_URL = ['dbname'];

/** What the places hold, each value checked by the table. */
export class Values {
  readonly sources: Record<string, string> = {};
  readonly hidden: Record<string, string[]> = {};
  readonly given: Record<string, string> = {};
  readonly contradictions: string[] = [];
  private readonly values: Record<string, string> = {};

  constructor(places: readonly Place[]) {
    for (const parameter of PARAMETERS) {
      const { keyword, secret } = parameter;
      const [found, ...weaker] = places.flatMap((place) => place.get(keyword) ?? []);
      if (!found) continue;
      const { source } = found;
      const value = found.value();
      check(parameter, value, source);
      this.values[keyword] = value;
      this.sources[keyword] = source;
      if (!secret) this.given[keyword] = value;
      if (weaker.length > 0) this.hidden[keyword] = weaker.map((other) => other.source);
      const decisive = /^(--direct-url|KASM_DB_DIRECT_URL)/.test(source) ? DECISIVE_OF_DIRECT_URL : DECISIVE;
      if (decisive.includes(keyword)) this.contradictions.push(...contradictions(keyword, value, source, weaker));
    }
  }

  /** @returns undefined where it is not set, or empty; `given` has what an empty one means something else for */
  text(keyword: string): string | undefined {
    return this.values[keyword] || undefined;
  }

  /** A place outside of libpq's. */
  setSource(keyword: string, source: string): void {
    const weaker = this.sources[keyword];
    if (weaker !== undefined) this.hidden[keyword] = [weaker, ...(this.hidden[keyword] ?? [])];
    this.sources[keyword] = source;
  }

  /** A whole number as libpq takes one: blanks around it, and 32 bits. */
  integer(keyword: string): number | undefined {
    const text = this.values[keyword];
    if (text === undefined) return undefined;
    const number = Number(text);
    if (!/^\s*[+-]?\d+\s*$/.test(text) || number !== Math.trunc(number) || Math.abs(number) > LARGEST_INTEGER)
      throw new KasmDbError('usage', `${keyword} "${text}" (${this.sources[keyword]}) is not a whole number`, {
        hint: 'give a number without unit, or leave it out',
      });
    return number;
  }
}

function contradictions(keyword: string, value: string, source: string, weaker: readonly Found[]): string[] {
  return weaker.flatMap((place) => {
    const other = valueIfReadable(place);
    if (!other || other === value) return [];
    // What is no name was meant for another setting, and may hold a password.
    const not = /^[\w.,:/-]+$/.test(other) && !other.includes('://') ? `, not ${other}` : '';
    return `${source} and ${place.source} contradict each other: ${keyword} is ${value || 'empty'}${not}, since ${source} counts more; unset one of them`;
  });
}

/** What does not count need not be readable. */
function valueIfReadable({ value }: Found): string | undefined {
  try {
    return value();
  } catch {
    return undefined;
  }
}

/** The rules that the table has for a value by itself. */
function check({ keyword, values, refused, harmless, secret }: Parameter, value: string, source: string): void {
  const shown = secret ? keyword : `${keyword} "${value}"`;
  if (values && !values.includes(value))
    throw new KasmDbError('usage', `${shown} (${source}) is unknown`, { hint: `it is one of ${values.join(', ')}` });
  if (refused && !(harmless ?? /^$/).test(value))
    throw new KasmDbError('usage', `${shown} (${source}) is not supported`, { hint: refused });
  if (value.includes('\0'))
    throw new KasmDbError('usage', `${keyword} (${source}) holds a NUL byte`, {
      hint: 'write it anew, without that byte',
    });
}
