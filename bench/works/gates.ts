// Hundreds of gates that wait for one migrator, on a server with max_connections=100: are all released, how soon, and what does the server pay?
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import pg from 'pg';
import { serverAccount } from '../../src/embedded/binaries.js';
import { freePort, type RunningServer, startTestServer } from '../../test/support/server.js';
import type { Bench, Show } from '../bench.js';
import { KASM_DB, ROOT } from '../support.js';

interface Round {
  name: string;
  gates: number;
  redis: boolean;
  /** The gates reach the server by PgBouncer in transaction mode. */
  pooler?: boolean;
}

/** Where the gates wait. */
interface Site {
  server: RunningServer;
  scratch: string;
  redisPort: number;
  /** Kept open, by database: once the gates are there, no connection may be left. */
  clients: Map<string, pg.Client>;
}

/** A row of the table. */
const HEAD = ['', 'failed', 'release median', 'p99', 'all had looked', 'then looks/s', "server's CPU", 'connections'];

const PROCESSES = Number(process.env.BENCH_GATE_PROCESSES ?? 20);
const WORKERS = 4;
const START_AFTER_MS = 10_000;
/** What the gates cost is measured once each has looked, for at least so long. */
const WATCHED_MS = 3000;
const TICKS_A_SECOND = 100;
/** Of one core. */
const MAX_CPU = 40;

const ROUNDS: Round[] = [
  { name: '100, polling', gates: 100, redis: false },
  { name: '500, polling', gates: 500, redis: false },
  { name: '500, with Redis', gates: 500, redis: true },
  { name: '500, with Redis, through PgBouncer', gates: 500, redis: true, pooler: true },
];
/** By round: the 99th percentile from commit to release, in seconds. */
const P99_LIMITS: Record<string, number> = {
  '500, polling': 15,
  '500, with Redis': 5,
  '500, with Redis, through PgBouncer': 1.5,
};

export const gates: Bench = {
  name: 'gates',
  title: '500 gates',
  about: `Up to 500 gates (\`kasm-db --check --wait\`; ${PROCESSES} as processes, the others in ${WORKERS} threads) wait for one migrator. The server allows 100 connections, and 20 of them to the role of the gates. Do all gates end, how soon after the last commit, and how much does waiting cost the server? The last row is the least that so many logins with SELECT 1 cost.`,
  run: async () => {
    const scratch = mkdtempSync(join('/dev/shm', 'kasm-db-gates-'));
    const server = await startTestServer(16, scratch, ['max_connections=100']);
    const redisPort = await freePort();
    const redis = spawn('redis-server', ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', ''], {
      stdio: 'ignore',
    });
    const site: Site = { server, scratch, redisPort, clients: new Map() };
    const rows: string[][] = [];
    const absent: string[] = [];
    try {
      await query(site, 'postgres', `CREATE ROLE gate LOGIN PASSWORD 'gate' CONNECTION LIMIT 20`);
      for (const round of ROUNDS) {
        const pooler = round.pooler ? await startPooler(site) : undefined;
        if (round.pooler && !pooler) absent.push(`${round.name} (pgbouncer is not installed)`);
        else rows.push(await run(site, round, pooler?.port ?? server.info.port));
        pooler?.stop();
      }
      rows.push(await floor(site, 500));
    } finally {
      redis.kill();
      await Promise.all([...site.clients.values()].map((client) => client.end().catch(() => {})));
      await server.stop();
      rmSync(scratch, { recursive: true, force: true });
    }
    return { outcome: { head: HEAD, rows }, absent };
  },
  shows: ({ outcome }) =>
    Object.entries(P99_LIMITS).flatMap(([round, limit]): Show[] => {
      const [, failed, , p99, , , cpu] = outcome?.rows.find(([name]) => name === round) ?? [];
      const within = (text: string, figure: string | undefined, most: number, unit: string): Show => ({
        text: `gates, ${round}: ${text}`,
        figure: figure ?? 'not measured',
        limit: `at most ${most}${unit}`,
        met: figure === undefined ? undefined : Number.parseFloat(figure) <= most,
      });
      return [
        within('failed', failed, 0, ''),
        within('p99 from commit to release', p99, limit, ' s'),
        within("server's CPU while they wait, of a core", cpu, MAX_CPU, ' %'),
      ];
    }),
};

