import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { COLUMNS, type Line, screen, shortened } from './screen.js';

/** What the picture shows, in this order, on a database that is empty at first. */
const COMMANDS = ['kasm-db migrate --seed', 'kasm-db status', 'kasm-db --check --seed'];

/**
 * Runs the commands under a pseudo-terminal (util-linux `script`), as someone would who types them.
 * @param program path of kasm-db.mjs
 * @param env settings of an empty database
 * @throws Error when a command fails
 */
export function record(program: string, env: Record<string, string>): Line[] {
  const bin = mkdtempSync(join(tmpdir(), 'kasm-db-picture-'));
  chmodSync(program, 0o755);
  symlinkSync(program, join(bin, 'kasm-db'));
  try {
    return COMMANDS.flatMap((command, i) => {
      const { status, stdout, stderr, error } = spawnSync(
        'script',
        ['-qec', `stty cols ${COLUMNS} && ${command}`, '/dev/null'],
        {
          env: {
            // The Node that runs this, before any other.
            PATH: `${bin}:${dirname(process.execPath)}:${process.env.PATH ?? ''}`,
            TERM: 'xterm-256color',
            HOSTNAME: 'kasm-migrate',
            ...env,
          },
          encoding: 'utf8',
        },
      );
      if (error) throw error;
      if (status !== 0) throw new Error(`${command} ended with ${status}: ${stdout}${stderr}`);
      const prompt = [
        { text: '$ ', style: 36 },
        { text: command, style: 1 },
      ];
      return [...(i > 0 ? [[]] : []), prompt, ...shortened(screen(stdout))];
    });
  } finally {
    rmSync(bin, { recursive: true, force: true });
  }
}
