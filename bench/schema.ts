// The whole Kasm schema on an empty database: kasm-db beside psql running the same files, each in its own transaction, in one session.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { benchServer, KASM_DB, measure, print, psql, ROOT } from './support.js';

const RUNS = Number(process.env.BENCH_RUNS ?? 15);
const path = psql();
if (!path) throw new Error('psql is not installed (Debian: postgresql-client)');
const server = await benchServer();
try {
  const files = readdirSync(join(ROOT, 'migrations'))
    .filter((file) => file.endsWith('.sql') && !file.endsWith('.down.sql'))
    .sort()
    .flatMap((file) => ['-c', 'BEGIN', '-f', join(ROOT, 'migrations', file), '-c', 'COMMIT']);
  const fresh = (env: Record<string, string>) => async () => {
    Object.assign(env, server.env(await server.newDatabase()));
  };
  const envs: Record<string, string>[] = [{}, {}];
  const rows = await measure(
    [
      {
        name: 'psql -X, file by file',
        command: [path, '-X', '-q', '-v', 'ON_ERROR_STOP=1', ...files],
        env: envs[0],
        before: fresh(envs[0] as never),
      },
      {
        name: 'kasm-db migrate',
        command: [...KASM_DB, 'migrate', '--quiet'],
        env: envs[1],
        before: fresh(envs[1] as never),
      },
    ],
    RUNS,
  );
  print('whole Kasm schema on an empty database', rows);
} finally {
  await server.stop();
}
