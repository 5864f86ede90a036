import { shellQuoted } from '../shell-quoted.js';
import type { Choice, Flag, Model } from './model.js';

/** A script for zsh's own completion system. */
export function zshCompletion({ commands, globals }: Model): string {
  const list = commands.map(({ name, text }) => `    ${shellQuoted(`${name}:${text.replaceAll(':', '\\:')}`)}`);
  const cases = commands.map(({ name, flags, argument }) => {
    const specs = [...flags.map(spec), ...(argument ? [shellQuoted(`*:${name}:${action(argument)}`)] : [])];
    return `    ${name}) _arguments $globals ${specs.join(' ')} ;;`;
  });
  return `#compdef kasm-db
# Completion of kasm-db for zsh: put this file as _kasm-db into a folder of $fpath, or source it in ~/.zshrc after compinit.
_kasm_db() {
  local curcontext=$curcontext state line command
  typeset -A opt_args
  local -a globals commands
  globals=(
${globals.map((flag) => `    ${spec(flag)}`).join('\n')}
  )
  commands=(
${list.join('\n')}
  )
  # kasm-db --check is the command check.
  if (( \${words[(I)--check]} )); then
    command=check
  else
    _arguments -C $globals ${shellQuoted('--version[print the version]')} ${shellQuoted('--check[the same as the command check]')} '1: :->command' '*:: :->rest'
    case $state in
      command) _describe -t commands command commands; return ;;
      rest) command=$words[1] ;;
      *) return ;;
    esac
  fi
  case $command in
${cases.join('\n')}
  esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _kasm_db "$@"
else
  compdef _kasm_db kasm-db
fi`;
}

/** An argument of _arguments; --option=value and --option value are the same. */
function spec({ name, text, value, choice }: Flag): string {
  const shown = text.replace(/[\\[\]:]/g, '\\$&');
  if (value === 'none') return shellQuoted(`${name}[${shown}]`);
  return shellQuoted(`${name}=[${shown}]${value === 'optional' ? '::' : ':'}${name.slice(2)}:${action(choice)}`);
}

/** A single space: there is a value, and nobody can say which. */
function action(choice: Choice): string {
  if (choice === undefined) return ' ';
  if (choice === 'file') return '_files';
  return choice === 'folder' ? '_files -/' : `(${choice.words.join(' ')})`;
}
