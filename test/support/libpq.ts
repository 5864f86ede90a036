import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** libpq itself, to compare with. */
export interface Libpq {
  version: number;
  connect(conninfo: string, env: Record<string, string>): Promise<{ in: boolean; why: string }>;
  stop(): void;
}

/** From here on it has all parameters of the table. */
const LEAST_VERSION = 180_000;
/** An interpreter that has psycopg[binary], whose wheels bring a libpq of their own. */
const PYTHON = process.env.KASM_DB_PYTHON ?? 'python3';

/** Is there one? What is missing is said. */
export function hasLibpq(): boolean {
  const probe = spawnSync(PYTHON, ['-c', 'import psycopg.pq as pq; print(pq.version())'], { encoding: 'utf8' });
  const version = Number(probe.stdout?.trim() || 0);
  if (version >= LEAST_VERSION) return true;
  console.warn(
    `SKIPPED: ${PYTHON} has ${version ? `libpq ${version}` : 'no psycopg'}, wanted is libpq 18 (pip install "psycopg[binary]", KASM_DB_PYTHON names the interpreter)`,
  );
  return false;
}

export async function startLibpq(): Promise<Libpq> {
  const child: ChildProcess = spawn(PYTHON, [join(import.meta.dirname, 'libpq.py')], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { PATH: process.env.PATH },
  });
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error('libpq has ended');
    return JSON.parse(value);
  };
  const { version } = await next();
  return {
    version,
    connect: (conninfo, env) => {
      child.stdin?.write(`${JSON.stringify({ conninfo, env })}\n`);
      return next();
    },
    stop: () => child.kill(),
  };
}
