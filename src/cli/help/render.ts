import { EXIT_CODES } from '../../app/errors.js';
import type { Style } from '../../output/terminal.js';
import type { CommandLine, CommandSpec } from '../spec.js';
import { EXAMPLES, type Example, FIRST_STEPS } from './examples.js';
import { item, wrapped } from './layout.js';

/** A longer example has its explanation below it. */
const EXAMPLE_WIDTH = 40;

const ABOUT =
  'Brings the database of Kasm Workspaces to its schema, once, from however many places it is called; and lets pods wait for it.';
const SETTINGS =
  'Where no option is given, settings come from KASM_DB_URL, DATABASE_URL, POSTGRES_HOST, _PORT, _DB, _USER, _PASSWORD, and PGHOST and so on, each also as NAME_FILE. A password is never an option: other users can see those.';

/** `kasm-db --help`. */
export function overview({ commands, globals }: CommandLine, s: Style): string {
  const width = widest(commands.map(({ name }) => name));
  const groups = [...new Set(commands.map(({ group }) => group))].map((group) => {
    const own = commands.filter((spec) => spec.group === group);
    return section(
      group,
      items(
        own.map(({ name, text }) => [name, text]),
        s,
        width,
      ),
      s,
    );
  });
  const flags = widest(globals.flatMap(({ options }) => options.map(([syntax]) => syntax)));
  const other: Example[] = [
    ['-h, --help', 'this, or the help of a command'],
    ['-V, --version', 'with --verbose: what a bug report needs'],
  ];
  return [
    `${s.bold('Usage:')} kasm-db [options] [command]`,
    wrapped(ABOUT, s),
    section('Examples', examples(FIRST_STEPS, s), s),
    ...groups,
    ...globals.map(({ title, options }) => section(title, items(options, s, flags), s)),
    section('Other options', items(other, s, flags), s),
    wrapped(SETTINGS, s),
    wrapped(`Exit codes: ${exitCodes()}. kasm-db help exit-codes explains each.`, s).replaceAll(JOINT, ' '),
  ].join('\n\n');
}

/** `kasm-db COMMAND --help`. */
export function commandHelp(spec: CommandSpec, { globals }: CommandLine, s: Style): string {
  const { name, text, argument, rest, options = [] } = spec;
  const parts = [
    `${s.bold('Usage:')} kasm-db ${name} [options]${argument ? ` ${argument[0]}` : ''}${rest ? ` -- ${rest[0]}` : ''}`,
    wrapped(`${text[0]?.toUpperCase()}${text.slice(1)}.`, s),
  ];
  const calls = EXAMPLES[name];
  if (calls) parts.push(section('Examples', examples(calls, s), s));
  const args = [argument, rest].filter((arg) => arg !== undefined);
  if (args.length > 0) parts.push(section(args.length > 1 ? 'Arguments' : 'Argument', items(args, s), s));
  if (options.length > 0) parts.push(section('Options', items(options, s), s));
  const flags = globals.map(
    ({ title, options }) => `${title.toLowerCase()} (${options.map(([flags]) => flags.split(' ')[0]).join(' ')})`,
  );
  parts.push(wrapped(`Every command also takes: ${flags.join(', ')}; kasm-db --help explains them.`, s));
  return parts.join('\n\n');
}

/** Terms and their texts, a line each. */
function items(
  list: readonly (readonly [term: string, text: string, ...rest: unknown[]])[],
  s: Style,
  width = widest(list.map(([term]) => term)),
): string[] {
  return list.map(([term, text]) => item(term, text, width, s));
}

function examples(calls: readonly Example[], s: Style): string[] {
  const width = widest(calls.map(([call]) => call).filter((call) => call.length <= EXAMPLE_WIDTH));
  return calls.map(([call, text]) =>
    call.length <= EXAMPLE_WIDTH ? item(call, text, width, s) : `  ${call}\n${item('', text, width, s)}`,
  );
}

function section(title: string, lines: readonly string[], s: Style): string {
  return `${s.bold(`${title}:`)}\n${lines.join('\n')}`;
}

function widest(terms: readonly string[]): number {
  return Math.max(0, ...terms.map((term) => term.length));
}

/** Stands for a space at which no line ends. */
const JOINT = '~';

/** SIGINT has a code of its own. */
function exitCodes(): string {
  return Object.entries(EXIT_CODES)
    .map(([name, code]) => `${name === 'interrupted' ? `130/${code}` : code}${JOINT}${name}`)
    .join(', ');
}
