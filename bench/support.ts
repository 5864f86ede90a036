import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import pg from 'pg';
import { serverAccount } from '../src/embedded/binaries.js';
import { authority } from '../test/support/certificates.js';
import { installServers } from '../test/support/global-setup.js';
import { startTestServer } from '../test/support/server.js';
import type { Login } from './peers/peer.js';

export type SslMode = 'disable' | 'require' | 'verify-full';

/** One way to do the work that is measured. */
export interface Contender {
  name: string;
  command: string[];
  env?: Record<string, string>;
  cwd?: string;
  /** Before each run, not timed. */
  before?: () => Promise<void>;
}

export interface Measured {
  name: string;
  median: number;
  min: number;
  max: number;
  /** Median of the ratios pair by pair to the first contender. */
  ratio: number;
  /** Each run, in milliseconds. */
  samples: number[];
}

export interface BenchServer {
  login(database: string): Login;
  env(database: string): Record<string, string>;
  query(database: string, sql: string): Promise<pg.QueryResultRow[]>;
  /** A session; end it yourself. */
  connect(database: string): Promise<pg.Client>;
  /** @param template database to copy */
  newDatabase(template?: string): Promise<string>;
  /** What a client sets for a connection with TLS of this mode. */
  tls(mode: SslMode): Record<string, string>;
  stop(): Promise<void>;
}

export const ROOT = resolve(import.meta.dirname, '..');
/** What `npm run build:exe` makes; not there before. */
export const EXECUTABLE = join(ROOT, 'dist-exe/kasm-db');
export const KASM_DB = [process.execPath, join(ROOT, 'dist/kasm-db.mjs')];

/** psql's own binary: Debian's wrapper script costs 15 ms more. */
export function psql(): string | undefined {
  const candidates = [18, 17, 16, 15, 14, 13].map((v) => `/usr/lib/postgresql/${v}/bin/psql`);
  return candidates.find((path) => existsSync(path));
}

/** A PostgreSQL 16 with SCRAM login on loopback, as in real use; with TLS for those who ask for it. */
export async function benchServer(): Promise<BenchServer> {
  const scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kasm-db-bench-'));
  installServers(ROOT, [16]);
  const server = await startTestServer(16, scratch);
  const { port, password } = server.info;
  const ca = await authority('bench');
  const { cert, key } = await ca.issue('127.0.0.1', [{ type: 'ip', value: '127.0.0.1' }]);
  const root = join(scratch, 'root.crt');
  writeFileSync(root, ca.cert);
  for (const [name, text] of Object.entries({ 'server.crt': cert, 'server.key': key })) {
    const path = join(server.data, name);
    writeFileSync(path, text);
    const account = serverAccount();
    if (account) chownSync(path, account.uid, account.gid);
    chmodSync(path, 0o600);
  }
  const connect = async (database: string) => {
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', password, database, ssl: false });
    await client.connect();
    return client;
  };
  const query = async (database: string, sql: string) => {
    const client = await connect(database);
    return await client
      .query(sql)
      .then(({ rows }) => rows)
      .finally(() => client.end());
  };
  await query('postgres', 'ALTER SYSTEM SET ssl = on');
  await query('postgres', 'SELECT pg_reload_conf()');
  while ((await query('postgres', 'SHOW ssl'))[0]?.ssl !== 'on') await new Promise((done) => setTimeout(done, 20));
  return {
    tls: (mode) => ({ PGSSLMODE: mode, ...(mode === 'verify-full' ? { PGSSLROOTCERT: root } : {}) }),
    login: (database) => ({ host: '127.0.0.1', port, user: 'postgres', password, database }),
    env: (database) => ({
      POSTGRES_HOST: '127.0.0.1',
      POSTGRES_PORT: String(port),
      POSTGRES_DB: database,
      POSTGRES_USER: 'postgres',
      POSTGRES_PASSWORD: password,
      PGSSLMODE: 'disable',
      PGHOST: '127.0.0.1',
      PGPORT: String(port),
      PGDATABASE: database,
      PGUSER: 'postgres',
      PGPASSWORD: password,
    }),
    query,
    connect,
    newDatabase: async (template = 'template1') => {
      const name = `bench_${randomBytes(4).toString('hex')}`;
      await query('postgres', `CREATE DATABASE ${name} TEMPLATE ${template}`);
      return name;
    },
    stop: async () => {
      await server.stop();
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}

/** Runs the contenders in turn, A B C A B C …, so that a machine whose speed drifts is the same to all. */
export async function measure(contenders: Contender[], runs: number, warmUp = 2): Promise<Measured[]> {
  const times = contenders.map(() => [] as number[]);
  for (let round = -warmUp; round < runs; round++) {
    for (const [i, contender] of contenders.entries()) {
      await contender.before?.();
      const ms = await timed(contender);
      if (round >= 0) times[i]?.push(ms);
    }
  }
  return contenders.map(({ name }, i) => {
    const own = times[i] as number[];
    return {
      name,
      median: median(own),
      min: Math.min(...own),
      max: Math.max(...own),
      ratio: median(own.map((ms, n) => ms / (times[0]?.[n] as number))),
      samples: own,
    };
  });
}

/** @returns milliseconds from start to end of the process */
export function timed({ name, command, env, cwd }: Contender): Promise<number> {
  const [program, ...args] = command as [string, ...string[]];
  const started = performance.now();
  return new Promise((done, failed) => {
    const child = spawn(program, args, {
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
      ...(cwd ? { cwd } : {}),
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.on('error', failed);
    child.on('close', (code) =>
      code === 0 ? done(performance.now() - started) : failed(new Error(`${name} ended with ${code}: ${stderr}`)),
    );
  });
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2
    ? (sorted[Math.floor(middle)] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

export function print(title: string, rows: Measured[]): void {
  console.log(`\n${title} (${process.version}, ${cpus().length} cores)`);
  for (const { name, median: mid, min, max, ratio } of rows) {
    console.log(
      `  ${name.padEnd(34)} ${mid.toFixed(1).padStart(8)} ms  (${min.toFixed(1)} to ${max.toFixed(1)})  × ${ratio.toFixed(2)}`,
    );
  }
}

/** Bundles a script the way kasm-db is bundled, so that a comparison is fair. */
export function bundle(source: string, out: string): void {
  execFileSync(join(ROOT, 'node_modules/.bin/esbuild'), [
    source,
    '--bundle',
    '--platform=node',
    '--format=cjs',
    '--minify-syntax',
    '--minify-whitespace',
    '--external:pg-native',
    '--external:pg-cloudflare',
    `--outfile=${out}`,
    '--log-level=error',
  ]);
}
