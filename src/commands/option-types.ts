import { KasmDbError } from '../app/errors.js';

const YES_OR_NO = [
  ...[
    'seed',
    'bootstrap',
    'dryRun',
    'expectExisting',
    'requireEmpty',
    'failFast',
    'force',
    'verify',
    'rehearse',
    'sql',
  ],
  ...[
    'allowDifferences',
    'addMissing',
    'strict',
    'fixSql',
    'allowDataLoss',
    'checksums',
    'restartEmpty',
    'yes',
    'drift',
  ],
];
const TEXT = [
  ...['url', 'host', 'port', 'dbname', 'user', 'sslmode', 'targetSessionAttrs', 'directUrl', 'role', 'connectTimeout'],
  ...[
    'migrations',
    'envFile',
    'secrets',
    'seeds',
    'to',
    'lockTimeout',
    'cancelBlockers',
    'gateRole',
    'rotate',
    'against',
  ],
  ...['format', 'out', 'appPassword', 'gatePassword', 'acceptHead'],
];

/** What an option of the library has to be; one that is not here is looked at by its command. */
const TYPES: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(YES_OR_NO.map((name) => [name, ['boolean']])),
  ...Object.fromEntries(TEXT.map((name) => [name, ['string']])),
  embedded: ['string', 'boolean'],
  wait: ['string', 'boolean'],
  steps: ['number', 'string'],
  statementsDone: ['number', 'string'],
  env: ['object'],
  events: ['object'],
  signal: ['object'],
  files: ['array'],
};

/** JavaScript has no types: one that is wrong would be met deep inside. @returns what the caller is told; undefined where all is well */
export function wrongOption(options: unknown): KasmDbError | undefined {
  if (typeOf(options) !== 'object')
    return new KasmDbError('usage', `the options are ${withArticle(typeOf(options))}, not an object`, {
      hint: 'pass an object, such as { url }',
    });
  for (const [name, value] of Object.entries(options as object)) {
    const wanted = Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
    if (value === undefined || wanted === undefined || wanted.includes(typeOf(value))) continue;
    return new KasmDbError(
      'usage',
      `option ${name} has to be ${wanted.map(withArticle).join(' or ')}, not ${withArticle(typeOf(value))}`,
      { hint: 'docs/LIBRARY.md lists the options' },
    );
  }
  return undefined;
}

function typeOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
}

function withArticle(type: string): string {
  return type === 'null' ? type : `${/^[aeo]/.test(type) ? 'an' : 'a'} ${type}`;
}
