import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** Everything that kasm-db printed; what tests write stands in folders beside it, which go when the run ends. */
    outputLog: string;
  }
}

/** Every password in the tests begins so; the end of the run looks for it in everything that kasm-db printed. */
export const SECRET_MARK = 's3cr3t-';

/** For tests that need no server: a folder for their files. */
export default function setup(project: TestProject): () => void {
  const { outputLog, remove } = testFolder();
  project.provide('outputLog', outputLog);
  return remove;
}

/** Makes a folder for a run's files. `remove` throws when a password stands in what kasm-db printed. */
export function testFolder(): { path: string; outputLog: string; remove: () => void } {
  const path = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kasm-db-test-'));
  // The account that servers run under looks into it.
  chmodSync(path, 0o755);
  const outputLog = join(path, 'outputs.log');
  writeFileSync(outputLog, '');
  return {
    path,
    outputLog,
    remove: () => {
      const leaks = readFileSync(outputLog, 'utf8')
        .split('\n')
        .filter((line) => line.includes(SECRET_MARK));
      rmSync(path, { recursive: true, force: true });
      if (leaks.length > 0)
        throw new Error(`a password stands in kasm-db's output, ${leaks.length} times: ${leaks[0]?.slice(0, 200)}`);
    },
  };
}
