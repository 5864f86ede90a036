// Issue 5, Show 5: what 50 readers notice of an ALTER TABLE that waits behind a transaction which holds the table for 10 s; with the
// protection (lock_timeout, giving way, trying again) and without it (the same script, a lock_timeout of one hour).
import { spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { benchServer, KASM_DB } from './support.js';

const READERS = 50;
/** Each reader means to read this often, in milliseconds; what it reads late counts from when it meant to. */
const EVERY_MS = 100;
const LONG_READ_MS = 10_000;
const LOCK_TIMEOUT_MS = 2000;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const server = await benchServer();

function connect(database: string): Promise<pg.Client> {
  const env = server.env(database);
  const client = new pg.Client({
    host: '127.0.0.1',
    port: Number(env.PGPORT),
    user: 'postgres',
    password: env.PGPASSWORD as string,
    database,
    ssl: false,
  });
  return client.connect().then(() => client);
}

function migrate(database: string, files: string): Promise<{ code: number | null; stderr: string }> {
  const [program, ...args] = KASM_DB as [string, ...string[]];
  const child = spawn(program, [...args, 'migrate', '--migrations', files], {
    env: { PATH: process.env.PATH, ...server.env(database) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stderr })));
}

/** @returns all reads while the migration ran, in milliseconds, ascending: from when they were sent, and from when they were meant to be */
async function round(lockTimeout: string): Promise<{ latencies: number[]; late: number[]; migrationMs: number }> {
  const database = await server.newDatabase();
  const files = mkdtempSync(join(tmpdir(), 'kasm-db-readers-'));
  writeFileSync(
    join(files, '0001_busy.sql'),
    'CREATE TABLE busy AS SELECT i AS x FROM generate_series(1, 1000) i;\nALTER TABLE busy ADD PRIMARY KEY (x);\n',
  );
  await migrate(database, files);
  writeFileSync(
    join(files, '0002_alter.sql'),
    `-- kasm-db: lock-timeout ${lockTimeout}\nALTER TABLE busy ADD COLUMN y int;\n`,
  );
  const readers = await Promise.all(Array.from({ length: READERS }, () => connect(database)));
  const long = await connect(database);
  await long.query('BEGIN; SELECT count(*) FROM busy');
  const released = pause(LONG_READ_MS).then(() => long.query('COMMIT'));

  const latencies: number[] = [];
  const late: number[] = [];
  let running = true;
  const started = performance.now();
  const reading = readers.map(async (reader, i) => {
    for (let meant = started + (i / READERS) * EVERY_MS; running; meant += EVERY_MS) {
      await pause(Math.max(0, meant - performance.now()));
      const sent = performance.now();
      await reader.query('SELECT x FROM busy WHERE x = $1', [i + 1]);
      latencies.push(performance.now() - sent);
      late.push(performance.now() - meant);
    }
  });
  const { code, stderr } = await migrate(database, files);
  const migrationMs = performance.now() - started;
  running = false;
  await Promise.all(reading);
  await released;
  await Promise.all([long, ...readers].map((client) => client.end()));
  if (code !== 0) throw new Error(`the migration ended with ${code}: ${stderr}`);
  const ascending = (a: number, b: number) => a - b;
  return { latencies: latencies.sort(ascending), late: late.sort(ascending), migrationMs };
}

try {
  console.log(
    `${READERS} readers, each every ${EVERY_MS} ms, while an ALTER waits behind a ${LONG_READ_MS / 1000} s reader:`,
  );
  const figures: number[] = [];
  for (const [name, lockTimeout] of [
    [`lock_timeout ${LOCK_TIMEOUT_MS / 1000} s, gives way and tries again`, `${LOCK_TIMEOUT_MS}ms`],
    ['without the protection (lock_timeout 1 h)', '1h'],
  ] as const) {
    const { latencies, late, migrationMs } = await round(lockTimeout);
    const at = (values: number[], share: number) =>
      values[Math.min(values.length - 1, Math.floor(values.length * share))] as number;
    figures.push(at(latencies, 0.99));
    console.log(
      `  ${name.padEnd(45)} p50 ${at(latencies, 0.5).toFixed(1)} ms, p99 ${at(latencies, 0.99).toFixed(0)} ms, max ${at(latencies, 1).toFixed(0)} ms; with the time spent behind earlier reads p99 ${at(late, 0.99).toFixed(0)} ms; ${latencies.length} reads; migrated after ${(migrationMs / 1000).toFixed(1)} s`,
    );
  }
  const [protectedP99 = 0] = figures;
  const ok = protectedP99 <= LOCK_TIMEOUT_MS + 100;
  console.log(
    `p99 ${protectedP99.toFixed(0)} ms ${ok ? '≤' : '>'} lock_timeout + 100 ms = ${LOCK_TIMEOUT_MS + 100} ms: ${ok ? 'holds' : 'DOES NOT HOLD'}`,
  );
  if (!ok) process.exitCode = 1;
} finally {
  await server.stop();
}
