import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CREATE_WORK, overlaps, program, workOf } from '../fixtures/once/work.js';
import { type RunningCli, startCli } from '../support/cli.js';
import { createDatabase, DEFAULT_VERSION } from '../support/database.js';
import { randomSource, rounds } from '../support/rounds.js';
import { type RunningServer, startTestServer } from '../support/server.js';

/** A database, whoever runs its server. */
interface Place {
  env: Record<string, string>;
  query: Parameters<typeof workOf>[0]['query'];
}

const PROGRAM_MS = 400;
/** About what a call takes, from its start to its end. */
const CALL_MS = 1500;

const { seed, next } = randomSource();
const start = ({ env }: Place): RunningCli => startCli(['once', 'seed', '--json', '--', ...program(PROGRAM_MS)], env);

/** Kills a process as nobody can prevent; one that is gone already stays so. */
function kill(pid: number | undefined): void {
  try {
    if (pid) process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** The process that keeps the program. */
function keeperOf({ child }: RunningCli): number | undefined {
  try {
    return Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').split(' ')[0]);
  } catch {
    return undefined;
  }
}

/** Two calls at once, one kill at a random moment, and calls until one succeeds: it has completed, and never were there two at a time. */
async function round(place: Place, strike: (calls: RunningCli[]) => Promise<void>, context: string): Promise<void> {
  const calls = [start(place), start(place)];
  await sleep(next() * CALL_MS);
  await strike(calls);
  const codes = (await Promise.all(calls.map(({ ended }) => ended))).map(({ code }) => code);
  let last = await start(place).ended;
  // A server that recovers: for kasm-db, or for the program.
  for (let tries = 0; tries < 5 && last.code !== 0; tries++) last = await start(place).ended;
  expect(last.code, `${context}\n${last.stderr}`).toBe(0);
  const work = await workOf(place);
  expect(overlaps(work), `${context}, exit codes ${codes}`).toEqual([]);
  expect(work.at(-1)?.ended, context).toBe(true);
  expect((await start(place).ended).json().once, context).toEqual({ name: 'seed', ran: false });
  expect(await workOf(place), context).toEqual(work);
}

describe.concurrent('once › SIGKILL at random moments › completed, never two at a time', () => {
  const count = rounds(2, 50);
  const timeout = 60_000 + count * 60_000;

  it.each<[string, (place: Place) => (calls: RunningCli[]) => Promise<void>]>([
    [
      'kasm-db',
      () =>
        async ([call]) =>
          void call?.child.kill('SIGKILL'),
    ],
    ['the process that keeps the program', () => async (calls) => calls.forEach((call) => void kill(keeperOf(call)))],
    ['the program', (place) => async () => (await workOf(place)).forEach(({ pid }) => void kill(pid))],
  ])(`of %s (${count} rounds, KASM_DB_SEED=${seed})`, { timeout }, async (_, strikeAt) => {
    for (let n = 0; n < count; n++) {
      const db = await createDatabase();
      await db.query(CREATE_WORK);
      await round(db, strikeAt(db), `seed ${seed}, round ${n}`);
    }
  });
});

describe('once › a server of its own', () => {
  const count = rounds(2, 50);
  let scratch: string;
  let server: RunningServer;
  beforeAll(async () => {
    scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kasm-db-once-'));
    // What is committed must outlive the kill.
    server = await startTestServer(DEFAULT_VERSION, scratch, ['synchronous_commit=on']);
  });
  afterAll(async () => {
    await server?.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  const connected = async <T>(database: string, work: (client: pg.Client) => Promise<T>): Promise<T> => {
    const login = { host: '127.0.0.1', port: server.info.port, user: 'postgres', password: server.info.password };
    for (let tries = 0; ; tries++) {
      const client = new pg.Client({ ...login, database, ssl: false });
      client.on('error', () => {});
      try {
        await client.connect();
        return await work(client);
      } catch (error) {
        if (tries === 100) throw error;
        await sleep(100);
      } finally {
        await client.end().catch(() => {});
      }
    }
  };

  it(
    `one of its processes is killed at ${count} random moments (KASM_DB_SEED=${seed}): all sessions end, and it recovers`,
    {
      timeout: 60_000 + count * 60_000,
    },
    async () => {
      for (let n = 0; n < count; n++) {
        const name = `round_${n}`;
        await connected('postgres', (client) => client.query(`CREATE DATABASE ${name}`));
        await connected(name, (client) => client.query(CREATE_WORK));
        const place: Place = {
          env: {
            POSTGRES_HOST: '127.0.0.1',
            POSTGRES_PORT: String(server.info.port),
            POSTGRES_DB: name,
            POSTGRES_USER: 'postgres',
            POSTGRES_PASSWORD: server.info.password,
          },
          query: (sql) => connected(name, async (client) => (await client.query(sql)).rows),
        };
        const strike = async () => {
          const [row] = await connected('postgres', async (client) => {
            const { rows } = await client.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'");
            return rows as { pid: number }[];
          });
          kill(row?.pid);
        };
        await round(place, strike, `seed ${seed}, round ${n}`);
      }
    },
  );
});
