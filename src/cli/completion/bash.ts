import type { Choice, Flag, Model } from './model.js';

/** A script for bash 3.2 and newer. */
export function bashCompletion({ commands, globals, withValue }: Model): string {
  const values = [
    ...globals.map((flag) => valueCase('*', flag)),
    ...commands.flatMap(({ name, flags }) => flags.map((flag) => valueCase(name, flag))),
  ].filter((line) => line !== undefined);
  const options = commands.map(({ name, flags }) => `    ${name}) flags+=' ${names(flags)}' ;;`);
  const args = commands.flatMap(({ name, argument }) => (argument ? [`    ${name}) ${offer(argument)} ;;`] : []));
  return `# Completion of kasm-db for bash: source this file in ~/.bashrc, or put it into ~/.local/share/bash-completion/completions/kasm-db
_kasm_db_words() { COMPREPLY=($(compgen -W "$1" -- "$cur")); }
_kasm_db_paths() {
  local IFS=$'\\n'
  compopt -o filenames 2>/dev/null
  COMPREPLY=($(compgen "$1" -- "$cur"))
}

_kasm_db() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command='' flags i
  COMPREPLY=()
  # --option=value comes as three words.
  if [[ $cur == = ]]; then
    cur=''
  elif [[ $prev == = ]]; then
    prev=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
      --check) [[ -n $command ]] || command=check ;;
      ${withValue.join('|')})
        [[ \${COMP_WORDS[i+1]} == = ]] && ((i++))
        ((i++))
        ;;
      ${commands.map(({ name }) => name).join('|')})
        [[ -n $command ]] || command=\${COMP_WORDS[i]}
        ;;
    esac
  done

  case $command:$prev in
${[...new Set(values)].join('\n')}
  esac

  flags='${names(globals)}'
  case $command in
${options.join('\n')}
    *) flags+=' --version --check' ;;
  esac
  if [[ $cur == -* ]]; then
    _kasm_db_words "$flags"
    return
  fi
  case $command in
    '') _kasm_db_words '${commands.map(({ name }) => name).join(' ')}' ;;
${args.join('\n')}
  esac
}
complete -F _kasm_db kasm-db`;
}

/** What to offer after an option; where a value is needed that only the user knows, nothing. */
function valueCase(command: string, { name, value, choice }: Flag): string | undefined {
  if (value === 'none' || (value === 'optional' && choice === undefined)) return undefined;
  if (value === 'optional') return `    ${command}:${name}) [[ $cur == -* ]] || { ${offer(choice)}; return; } ;;`;
  return `    ${command}:${name}) ${choice ? `${offer(choice)}; ` : ''}return ;;`;
}

function offer(choice: Choice): string {
  if (choice === undefined) return ':';
  if (choice === 'file') return '_kasm_db_paths -f';
  return choice === 'folder' ? '_kasm_db_paths -d' : `_kasm_db_words '${choice.words.join(' ')}'`;
}

function names(flags: readonly Flag[]): string {
  return flags.map(({ name }) => name).join(' ');
}
