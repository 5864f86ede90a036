import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { inject } from 'vitest';
import { serverAccount } from '../../src/embedded/binaries.js';
import { answers } from './answers.js';
import { type TestDatabase, waitFor } from './database.js';
import { freePort } from './server.js';

const PGBOUNCER = ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer', '/usr/local/bin/pgbouncer'].find((path) => {
  try {
    execFileSync(path, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
});

/** False where PgBouncer is not installed; suites that need it then say so. */
export function hasPgbouncer(): boolean {
  if (!PGBOUNCER)
    console.warn('SKIPPED: pgbouncer is not installed (Debian: pgbouncer), so nothing was run through a pooler');
  return PGBOUNCER !== undefined;
}

export interface TestPooler {
  port: number;
  /** Connection settings that lead through the pooler. */
  env: Record<string, string>;
  /** Ends it without a word to anyone, and starts it again at the same port. */
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** A PgBouncer before a database's server, with two server connections. @param settings lines of its [pgbouncer] section */
export async function startPgbouncer(
  db: TestDatabase,
  mode: 'session' | 'transaction' | 'statement',
  settings: string[] = [],
): Promise<TestPooler> {
  const scratch = mkdtempSync(join(dirname(inject('outputLog')), 'pgbouncer-'));
  const port = await freePort();
  const logins = { postgres: inject('servers')[db.version]?.password, [db.user]: db.password };
  const users = Object.entries(logins).map(([user, password]) => `"${user}" "${password}"\n`);
  writeFileSync(join(scratch, 'users.txt'), users.join(''));
  writeFileSync(
    join(scratch, 'pgbouncer.ini'),
    [
      '[databases]',
      `* = host=127.0.0.1 port=${db.port}`,
      '[pgbouncer]',
      `listen_port = ${port}`,
      'listen_addr = 127.0.0.1',
      'unix_socket_dir =',
      'auth_type = scram-sha-256',
      `auth_file = ${join(scratch, 'users.txt')}`,
      `pool_mode = ${mode}`,
      'default_pool_size = 2',
      ...settings,
    ].join('\n'),
  );
  // It refuses to be root.
  const account = serverAccount();
  if (account) for (const path of [dirname(scratch), scratch]) chmodSync(path, 0o755);
  let child: ChildProcess;
  let ended: Promise<void>;
  const start = async () => {
    child = spawn(PGBOUNCER as string, [join(scratch, 'pgbouncer.ini')], { ...(account ?? {}), stdio: 'ignore' });
    ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    await waitFor(() => answers({ port, user: db.user, password: db.password, database: db.name }), 'pgbouncer');
  };
  await start();
  return {
    port,
    env: { ...db.env, POSTGRES_PORT: String(port) },
    start,
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
    stop: async () => {
      child.kill('SIGINT');
      const cut = setTimeout(() => child.kill('SIGKILL'), 2000);
      await ended;
      clearTimeout(cut);
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}
