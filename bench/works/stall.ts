import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { type Arena, eachPeer, inArena, psqlCommand, written } from '../arena.js';
import type { Bench, Findings, Show } from '../bench.js';
import { BLOCKERS, type Blocker } from '../blockers.js';
import type { Peer, Step } from '../peers/peer.js';
import { timed } from '../support.js';
import { together } from './concurrent.js';

const ROWS = 50_000;
const ALTER = 'ALTER TABLE busy ADD COLUMN y int';
const steps: Step[] = [
  {
    name: 'busy',
    sql: `CREATE TABLE busy (id int PRIMARY KEY, n int); INSERT INTO busy SELECT i, i FROM generate_series(1, ${ROWS}) i`,
  },
  { name: 'alter', sql: ALTER },
];
/** All clients together send a request about this often, in milliseconds, however many they are. */
const EVERY_MS = 2.5;
/** A request that takes longer stands still. */
const STALLED_MS = 50;

/** What the clients noticed; times in milliseconds. */
interface Noticed {
  worst: number;
  p999: number;
  /** Of the clients' time, in percent. */
  stalled: number;
  appliedAfter: number;
}

/** Work 12. @param clients that use the table */
const stall = (name: string, clients: number): Bench => ({
  name,
  title: `Traffic while a migration waits for its table, ${clients} clients`,
  about: `${clients} clients read rows of a table by its key, together about 400 times a second. Somebody else has a lock on the table: a forgotten transaction (15 s); six clients whose transactions of 300 ms overlap; a dump (15 s, by a session that does what pg_dump does); or an autovacuum worker that was slowed down, with two values of deadlock_timeout. Then each tool, with its default options, applies \`${ALTER}\`. How long do the clients wait? For each case the table has the longest request, the 99.9th percentile, the share of the clients' time that went into requests of more than ${STALLED_MS} ms (stalled), and the time until the migration was applied.`,
  run: (options) =>
    inArena(options, async (arena) => {
      const entrants = [NOBODY, psqlItself(arena), ...arena.ours, ...arena.peers];
      const rows = await eachPeer(arena, entrants, async (peer) => {
        const cells: string[] = [];
        for (const blocker of BLOCKERS) cells.push(...cellsOf(await round(arena, peer, blocker, clients)));
        return [`${peer.name} ${peer.version}`.trim(), peer.family, ...cells];
      });
      const head = BLOCKERS.flatMap(({ name }) => [`${name}: worst request`, '99.9 %; stalled; applied after']);
      return { outcome: { head: ['', 'kind', ...head], rows }, absent: arena.absent };
    }),
  shows: (findings) => ['kasm-db (executable)', 'kasm-db (Node)'].flatMap((tool) => limits(findings, tool, clients)),
});

export const stallFew = stall('stall', 4);
export const stallMany = stall('stall-32', 32);

/** Who migrates. */
type Entrant = Pick<Peer, 'name' | 'version' | 'write' | 'up'> & { family: string };

/** What the clients notice of the blocker and of this machine alone. */
const NOBODY: Entrant = {
  name: 'nobody migrates',
  version: '',
  family: 'floor',
  write: () => {},
  up: () => ({ command: ['sleep', '5'] }),
};

const psqlItself = (arena: Arena): Entrant => ({
  name: 'psql -X -1',
  version: '',
  family: 'floor',
  write: () => {},
  up: (_folder, { database }) => psqlCommand(arena, ['-1', '-c', ALTER], database),
});

