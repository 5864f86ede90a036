import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import type { Result } from '../../src/output/result.js';
import { resultSchema } from '../../src/output/schema.js';

export { folder } from './folder.js';

export interface CliRun {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  ms: number;
  /** The JSON object on stdout, held against the published schema. */
  json(): Result;
}

export interface RunningCli {
  child: ChildProcess;
  /** What stands on stderr so far. */
  stderr(): string;
  ended: Promise<CliRun>;
}

const ROOT = join(import.meta.dirname, '..', '..');
export const NODE_COMMAND = [process.execPath, join(ROOT, 'dist/kasm-db.mjs')];
/** KASM_DB_EXECUTABLE runs the same tests on the standalone executable. */
export const COMMAND = process.env.KASM_DB_EXECUTABLE ? [process.env.KASM_DB_EXECUTABLE] : NODE_COMMAND;

/** Starts the real command line as a child process, with nothing of our environment but PATH and HOME. */
export function startCli(
  args: string[],
  env: Record<string, string> = {},
  options: { cwd?: string; command?: string[] | undefined } = {},
): RunningCli {
  const started = performance.now();
  const [program, ...first] = (options.command ?? COMMAND) as [string, ...string[]];
  const child = spawn(program, [...first, ...args], {
    cwd: options.cwd ?? tmpdir(),
    env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  const ended = new Promise<CliRun>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      appendFileSync(inject('outputLog'), `${stdout}\n${stderr}\n`);
      resolve({
        code,
        signal,
        stdout,
        stderr,
        ms: performance.now() - started,
        json: () => resultSchema.parse(JSON.parse(stdout)) as Result,
      });
    });
  });
  return { child, stderr: () => stderr, ended };
}

export function cli(args: string[], env: Record<string, string> = {}, options: { cwd?: string } = {}): Promise<CliRun> {
  return startCli(args, env, options).ended;
}
