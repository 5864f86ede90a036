import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { cli, folder } from './cli.js';

export type Shell = 'bash' | 'zsh' | 'fish';

/** Is the shell here? Says so where it is not: its tests are skipped then. */
export function hasShell(shell: Shell): boolean {
  const has = spawnSync(shell, ['--version']).status === 0;
  if (!has) console.warn(`${shell} is not installed: its completion is not tested`);
  return has;
}

/** The completion script that kasm-db makes, and a folder with files to choose from. */
export async function completionOf(shell: Shell): Promise<{ script: string; cwd: string }> {
  const { stdout } = await cli(['completion', shell]);
  const cwd = folder({ script: stdout, 'export one.yaml': '', 'dumps/a.sql': '' });
  return { script: join(cwd, 'script'), cwd };
}

/** What bash would offer at the end of a line. */
export function bashOffers(words: string[], { script, cwd }: { script: string; cwd: string }): string[] {
  const program = `source '${script}'; COMP_WORDS=(kasm-db "$@"); COMP_CWORD=$#; _kasm_db; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return lines(execFileSync('bash', ['--norc', '-c', program, 'bash', ...words], { cwd, encoding: 'utf8' }));
}

/** What fish offers for a line. */
export function fishOffers(line: string, { script, cwd }: { script: string; cwd: string }): string[] {
  const program = `source '${script}'; complete -C ${JSON.stringify(line)}`;
  const env = { ...process.env, HOME: cwd, XDG_CONFIG_HOME: cwd };
  return lines(execFileSync('fish', ['--no-config', '-c', program], { cwd, env, encoding: 'utf8' })).map(
    // Newer ones show a space as it has to be typed.
    (offer) => (offer.split('\t')[0] as string).replaceAll('\\ ', ' '),
  );
}

/**
 * Types keys into an interactive shell on a terminal; kasm-db is a function that shows its arguments.
 * @returns what the terminal showed
 */
export function typeInto(shell: 'bash' | 'zsh', keys: string, { script, cwd }: { script: string; cwd: string }) {
  const start = shell === 'bash' ? 'bash --norc --noprofile -i' : 'zsh -f -i';
  const ready = [
    "PS1='> '",
    "kasm-db() { printf 'CALLED'; printf '<%s>' \"$@\"; echo; }",
    ...(shell === 'zsh' ? ['autoload -Uz compinit', 'compinit -u -D', 'LISTMAX=1000'] : []),
    ...(shell === 'bash' ? ["bind 'set completion-query-items 0'", "bind 'set page-completions off'"] : []),
    `source '${script}'`,
  ];
  return new Promise<string>((resolve, reject) => {
    const child = spawn('/usr/bin/script', ['-qec', start, '/dev/null'], {
      cwd,
      env: { PATH: process.env.PATH ?? '', HOME: cwd, TERM: 'dumb', COLUMNS: '200', LINES: '50' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
    });
    child.once('error', reject);
    child.once('close', () => resolve(text));
    child.stdin.write(`${ready.join('; ')}\n${keys}\nexit\n`);
  });
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}