async function run(site: Site, { name, gates, redis, pooler }: Round, port: number): Promise<string[]> {
  const { server, redisPort } = site;
  const database = `gates_${gates}_${redis ? 'redis' : 'plain'}${pooler ? '_pooler' : ''}`;
  await query(site, 'postgres', `CREATE DATABASE ${database}`);
  const env = {
    POSTGRES_HOST: '127.0.0.1',
    POSTGRES_PORT: String(port),
    POSTGRES_DB: database,
    POSTGRES_USER: 'gate',
    POSTGRES_PASSWORD: 'gate',
    PGSSLMODE: 'disable',
    ...(redis ? { KASM_DB_REDIS_HOST: '127.0.0.1', KASM_DB_REDIS_PORT: String(redisPort) } : {}),
  };
  const admin = {
    ...env,
    POSTGRES_PORT: String(server.info.port),
    POSTGRES_USER: 'postgres',
    POSTGRES_PASSWORD: server.info.password,
  };
  // The gate's role may read what it needs from the moment that it exists.
  await query(
    site,
    database,
    `CREATE SCHEMA kasm_db; GRANT USAGE ON SCHEMA kasm_db TO gate;
    ALTER DEFAULT PRIVILEGES IN SCHEMA kasm_db GRANT SELECT ON TABLES TO gate`,
  );
  const released: { outcome: string; at: number }[] = [];
  let mostConnections = 0;
  let looked = 0;
  const hasLooked = () => {
    looked++;
  };
  const started = Date.now();
  const processes = startProcesses(Math.min(PROCESSES, gates), env, released, hasLooked);
  const workers = startWorkers(gates - processes.length, env, released, hasLooked);
  const watch = setInterval(async () => {
    const rows = await query(
      site,
      database,
      "SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = 'gate'",
    ).catch(() => []);
    mostConnections = Math.max(mostConnections, rows[0]?.n ?? 0);
  }, 500);
  while (looked < gates) await sleep(20);
  const allLooked = Date.now() - started;
  const watchedMs = Math.max(START_AFTER_MS - allLooked, WATCHED_MS);
  const sessions = await sessionCount(site, database);
  const cpu = await serverCpu(site, watchedMs);
  const looks = ((await sessionCount(site, database)) - sessions) / (watchedMs / 1000);
  await ended(
    spawn(KASM_DB[0] as string, [...KASM_DB.slice(1), 'migrate', '--quiet'], {
      env: { PATH: process.env.PATH, ...admin },
      stdio: 'ignore',
    }),
  );
  const [{ committed }] = (await query(
    site,
    database,
    'SELECT extract(epoch FROM applied_at)::float8 * 1000 + duration_ms AS committed FROM kasm_db.migrations ORDER BY name DESC LIMIT 1',
  )) as [{ committed: number }];
  const deadline = Date.now() + 120_000;
  while (released.length < gates && Date.now() < deadline) await sleep(50);
  clearInterval(watch);
  await Promise.all(workers.map((worker) => worker.terminate()));
  for (const child of processes) child.kill();
  const late = released.map(({ at }) => at - committed).sort((a, b) => a - b);
  const failed = released.filter(({ outcome }) => outcome !== 'ok').length + gates - released.length;
  return [
    name,
    String(failed),
    seconds(at(late, 0.5)),
    seconds(at(late, 0.99)),
    seconds(allLooked),
    looks.toFixed(1),
    `${(cpu * 100).toFixed(1)} %`,
    `at most ${mostConnections}`,
  ];
}

/** PgBouncer before the server, with as many connections as the gates' role may have; undefined: it is not installed. */
async function startPooler(site: Site): Promise<{ port: number; stop: () => void } | undefined> {
  const port = await freePort();
  const { server, scratch } = site;
  const folder = mkdtempSync(join(scratch, 'pgbouncer-'));
  // The server's own verifier: PgBouncer then logs in with what the gate has shown.
  const [{ verifier }] = await query(
    site,
    'postgres',
    `SELECT rolpassword AS verifier FROM pg_authid WHERE rolname = 'gate'`,
  );
  writeFileSync(join(folder, 'users.txt'), `"gate" "${verifier}"\n`);
  writeFileSync(
    join(folder, 'pgbouncer.ini'),
    [
      '[databases]',
      `* = host=127.0.0.1 port=${server.info.port}`,
      '[pgbouncer]',
      `listen_port = ${port}`,
      'listen_addr = 127.0.0.1',
      'unix_socket_dir =',
      'auth_type = scram-sha-256',
      `auth_file = ${join(folder, 'users.txt')}`,
      'pool_mode = transaction',
      'default_pool_size = 20',
      'max_client_conn = 1000',
    ].join('\n'),
  );
  // It refuses to be root.
  const account = serverAccount();
  chmodSync(folder, 0o755);
  const child = spawn('pgbouncer', [join(folder, 'pgbouncer.ini')], {
    ...account,
    env: { PATH: `${process.env.PATH}:/usr/sbin` },
    stdio: 'ignore',
  });
  const failed = await Promise.race([
    new Promise<boolean>((resolve) => child.once('error', () => resolve(true))),
    sleep(1000, false),
  ]);
  return failed ? undefined : { port, stop: () => child.kill() };
}

