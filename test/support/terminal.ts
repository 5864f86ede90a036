import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { COMMAND } from './cli.js';

/** script(1) gives a command a terminal. */
export const hasTerminal = existsSync('/usr/bin/script');

/** Runs the command line on a terminal. @param columns its width; default: none is set @returns what the terminal got, with plain line ends */
export function onTerminal(
  args: string[],
  env: Record<string, string> = {},
  { columns, ...options }: { cwd?: string; columns?: number } = {},
): Promise<string> {
  return new Promise((resolve) => {
    const width = columns === undefined ? '' : `stty cols ${columns} && `;
    const command = width + [...COMMAND, ...args].map((arg) => `'${arg}'`).join(' ');
    const child = spawn('/usr/bin/script', ['-qec', command, '/dev/null'], {
      env: { PATH: process.env.PATH ?? '', TERM: 'xterm', ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
      ...options,
    });
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
    });
    child.once('close', () => resolve(text.replaceAll('\r\n', '\n')));
  });
}
