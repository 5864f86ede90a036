// Writes migrations/schema.snapshot.json anew: builds kasm-db, migrates an empty private PostgreSQL 16, captures its catalog.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const run = (...args) => execFileSync(process.execPath, args, { stdio: 'inherit' });
const folder = mkdtempSync(join(tmpdir(), 'kasm-db-snapshot-'));
const embedded = ['--embedded', join(folder, 'postgres')];
try {
  run('scripts/build.mjs', '--no-types');
  run('dist/kasm-db.mjs', 'migrate', '--quiet', ...embedded);
  run('dist/kasm-db.mjs', 'capture', '--out', 'migrations/schema.snapshot.json', ...embedded);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
