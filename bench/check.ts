// What `kasm-db --check` costs on an up-to-date database, beside a minimal Node script and psql; whole processes, cold. The standalone
// executable (`npm run build:exe`) is held against psql, pair by pair.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { benchServer, bundle, EXECUTABLE, KASM_DB, measure, print, psql, ROOT } from './support.js';

const RUNS = Number(process.env.BENCH_RUNS ?? 30);
const server = await benchServer();
try {
  const minimal = join(mkdtempSync(join(tmpdir(), 'kasm-db-bench-')), 'minimal.cjs');
  bundle(join(ROOT, 'bench/minimal.mjs'), minimal);
  const env = server.env(await server.newDatabase());
  const [program, ...args] = KASM_DB as [string, string];
  execFileSync(program, [...args, 'migrate', '--quiet'], { env: { ...process.env, ...env } });
  const path = psql();
  const rows = await measure(
    [
      { name: 'minimal bundled script (pg)', command: [process.execPath, minimal], env },
      { name: 'kasm-db --check', command: [...KASM_DB, '--check'], env },
      { name: 'node, nothing', command: [process.execPath, '-e', '0'], env },
      ...(path ? [{ name: "psql -X -c 'select 1'", command: [path, '-X', '-c', 'select 1'], env }] : []),
    ],
    RUNS,
  );
  print('check on an up-to-date database', rows);
  if (path && existsSync(EXECUTABLE)) {
    const pairs = await measure(
      [
        { name: "psql -X -c 'select 1'", command: [path, '-X', '-c', 'select 1'], env },
        { name: 'kasm-db --check, the executable', command: [EXECUTABLE, '--check'], env },
      ],
      RUNS * 2,
    );
    print('the executable, beside psql', pairs);
  }
} finally {
  await server.stop();
}
