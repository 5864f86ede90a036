// What one waiting gate costs its node: CPU time over a minute, and peak memory beside the bare runtime that waits.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, startTestServer } from '../test/support/server.js';
import { KASM_DB } from './support.js';

const WATCHED_MS = 60_000;
/** Start-up is over by then: the figure is that of waiting. */
const SETTLED_MS = 3000;
const TICKS_A_SECOND = 100;

const scratch = mkdtempSync(join('/dev/shm', 'kasm-db-idle-'));
const server = await startTestServer(16, scratch, []);
const redisPort = await freePort();
const redis = spawn('redis-server', ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', ''], {
  stdio: 'ignore',
});
const env = {
  PATH: process.env.PATH,
  HOME: process.env.HOME,
  POSTGRES_HOST: '127.0.0.1',
  POSTGRES_PORT: String(server.info.port),
  POSTGRES_DB: 'postgres',
  POSTGRES_USER: 'postgres',
  POSTGRES_PASSWORD: server.info.password,
  PGSSLMODE: 'disable',
};
const gate = [...KASM_DB, '--check', '--seed', '--wait', '10m', '--quiet'];
const [runtime] = KASM_DB as [string];
const waiting: [string, ChildProcess][] = [];
try {
  waiting.push(['bare runtime', start([runtime, '-e', 'setTimeout(() => {}, 600000)'])]);
  waiting.push(['gate', start(gate)]);
  waiting.push([
    'gate with Redis',
    start(gate, { KASM_DB_REDIS_HOST: '127.0.0.1', KASM_DB_REDIS_PORT: String(redisPort) }),
  ]);
  waiting.push(['gate, server unreachable', start(gate, { POSTGRES_PORT: String(await freePort()) })]);
  await sleep(SETTLED_MS);
  const before = waiting.map(([, child]) => cpuMs(child));
  await sleep(WATCHED_MS);
  const [bare] = waiting.map(([, child]) => peakMb(child)) as [number];
  waiting.forEach(([name, child], i) => {
    const cpu = cpuMs(child) - (before[i] as number);
    const share = ((cpu / WATCHED_MS) * 100).toFixed(2);
    const peak = peakMb(child);
    console.log(
      `${name}: ${cpu} ms of CPU in ${WATCHED_MS / 1000} s (${share} % of a core); peak RSS ${peak.toFixed(1)} MB, ${(peak / bare).toFixed(2)} x the bare runtime`,
    );
  });
} finally {
  for (const [, child] of waiting) child.kill('SIGKILL');
  redis.kill();
  await server.stop();
  rmSync(scratch, { recursive: true, force: true });
}

function start([command, ...args]: string[], more: Record<string, string> = {}): ChildProcess {
  return spawn(command as string, args, { env: { ...env, ...more }, stdio: 'ignore' });
}

function cpuMs(child: ChildProcess): number {
  const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  // utime and stime: fields 14 and 15 of proc(5), counted from 3.
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_A_SECOND;
}

function peakMb(child: ChildProcess): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024;
}
