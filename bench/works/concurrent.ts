import { spawn } from 'node:child_process';
import { type Arena, eachPeer, inArena, written } from '../arena.js';
import type { Bench } from '../bench.js';
import type { Command, Step } from '../peers/peer.js';

const STEPS = 10;
const CUT_MS = 90_000;

/** Each leaves a row, so that a second run of it shows; long enough for others to come in between. */
const steps: Step[] = Array.from({ length: STEPS }, (_, i) => ({
  name: `effect_${i}`,
  sql: `INSERT INTO bench_effects VALUES (${i}); SELECT pg_sleep(0.05);`,
}));

/** Work 5. */
export const concurrent: Bench = {
  name: 'concurrent',
  title: 'Concurrent migrators',
  about: `16 and then 32 processes are started together on a database without history. They apply ${STEPS} migrations, each of which inserts a row. How many processes end with 0, was each migration applied exactly once, and how long does it take until the last process has ended?`,
  run: (options) =>
    inArena(options, async (arena) => {
      const rows = await eachPeer(arena, [...arena.ours, ...arena.peers], async (peer) => {
        const folder = written(arena, peer, steps);
        const cells: string[] = [];
        for (const count of [16, 32]) {
          const database = await arena.server.newDatabase();
          await arena.server.query(database, 'CREATE TABLE bench_effects (step int)');
          const command = peer.up(folder, arena.server.login(database));
          const { codes, ms } = await together(command, count);
          cells.push(
            `${codes.filter((code) => code === 0).length} of ${count}`,
            await effects(arena, database),
            `${(ms / 1000).toFixed(1)} s`,
          );
        }
        return [`${peer.name} ${peer.version}`, ...cells];
      });
      return {
        outcome: { head: ['', '16: exit 0', 'migrations', 'wall', '32: exit 0', 'migrations', 'wall'], rows },
        absent: arena.absent,
      };
    }),
};

async function effects({ server }: Arena, database: string): Promise<string> {
  const rows = (await server.query(database, 'SELECT step, count(*)::int AS n FROM bench_effects GROUP BY step')) as {
    n: number;
  }[];
  const repeated = rows.filter(({ n }) => n > 1).length;
  if (repeated > 0) return `**${repeated} applied more than once**`;
  return rows.length === STEPS ? 'each once' : `${rows.length} of ${STEPS}, each once`;
}

/** Starts the same command many times at once. */
export async function together({ command, env, cwd }: Command, count: number) {
  const [program, ...args] = command as [string, ...string[]];
  const started = performance.now();
  const codes = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<number | string>((resolve, reject) => {
          const child = spawn(program, args, {
            env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
            ...(cwd ? { cwd } : {}),
            stdio: 'ignore',
          });
          const cut = setTimeout(() => child.kill('SIGKILL'), CUT_MS);
          child.on('error', reject);
          child.on('exit', (code, signal) => {
            clearTimeout(cut);
            resolve(code ?? signal ?? '?');
          });
        }),
    ),
  );
  return { codes, ms: performance.now() - started };
}
