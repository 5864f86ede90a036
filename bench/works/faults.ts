import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Arena, eachPeer, inArena, written } from '../arena.js';
import type { Bench } from '../bench.js';
import type { Command, Peer, Step } from '../peers/peer.js';

/** The statement that a run is killed in, in seconds. */
const LONG_S = 6;
/** A rerun gets this long. */
const PATIENCE_MS = 30_000;

const steps: Step[] = [
  { name: 'first', sql: "INSERT INTO bench_effects VALUES ('first')" },
  {
    name: 'long',
    // Long in the first run only: what the rerun takes is not the question.
    sql: `INSERT INTO bench_effects VALUES ('long'); SELECT pg_sleep(CASE WHEN nextval('bench_runs') = 1 THEN ${LONG_S} ELSE 0 END)`,
  },
  { name: 'last', sql: "INSERT INTO bench_effects VALUES ('last')" },
];

/** Work 9. */
export const faults: Bench = {
  name: 'faults',
  title: 'Killed in mid-migration',
  about: `The second of three migrations has a statement of ${LONG_S} s. The migrator is killed (SIGKILL) while it runs and started again at once; it has ${PATIENCE_MS / 1000} s to end. If it fails, it is started once more after the server has noticed that the first one is gone. Does it recover without a manual step, is each migration applied exactly once, and when has the killed run's session ended? docs/RELIABILITY.md has more cases.`,
  run: (options) =>
    inArena(options, async (arena) => {
      const rows = await eachPeer(arena, [...arena.ours, ...arena.peers], (peer) => kill(arena, peer));
      return {
        outcome: {
          head: ['', 'the rerun at once', 'the rerun later', 'migrations', "killed run's session gone after"],
          rows,
        },
        absent: arena.absent,
      };
    }),
};

async function kill(arena: Arena, peer: Peer): Promise<string[]> {
  const { server } = arena;
  const database = await server.newDatabase();
  await server.query(database, 'CREATE TABLE bench_effects (step text); CREATE SEQUENCE bench_runs');
  const command = peer.up(written(arena, peer, steps), server.login(database));
  const first = start(command);
  const pid = await inStatement(arena, database, peer);
  first.child.kill('SIGKILL');
  await first.ended;
  const killed = performance.now();
  const gone = (async () => {
    while ((await server.query('postgres', `SELECT FROM pg_stat_activity WHERE pid = ${pid}`)).length > 0)
      await sleep(50);
    return (performance.now() - killed) / 1000;
  })();
  const atOnce = await start(command, PATIENCE_MS).ended;
  const seconds = await gone;
  const later = atOnce === 0 ? '' : say(await start(command, PATIENCE_MS).ended);
  const rows = (await server.query(database, 'SELECT step, count(*)::int AS n FROM bench_effects GROUP BY step')) as {
    n: number;
  }[];
  const repeated = rows.filter(({ n }) => n > 1).length;
  const applied =
    repeated > 0 ? `**${repeated} applied more than once**` : `${rows.length} of ${steps.length}, each once`;
  return [`${peer.name} ${peer.version}`, say(atOnce), later, applied, `${seconds.toFixed(1)} s`];
}

function say(end: number | string): string {
  if (end === 0) return 'succeeds';
  return end === 'SIGKILL' ? `**did not end in ${PATIENCE_MS / 1000} s**` : `**fails (exit ${end})**`;
}

function start({ command, env, cwd }: Command, patienceMs = 120_000) {
  const [program, ...args] = command as [string, ...string[]];
  const child = spawn(program, args, {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    ...(cwd ? { cwd } : {}),
    stdio: 'ignore',
  });
  const cut = setTimeout(() => child.kill('SIGKILL'), patienceMs);
  const ended = new Promise<number | string>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      clearTimeout(cut);
      resolve(code ?? signal ?? '?');
    });
  });
  return { child, ended };
}

/** @returns the PID of the server's process that sleeps */
async function inStatement({ server }: Arena, database: string, peer: Peer): Promise<number> {
  for (let i = 0; i < 400; i++) {
    const [row] = await server.query(
      'postgres',
      `SELECT pid FROM pg_stat_activity WHERE datname = '${database}' AND wait_event = 'PgSleep'`,
    );
    if (row) return row.pid;
    await sleep(50);
  }
  throw new Error(`${peer.name} never came to the long statement`);
}
