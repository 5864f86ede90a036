import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
  /** What it said last, where it has ended by itself. */
  died(): string | undefined;
  /** Ends it without a word to anyone, and starts it again at the same port. */
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** What stands behind a PgBouncer. */
interface Behind {
  /** Of the server. */
  port: number;
  /** Passwords by user. */
  logins: Record<string, string>;
  /** Who asks whether it answers, and for which database. */
  user: string;
  database: string;
  settings: readonly string[];
}

/** A PgBouncer before a database's server, with two server connections. @param settings lines of its [pgbouncer] section */
export async function startPgbouncer(
  db: TestDatabase,
  mode: 'session' | 'transaction' | 'statement',
  settings: readonly string[] = [],
): Promise<TestPooler> {
  const logins = { postgres: inject('servers')[db.version]?.password ?? '', [db.user]: db.password };
  const { user, port, name: database } = db;
  const pooler = await startBefore({ port, logins, user, database, settings: [`pool_mode = ${mode}`, ...settings] });
  return { ...pooler, env: { ...db.env, POSTGRES_PORT: String(pooler.port) } };
}

/** A PgBouncer before a server, with two server connections. */
export async function startBefore(behind: Behind): Promise<Omit<TestPooler, 'env'>> {
  const { logins, user, database } = behind;
  const scratch = mkdtempSync(join(dirname(inject('outputLog')), 'pgbouncer-'));
  const port = await freePort();
  const log = join(scratch, 'log');
  const users = Object.entries(logins).map(([name, password]) => `"${name}" "${password}"\n`);
  writeFileSync(join(scratch, 'users.txt'), users.join(''));
  writeFileSync(
    join(scratch, 'pgbouncer.ini'),
    [
      '[databases]',
      `* = host=127.0.0.1 port=${behind.port}`,
      '[pgbouncer]',
      `listen_port = ${port}`,
      'listen_addr = 127.0.0.1',
      'unix_socket_dir =',
      'auth_type = scram-sha-256',
      `auth_file = ${join(scratch, 'users.txt')}`,
      'default_pool_size = 2',
      `logfile = ${log}`,
      ...behind.settings,
    ].join('\n'),
  );
  // It refuses to be root.
  const account = serverAccount();
  if (account) for (const path of [dirname(scratch), scratch]) chmodSync(path, 0o755);
  writeFileSync(log, '');
  if (account) chownSync(log, account.uid, account.gid);
  let child: ChildProcess;
  let ended: Promise<void>;
  let wanted = false;
  const kill = async () => {
    wanted = false;
    child.kill('SIGKILL');
    await ended;
  };
  const start = async () => {
    child = spawn(PGBOUNCER as string, [join(scratch, 'pgbouncer.ini')], { ...(account ?? {}), stdio: 'ignore' });
    wanted = true;
    ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    const ready = () => answers({ port, user, password: logins[user] ?? '', database });
    await waitFor(ready, 'pgbouncer').catch(async (error) => {
      await kill();
      throw error;
    });
  };
  await start();
  return {
    port,
    start,
    died: () =>
      wanted && (child.exitCode ?? child.signalCode) !== null
        ? readFileSync(log, 'utf8').trimEnd().split('\n').slice(-3).join(' | ')
        : undefined,
    kill,
    stop: async () => {
      child.kill('SIGINT');
      const cut = setTimeout(() => child.kill('SIGKILL'), 2000);
      await ended;
      clearTimeout(cut);
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}
