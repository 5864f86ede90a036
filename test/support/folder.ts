import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { inject } from 'vitest';

/** Writes small files into a new folder, which goes when the run ends, and gives its path. */
export function folder(files: Record<string, string | Buffer>): string {
  const path = mkdtempSync(join(dirname(inject('outputLog')), 'files-'));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), content);
  }
  return path;
}