/** @throws Error where the migration was not applied */
async function round(arena: Arena, peer: Entrant, blocker: Blocker, count: number): Promise<Noticed> {
  const { server } = arena;
  const database = await server.newDatabase();
  const login = server.login(database);
  const [first] = steps as [Step, ...Step[]];
  if (peer.family === 'floor') await server.query(database, first.sql);
  else await timed({ name: peer.name, ...peer.up(written(arena, peer, [first]), login) });
  const command = peer.up(written(arena, peer, steps), login);
  const clients = await Promise.all(Array.from({ length: count }, () => server.connect(database)));
  for (const client of clients) await client.query(read(1));
  const release = await blocker.begin(server, database);
  const traffic = reading(clients);
  const { codes, ms: appliedAfter } = await together(command, 1);
  const took = await traffic.stop();
  await release();
  const [column] = await server.query(
    database,
    "SELECT FROM pg_attribute WHERE attrelid = 'busy'::regclass AND attname = 'y'",
  );
  if (codes[0] !== 0) throw new Error(`${blocker.name}: ended with ${codes[0]}`);
  if (!column && peer !== NOBODY) throw new Error(`${blocker.name}: not applied`);
  await server.query('postgres', `DROP DATABASE ${database} WITH (FORCE)`);
  const stalled = took.filter((ms) => ms > STALLED_MS).reduce((sum, ms) => sum + ms, 0);
  return {
    worst: took.at(-1) ?? 0,
    p999: took[Math.floor(took.length * 0.999)] ?? 0,
    stalled: Math.min(100, (100 * stalled) / (appliedAfter * count)),
    appliedAfter,
  };
}

const read = (id: number) => ({ name: 'read', text: 'SELECT n FROM busy WHERE id = $1', values: [id] });

/** @returns stop: gives how long each request took, in milliseconds, ascending */
function reading(clients: readonly pg.Client[]): { stop: () => Promise<number[]> } {
  const took: number[] = [];
  let going = true;
  const loops = clients.map(async (client, i) => {
    await sleep(i * EVERY_MS);
    while (going) {
      const sent = performance.now();
      await client.query(read(2 * Math.floor((Math.random() * ROWS) / 2) + 1));
      took.push(performance.now() - sent);
      await sleep(clients.length * EVERY_MS);
    }
    await client.end();
  });
  return {
    stop: async () => {
      going = false;
      await Promise.all(loops);
      return took.sort((a, b) => a - b);
    },
  };
}

function cellsOf({ worst, p999, stalled, appliedAfter }: Noticed): string[] {
  return [
    `${worst.toFixed(0)} ms`,
    `${p999.toFixed(0)} ms; ${stalled.toFixed(1)} %; ${(appliedAfter / 1000).toFixed(1)} s`,
  ];
}

/** What is promised of a blocker, in milliseconds and percent. */
const LIMITS: Record<string, { worst?: number; stalled?: number; applied?: number }> = {
  'idle transaction of 15 s': { worst: 250, stalled: 3 },
  'short transactions': { worst: 1000, applied: 10 },
  'pg_dump of 15 s': { worst: 250, stalled: 3 },
  'autovacuum, deadlock_timeout 1 s': { applied: 10 },
  'autovacuum, deadlock_timeout 5 s': { applied: 10 },
};

function limits({ outcome }: Findings, tool: string, clients: number): Show[] {
  const row = outcome?.rows.find(([name]) => name?.startsWith(tool));
  return BLOCKERS.map(({ name }, i) => {
    const limit = LIMITS[name] ?? {};
    const figure = row ? `${row[2 + 2 * i]}; ${row[3 + 2 * i]}` : 'not measured';
    const [worst = 0, , stalled = 0, applied = 0] = figure.match(/[\d.]+/g)?.map(Number) ?? [];
    const kept =
      worst <= (limit.worst ?? worst) && stalled <= (limit.stalled ?? stalled) && applied <= (limit.applied ?? applied);
    return {
      text: `${clients} clients, ${name}: ${tool}`,
      figure,
      limit: [
        ...(limit.worst === undefined ? [] : [`worst request at most ${limit.worst} ms`]),
        ...(limit.stalled === undefined ? [] : [`at most ${limit.stalled} % stalled`]),
        ...(limit.applied === undefined ? [] : [`applied within ${limit.applied} s`]),
      ].join(', '),
      met: row ? kept : undefined,
    };
  });
}
