import type { Choice, Flag, Model } from './model.js';

/** A script for fish. */
export function fishCompletion({ commands, globals, withValue }: Model): string {
  const lines = [
    ...commands.map(({ name, text }) => `${complete('')} -a ${name} -d ${quote(text)}`),
    `${complete('')} -l version -d 'print the version'`,
    `${complete('')} -l check -d 'the same as the command check'`,
    ...globals.map((flag) => `complete -c kasm-db ${option(flag)}`),
    ...commands.flatMap(({ name, flags, argument }) => [
      ...flags.map((flag) => `${complete(name)} ${option(flag)}`),
      ...(argument ? [`${complete(name)} ${offer(argument)}`] : []),
    ]),
  ];
  return `# Completion of kasm-db for fish: put this file into ~/.config/fish/completions/kasm-db.fish
function __kasm_db_command
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
        else if contains -- $word ${withValue.join(' ')}
            set skip 1
        else if test "$word" = --check
            echo check
            return
        else if contains -- $word ${commands.map(({ name }) => name).join(' ')}
            echo $word
            return
        end
    end
    echo ''
end
function __kasm_db_is
    test (__kasm_db_command) = "$argv[1]"
end

complete -c kasm-db -f
${lines.join('\n')}`;
}

function complete(command: string): string {
  return `complete -c kasm-db -n '__kasm_db_is ${command || '""'}'`;
}

function option({ name, text, value, choice }: Flag): string {
  const long = `-l ${name.slice(2)} -d ${quote(text)}`;
  if (value === 'none') return long;
  if (value === 'optional') return choice ? `${long} ${offer(choice)}` : long;
  return `${long} -r ${choice ? offer(choice) : '-f'}`;
}

function offer(choice: Choice): string {
  if (choice === 'file') return '-F';
  if (choice === 'folder') return "-f -a '(__fish_complete_directories)'";
  return choice ? `-f -a ${quote(choice.words.join(' '))}` : '-f';
}

function quote(text: string): string {
  return `'${text.replace(/['\\]/g, '\\$&')}'`;
}