/** What 500 confirmations cost this machine at least, server and clients together. */
async function floor(site: Site, logins: number): Promise<string[]> {
  const { server } = site;
  const env = {
    POSTGRES_HOST: '127.0.0.1',
    POSTGRES_PORT: String(server.info.port),
    POSTGRES_USER: 'gate',
    POSTGRES_PASSWORD: 'gate',
  };
  const cpu = ticks(site);
  const began = Date.now();
  await Promise.all(
    Array.from({ length: WORKERS }, () => {
      const worker = new Worker(join(ROOT, 'bench/login-worker.mjs'), {
        workerData: { logins: logins / WORKERS, atOnce: 4, env },
      });
      return new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    }),
  );
  const ms = Date.now() - began;
  const cpuMs = ((ticks(site) - cpu) * 1000) / TICKS_A_SECOND / logins;
  return [
    `${logins} bare logins, ${WORKERS * 4} at a time`,
    '',
    '',
    '',
    seconds(ms),
    '',
    `${cpuMs.toFixed(1)} ms each`,
    `at most ${WORKERS * 4}`,
  ];
}

function startProcesses(
  count: number,
  env: Record<string, string>,
  released: { outcome: string; at: number }[],
  looked: () => void,
): ChildProcess[] {
  return Array.from({ length: count }, () => {
    const child = spawn(KASM_DB[0] as string, [...KASM_DB.slice(1), '--check', '--wait', '120s'], {
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    // Its first line says what it waits for.
    child.stderr.once('data', looked).resume();
    child.on(
      'exit',
      (code) => code !== null && released.push({ outcome: code === 0 ? 'ok' : String(code), at: Date.now() }),
    );
    return child;
  });
}

function startWorkers(
  count: number,
  env: Record<string, string>,
  released: { outcome: string; at: number }[],
  looked: () => void,
): Worker[] {
  return Array.from({ length: WORKERS }, (_, i) => {
    const gates = Math.floor(count / WORKERS) + (i < count % WORKERS ? 1 : 0);
    const worker = new Worker(join(ROOT, 'bench/gate-worker.mjs'), { workerData: { gates, env } });
    worker.on('message', (message) => (message === 'looked' ? looked() : released.push(message)));
    return worker;
  });
}

/** Share of one core that the server's processes used, the ended ones too. */
async function serverCpu(site: Site, ms: number): Promise<number> {
  const before = ticks(site);
  await sleep(ms);
  return (ticks(site) - before) / TICKS_A_SECOND / (ms / 1000);
}

function ticks({ server }: Site): number {
  const stat = (pid: string) => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  const own = stat(String(server.pid));
  // utime, stime, and those of children that were waited for: fields 14 to 17 of proc(5), counted from 3.
  let sum = [11, 12, 13, 14].reduce((total, i) => total + Number(own[i]), 0);
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const fields = stat(pid);
      if (fields[1] === String(server.pid)) sum += Number(fields[11]) + Number(fields[12]);
    } catch {
      // It has just ended, and is among the waited for.
    }
  }
  return sum;
}

async function sessionCount(site: Site, database: string): Promise<number> {
  const [row] = await query(
    site,
    'postgres',
    `SELECT sessions::int AS n FROM pg_stat_database WHERE datname = '${database}'`,
  );
  return row?.n ?? 0;
}

// biome-ignore lint/suspicious/noExplicitAny: rows of whatever is asked.
async function query({ server, clients }: Site, database: string, sql: string): Promise<any[]> {
  const known = clients.get(database);
  const client =
    known ??
    new pg.Client({
      host: '127.0.0.1',
      port: server.info.port,
      user: 'postgres',
      password: server.info.password,
      database,
      ssl: false,
    });
  if (!known) {
    clients.set(database, client);
    client.on('error', () => {});
    await client.connect();
  }
  return (await client.query(sql)).rows ?? [];
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => child.once('exit', () => resolve()));
}

function at(sorted: number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
