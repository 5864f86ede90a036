import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { inject } from 'vitest';
import { serverAccount } from '../../src/embedded/binaries.js';
import { answers } from './answers.js';
import { waitFor } from './database.js';
import { freePort } from './server.js';
import type { Cluster } from './standby.js';

const PGPOOL = ['/usr/sbin/pgpool', '/usr/bin/pgpool'].find((path) => {
  try {
    execFileSync(path, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
});

/** False where pgpool-II is not installed; suites that need it then say so. */
export function hasPgpool(): boolean {
  if (!PGPOOL) console.warn('SKIPPED: pgpool-II is not installed (Debian: pgpool2)');
  return PGPOOL !== undefined;
}

export interface TestPgpool {
  port: number;
  /** Connection settings that lead through it. */
  env: Record<string, string>;
  stop(): Promise<void>;
}

/** A pgpool-II before a primary and its standby, to which it sends whatever it takes for a read. @param settings lines of pgpool.conf */
export async function startPgpool(cluster: Cluster, settings: string[] = []): Promise<TestPgpool> {
  const scratch = mkdtempSync(join(dirname(inject('outputLog')), 'pgpool-'));
  const port = await freePort();
  const { password } = cluster;
  const node = (i: number, at: number, weight: number) => [
    `backend_hostname${i} = '127.0.0.1'`,
    `backend_port${i} = ${at}`,
    `backend_weight${i} = ${weight}`,
    `backend_flag${i} = 'DISALLOW_TO_FAILOVER'`,
  ];
  const config = [
    "backend_clustering_mode = 'streaming_replication'",
    "listen_addresses = '127.0.0.1'",
    `port = ${port}`,
    `pcp_port = ${await freePort()}`,
    ...['unix_socket_directories', 'socket_dir', 'pcp_socket_dir', 'wd_ipc_socket_dir', 'logdir'].map(
      (name) => `${name} = '${scratch}'`,
    ),
    `pid_file_name = '${join(scratch, 'pgpool.pid')}'`,
    ...node(0, cluster.primary.port, 0),
    ...node(1, cluster.standby.port, 1),
    'num_init_children = 8',
    'enable_pool_hba = on',
    "pool_passwd = 'pool_passwd'",
    "sr_check_user = 'postgres'",
    `sr_check_password = '${password}'`,
    'health_check_period = 0',
    ...settings,
  ];
  writeFileSync(join(scratch, 'pgpool.conf'), `${config.join('\n')}\n`);
  writeFileSync(join(scratch, 'pool_hba.conf'), 'host all all 127.0.0.1/32 scram-sha-256\n');
  writeFileSync(join(scratch, 'pool_passwd'), `postgres:TEXT${password}\n`);
  writeFileSync(join(scratch, 'pcp.conf'), '');
  const account = serverAccount();
  if (account) {
    chmodSync(dirname(scratch), 0o755);
    for (const path of [scratch, ...readdirSync(scratch).map((name) => join(scratch, name))])
      chownSync(path, account.uid, account.gid);
  }
  const files = [
    '-f',
    join(scratch, 'pgpool.conf'),
    '-a',
    join(scratch, 'pool_hba.conf'),
    '-F',
    join(scratch, 'pcp.conf'),
  ];
  const child = spawn(PGPOOL as string, ['-n', ...files], {
    ...(account ?? {}),
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { HOME: scratch },
  });
  let log = '';
  child.stderr?.on('data', (data) => {
    log = (log + data).slice(-5000);
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const env = { ...cluster.env, POSTGRES_HOST: '127.0.0.1', POSTGRES_PORT: String(port) };
  const ready = () => {
    if (child.exitCode !== null) throw new Error(`pgpool-II did not start: ${log}`);
    return answers({ port, user: 'postgres', password, database: 'postgres' });
  };
  await waitFor(ready, 'pgpool-II');
  return {
    port,
    env,
    stop: async () => {
      child.kill('SIGINT');
      const cut = setTimeout(() => child.kill('SIGKILL'), 3000);
      await ended;
      clearTimeout(cut);
    },
  };
}
