import { KasmDbError } from '../app/errors.js';
import { nearest } from '../config/near-names.js';

const YES_OR_NO =
  'seed bootstrap dryRun expectExisting requireEmpty failFast force verify rehearse sql allowDifferences addMissing strict fixSql ' +
  'allowDataLoss checksums restartEmpty yes seedsDatabase';
const TEXT =
  'url host port dbname user sslmode targetSessionAttrs directUrl role connectTimeout migrations envFile secrets seeds to ' +
  'lockTimeout cancelBlockers gateRole rotate against format out appPassword gatePassword acceptHead applied pending timeout name';

interface OptionType {
  types: readonly string[];
  /** What is in an option that holds several values. */
  holds?: string;
}

/** Every option of the library, and what it has to be. */
const OPTIONS: ReadonlyMap<string, OptionType> = new Map<string, OptionType>([
  ...YES_OR_NO.split(' ').map((name) => [name, { types: ['boolean'] }] as const),
  ...TEXT.split(' ').map((name) => [name, { types: ['string'] }] as const),
  ['embedded', { types: ['string', 'boolean'] }],
  ['wait', { types: ['string', 'boolean'] }],
  ['steps', { types: ['number', 'string'] }],
  ['statementsDone', { types: ['number', 'string'] }],
  ['env', { types: ['object'], holds: 'string' }],
  ['events', { types: ['object'], holds: 'function' }],
  ['signal', { types: ['object'] }],
  ['files', { types: ['array'], holds: 'string' }],
  ['command', { types: ['array'], holds: 'string' }],
]);

/** JavaScript has no types: one that is wrong would be met deep inside. @returns what the caller is told; undefined where all is well */
export function wrongOption(options: unknown): KasmDbError | undefined {
  const message =
    typeOf(options) === 'object'
      ? Object.entries(options as object)
          .map(wrongValue)
          .find(Boolean)
      : `the options are ${withArticle(typeOf(options))}, not an object`;
  return message === undefined
    ? undefined
    : new KasmDbError('usage', message, { hint: 'docs/LIBRARY.md lists the options' });
}

function wrongValue([name, value]: [string, unknown]): string | undefined {
  const { types, holds } = OPTIONS.get(name) ?? {};
  if (types === undefined) {
    const meant = nearest(name, [...OPTIONS.keys()]);
    return `there is no option ${name}${meant === undefined ? '' : `; did you mean ${meant}?`}`;
  }
  if (value === undefined) return undefined;
  if (!types.includes(typeOf(value)))
    return `option ${name} has to be ${types.map(withArticle).join(' or ')}, not ${withArticle(typeOf(value))}`;
  if (name === 'signal' && !(value instanceof AbortSignal)) return 'option signal has to be an AbortSignal';
  if (holds === undefined) return undefined;
  const [key, wrong] =
    Object.entries(value as object).find(([, one]) => one !== undefined && typeOf(one) !== holds) ?? [];
  return key === undefined
    ? undefined
    : `option ${name} has to hold ${holds}s: its ${key} is ${withArticle(typeOf(wrong))}`;
}

function typeOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
}

function withArticle(type: string): string {
  return type === 'null' || type === 'undefined' ? type : `${/^[aeo]/.test(type) ? 'an' : 'a'} ${type}`;
}
