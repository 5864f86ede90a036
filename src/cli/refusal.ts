import { Command, CommanderError } from 'commander';
import { KasmDbError } from '../app/errors.js';
import type { CommandSpec } from './spec.js';
import { commandMeant, OPTIONS_MEANT } from './synonyms.js';

/**
 * commander's refusal in our words: with what was probably meant, and without values.
 * @param called the command in the arguments, as far as there is one
 */
export function refusal(
  error: CommanderError,
  argv: readonly string[],
  called: string,
  commands: readonly CommandSpec[],
): KasmDbError {
  if (error.code === 'commander.help')
    return usage('no command is given', 'kasm-db --help lists them; kasm-db migrate is the usual one');
  const known = commands.some(({ name }) => name === called);
  const list = known ? `kasm-db ${called} --help lists its options` : 'kasm-db --help lists the commands';
  const message = withoutValues(oneLine(error.message));
  if (error.code === 'commander.unknownOption') {
    const flag = argv.find((arg) => error.message.includes(`'${arg}'`))?.split('=')[0] ?? '';
    const others = commands.filter(
      ({ name, options = [] }) => name !== called && options.some(([f]) => f.split(' ')[0] === flag),
    );
    const names = others.map(({ name }) => name);
    const meant = names.length === 0 ? OPTIONS_MEANT.get(flag) : undefined;
    if (meant) return usage(message, `here it is ${meant}; ${list}`);
    return usage(message, names.length > 0 ? `${flag} is an option of ${names.join(', ')}; ${list}` : list);
  }
  const [, word = ''] = /^unknown command '([^']*)'/.exec(message) ?? [];
  const meant = commandMeant(word);
  return usage(message, meant ? `here it is kasm-db ${meant}; ${list}` : list);
}

/** A value that is not in its list. @param what such as `shell` */
export function unknownValue(what: string, value: string, values: readonly string[]): KasmDbError {
  return usage(withoutValues(`unknown ${what} '${value}'${nearest(value, values)}`), `one of ${values.join(', ')}`);
}

/** Of all that looks similar, commander's own choice. */
function nearest(word: string, words: readonly string[]): string {
  const probe = new Command()
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .helpCommand(false);
  for (const name of words) probe.command(name);
  try {
    probe.parse([word], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return oneLine(error.message).replace(/^.*?(?= \(did you mean|$)/, '');
    throw error;
  }
  return '';
}

function oneLine(message: string): string {
  return message.replace(/^error: /, '').replace(/\n\(Did you mean/, ' (did you mean');
}

/** An argument in the wrong place may be a URL with a password, and a wrong option may carry one. */
function withoutValues(message: string): string {
  return message.replace(/\w+:\/\/[^\s']*/g, '(a URL)').replace(/(--?[\w-]+)=[^\s']*/g, '$1=…');
}

function usage(message: string, hint: string): KasmDbError {
  return new KasmDbError('usage', message, { hint });
}
