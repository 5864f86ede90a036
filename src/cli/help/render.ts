import type { Help } from 'commander';
import { EXIT_CODES } from '../../app/errors.js';
import type { Style } from '../../output/terminal.js';
import type { ArgumentSpec, CommandLine, CommandSpec, OptionSpec } from '../spec.js';
import { EXAMPLES, type Example, FIRST_STEPS } from './examples.js';

/** Where no terminal is: all but the last of 80 columns, as on a terminal of that width. */
const USUAL_WIDTH = 79;
/** A longer example has its explanation below it. */
const EXAMPLE_WIDTH = 40;

const ABOUT =
  'Brings the database of Kasm Workspaces to its schema, once, from however many places it is called; and lets pods wait for it.';
const SETTINGS =
  'Where no option is given, settings come from KASM_DB_URL, DATABASE_URL, POSTGRES_HOST, _PORT, _DB, _USER, _PASSWORD, and PGHOST and so on, each also as NAME_FILE. A password is never an option: other users can see those.';

/** `kasm-db --help`. */
export function overview({ commands, globals, layout }: CommandLine, s: Style): string {
  const width = widest(commands.map(({ name }) => name));
  const groups = [...new Set(commands.map(({ group }) => group))].map((group) =>
    section(
      group,
      commands.filter((spec) => spec.group === group).map(({ name, text }) => item(layout, name, text, width)),
      s,
    ),
  );
  return [
    `${s.bold('Usage:')} kasm-db [options] [command]`,
    wrap(layout, ABOUT),
    section('Examples', examples(layout, FIRST_STEPS), s),
    ...groups,
    ...optionGroups(globals, layout, s),
    wrap(layout, SETTINGS),
    wrap(layout, `Exit codes: ${exitCodes()}. kasm-db help exit-codes explains each.`).replaceAll(JOINT, ' '),
  ].join('\n\n');
}

/** `kasm-db COMMAND --help`. */
export function commandHelp(spec: CommandSpec, { globals, layout }: CommandLine, s: Style): string {
  const { name, text, argument, rest, options = [] } = spec;
  const parts = [
    `${s.bold('Usage:')} kasm-db ${name} [options]${argument ? ` ${argument[0]}` : ''}${rest ? ` -- ${rest[0]}` : ''}`,
    wrap(layout, `${text[0]?.toUpperCase()}${text.slice(1)}.`),
  ];
  const calls = EXAMPLES[name];
  if (calls) parts.push(section('Examples', examples(layout, calls), s));
  const args = [argument, rest].filter((arg) => arg !== undefined);
  if (args.length > 0) parts.push(section(args.length > 1 ? 'Arguments' : 'Argument', argumentItems(args, layout), s));
  if (options.length > 0) parts.push(section('Options', optionItems(options, layout), s));
  const flags = globals.map(
    ({ title, options }) => `${title.toLowerCase()} (${options.map(([flags]) => flags.split(' ')[0]).join(' ')})`,
  );
  parts.push(wrap(layout, `Every command also takes: ${flags.join(', ')}; kasm-db --help explains them.`));
  return parts.join('\n\n');
}

function optionGroups(globals: CommandLine['globals'], layout: Help, s: Style): string[] {
  const width = widest(globals.flatMap(({ options }) => options.map(([flags]) => flags)));
  const groups = globals.map(({ title, options }) => section(title, optionItems(options, layout, width), s));
  const own = [
    item(layout, '-h, --help', 'this, or the help of a command', width),
    item(layout, '-V, --version', 'with --verbose: what a bug report needs', width),
  ];
  return [...groups, section('Other options', own, s)];
}

function optionItems(
  options: readonly OptionSpec[],
  layout: Help,
  width = widest(options.map(([flags]) => flags)),
): string[] {
  return options.map(([flags, text]) => item(layout, flags, text, width));
}

function argumentItems(args: readonly ArgumentSpec[], layout: Help): string[] {
  const width = widest(args.map(([syntax]) => syntax));
  return args.map(([syntax, text]) => item(layout, syntax, text, width));
}

function examples(layout: Help, calls: readonly Example[]): string[] {
  const width = widest(calls.map(([call]) => call).filter((call) => call.length <= EXAMPLE_WIDTH));
  return calls.map(([call, text]) =>
    call.length <= EXAMPLE_WIDTH ? item(layout, call, text, width) : `  ${call}\n${item(layout, '', text, width)}`,
  );
}

function section(title: string, lines: readonly string[], s: Style): string {
  return `${s.bold(`${title}:`)}\n${lines.join('\n')}`;
}

function item(layout: Help, term: string, text: string, width: number): string {
  return layout.formatItem(term, width, text, layout);
}

function wrap(layout: Help, text: string): string {
  return layout.boxWrap(text, layout.helpWidth ?? USUAL_WIDTH);
}

/** How wide a page of help is. */
export function pageWidth({ width }: Style): number {
  return Number.isFinite(width) ? width : USUAL_WIDTH;
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
