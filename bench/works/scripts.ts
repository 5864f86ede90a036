import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Bench } from '../bench.js';
import { ROOT } from '../support.js';

/** A bench that is a program of its own; what it says is its result. */
const script = (name: string, title: string, about: string): Bench => ({
  name,
  title,
  about,
  run: async () => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [join(ROOT, 'scripts/run-ts.mjs'), join(ROOT, 'bench', `${name}.ts`)],
      { cwd: ROOT, maxBuffer: 1e7 },
    );
    const lines = stdout.split('\n').filter((line) => line.trim() !== '');
    return { outcome: { head: [`what bench/${name}.ts says`], rows: lines.map((line) => [line.trim()]) } };
  },
});

/** Work 6. */
export const gates = script(
  'gates',
  '500 gates',
  'Up to 500 gates (`kasm-db --check --wait`) wait for one migrator on a server with 100 connections, of which the gate role may have 20: are all released, how soon, and what does the server pay?',
);

/** Work 7. */
export const seed = script(
  'seed',
  'Seed',
  'A seed document of 500 users and 300 settings, beside psql writing the same rows by one script of INSERTs.',
);
