import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

export interface Psql {
  /** Major version of psql, and so of its libpq. */
  version: number;
  /** Runs it with nothing of our environment but what is given. */
  run(args: string[], env: Record<string, string>): Promise<{ code: number | null; stdout: string; stderr: string }>;
}

/** psql to compare with, libpq's own client; undefined where none is installed, which suites that need it then say. */
export function findPsql(): Psql | undefined {
  // Debian's /usr/bin/psql is a script that picks one of these.
  const debian = '/usr/lib/postgresql';
  const programs = [
    ...(existsSync(debian) ? readdirSync(debian) : [])
      .sort((a, b) => Number(b) - Number(a))
      .map((version) => join(debian, version, 'bin/psql')),
    'psql',
  ];
  for (const program of programs) {
    const { status, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
    if (status !== 0) continue;
    const version = Number(/(\d+)/.exec(stdout)?.[1]);
    return { version, run: (args, env) => run(program, args, env) };
  }
  console.warn('SKIPPED: psql is not installed (Debian: postgresql-client)');
  return undefined;
}

function run(program: string, args: string[], env: Record<string, string>): ReturnType<Psql['run']> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ['-X', '-A', '-t', '-w', ...args], {
      env: { PATH: process.env.PATH ?? '', LC_ALL: 'C', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout: stdout.trim(), stderr: stderr.trim() }));
  });
}
