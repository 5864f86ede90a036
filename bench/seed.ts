// A customer's seed document of 500 users and 300 settings: kasm-db beside psql writing the same rows by one script of INSERTs.

import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { benchServer, EXECUTABLE, KASM_DB, measure, print, psql } from './support.js';

const RUNS = Number(process.env.BENCH_RUNS ?? 15);
const path = psql();
if (!path) throw new Error('psql is not installed (Debian: postgresql-client)');

const users = Array.from({ length: 500 }, (_, i) => ({
  user_id: randomUUID(),
  username: `person${i}@example.com`,
  realm: 'local',
  pw_hash: '0'.repeat(64),
  salt: randomUUID(),
  created: '2026-01-01 00:00:00',
  crypt_password: 'a'.repeat(512),
  crypt_salt: 'b'.repeat(512),
}));
const settings = Array.from({ length: 300 }, (_, i) => ({
  setting_id: randomUUID(),
  category: 'custom',
  name: `name_${i}`,
  value: `value ${i}`,
  value_type: 'string',
}));
const tables: Record<string, Record<string, string>[]> = { users, settings };

const folder = mkdtempSync(join(tmpdir(), 'kasm-db-bench-'));
const document = join(folder, 'default_properties.yaml');
const script = join(folder, 'rows.sql');
writeFileSync(
  document,
  `alembic_version: bfc22f00ad19\n${Object.entries(tables)
    .map(
      ([table, rows]) =>
        `${table}:\n${rows
          .map(
            (row) =>
              `  - ${Object.entries(row)
                .map(([column, value]) => `${column}: '${value}'`)
                .join('\n    ')}`,
          )
          .join('\n')}`,
    )
    .join('\n')}\n`,
);
writeFileSync(
  script,
  Object.entries(tables)
    .flatMap(([table, rows]) =>
      rows.map(
        (row) =>
          `INSERT INTO ${table} (${Object.keys(row).join(', ')}) VALUES (${Object.values(row)
            .map((value) => `'${value}'`)
            .join(', ')});`,
      ),
    )
    .join('\n'),
);

const server = await benchServer();
try {
  const template = await server.newDatabase();
  execFileSync(KASM_DB[0] as string, [...KASM_DB.slice(1), 'migrate', '--quiet'], {
    env: { ...process.env, ...server.env(template) },
  });
  const envs: Record<string, string>[] = [{}, {}, {}];
  const fresh = (env: Record<string, string>) => async () => {
    Object.assign(env, server.env(await server.newDatabase(template)));
  };
  const rows = await measure(
    [
      {
        name: 'psql -X -1 -f rows.sql',
        command: [path, '-X', '-q', '-1', '-v', 'ON_ERROR_STOP=1', '-f', script],
        env: envs[0],
        before: fresh(envs[0] as never),
      },
      {
        name: 'kasm-db seed',
        command: [...KASM_DB, 'seed', '--quiet', '--seeds', document],
        env: envs[1],
        before: fresh(envs[1] as never),
      },
      ...(existsSync(EXECUTABLE)
        ? [
            {
              name: 'kasm-db seed, the executable',
              command: [EXECUTABLE, 'seed', '--quiet', '--seeds', document],
              env: envs[2] as never,
              before: fresh(envs[2] as never),
            },
          ]
        : []),
    ],
    RUNS,
  );
  print('500 users and 300 settings', rows);
} finally {
  await server.stop();
}
