import type { GlobalOptions } from '../commands/command.js';
import { WORK } from './commands.js';
import { GLOBAL_OPTIONS } from './global-options.js';
import { shellQuoted } from './shell-quoted.js';
import type { CommandSpec } from './spec.js';

/** Only these read seeds and Secrets. */
const WITH_SECRETS = ['migrate', 'seed', 'check', 'bootstrap', 'doctor'];
const SECRETS = ['--seeds', '--secrets'];

/** What the next call needs too; how the output looks is each call's own. */
const REPEATED = GLOBAL_OPTIONS.filter(({ title }) => title !== 'Output options').flatMap(({ options }) => options);

/**
 * The calls that a text names (`kasm-db migrate --to 0003`), with the flags that this call had: whoever copies one works on the same database and the
 * same files. A flag that stands there already is left alone, and a value that may hold a password is not repeated. `without` names a flag that was for this call alone.
 */
export function sameFlags(options: GlobalOptions): (text: string, without?: string) => string {
  const given = REPEATED.flatMap(([flags]) => {
    const [flag = ''] = flags.split(' ');
    const value = (options as Record<string, unknown>)[attribute(flag)];
    if (value === undefined || mayHoldPassword(value)) return [];
    return [{ flag, word: value === true ? flag : `${flag} ${shellWord(String(value))}` }];
  });
  if (given.length === 0) return (text) => text;
  const added = (call: string, { name, offline }: CommandSpec, without: string | undefined) =>
    given.filter(
      ({ flag }) =>
        flag !== without &&
        !call.split(' ').includes(flag) &&
        (!offline || flag === '--migrations') &&
        (!SECRETS.includes(flag) || WITH_SECRETS.includes(name)),
    );
  return (text, without) =>
    WORK.filter(({ name }) => name !== 'wait-for').reduce(
      (whole, spec) =>
        whole.replace(callOf(spec), (call) => [call, ...added(call, spec, without).map(({ word }) => word)].join(' ')),
      text,
    );
}

/** A command with its argument and its options, as far as a sentence goes on with them. */
function callOf({ name, argument, options = [] }: CommandSpec): RegExp {
  // A comma or colon in a value (a,b) is its own; one before a space is the sentence's.
  const value = ' (?:[^\\s,;:()]|[,;:](?=[^\\s,;:()]))+';
  const flags = [...options, ...REPEATED].map(([syntax]) => {
    const [flag, of] = syntax.split(' ');
    return `${flag}${of === undefined ? '' : of.startsWith('[') ? `(?:${value})?` : value}`;
  });
  const parts = [...flags.map((flag) => ` ${flag}(?![\\w-])`), ...(argument ? [' [A-Z_]+(?![\\w-])'] : [])];
  return new RegExp(`\\bkasm-db ${name}(?![\\w-])(?:${parts.join('|')})*`, 'g');
}

/** `--direct-url` is `directUrl` among commander's options. */
function attribute(flag: string): string {
  return flag.slice(2).replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

function mayHoldPassword(value: unknown): boolean {
  return /:\/\/[^/@]*:[^/@]*@|password/i.test(String(value));
}

function shellWord(value: string): string {
  return /^[\w@%+=:,./-]+$/.test(value) ? value : shellQuoted(value);
}
