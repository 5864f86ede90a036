import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BenchOptions, Findings } from './bench.js';
import { PEERS } from './peers/index.js';
import { OURS, type Ours } from './peers/kasm-db.js';
import type { Command, Family, Peer, Step } from './peers/peer.js';
import { type BenchServer, benchServer, type Contender, measure, psql, ROOT, timed } from './support.js';

/** A server, a folder for files, and who takes part. */
export interface Arena {
  server: BenchServer;
  psql: string;
  folder: string;
  /** kasm-db, as executable and on Node. */
  ours: Ours[];
  peers: Peer[];
  /** Peers that would take part, but are not installed. */
  absent: string[];
}

/** Runs `work` with a server of its own, and cleans up. */
export async function inArena<T>(options: BenchOptions, work: (arena: Arena) => Promise<T>): Promise<T> {
  const path = psql();
  if (!path) throw new Error('psql is not installed (Debian: postgresql-client)');
  const wanted = PEERS.filter((peer) => options.wanted(peer));
  const ours = OURS.filter((peer) => options.wanted(peer));
  const server = await benchServer();
  const folder = mkdtempSync(join(tmpdir(), 'kasm-db-bench-'));
  try {
    return await work({
      server,
      psql: path,
      folder,
      ours: ours.filter(({ installed }) => installed),
      peers: wanted.filter(({ installed }) => installed),
      absent: [...ours, ...wanted].filter(({ installed }) => !installed).map(({ name }) => name),
    });
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Kasm's schema, as it ships. */
export function kasmFiles(): string[] {
  return readdirSync(join(ROOT, 'migrations'))
    .filter((file) => file.endsWith('.sql') && !file.endsWith('.down.sql'))
    .sort()
    .map((file) => join(ROOT, 'migrations', file));
}

export function kasmSteps(): Step[] {
  return kasmFiles().map((path) => ({
    name: path.replace(/^.*\/\d+_|\.sql$/g, ''),
    sql: readFileSync(path, 'utf8').trim(),
  }));
}

/** Small migrations: a table and an index each. */
export function smallSteps(count: number): Step[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `table_${i}`,
    sql: `CREATE TABLE table_${i} (id bigint PRIMARY KEY, name text NOT NULL, made timestamptz NOT NULL DEFAULT now());\nCREATE INDEX table_${i}_name ON table_${i} (name);`,
  }));
}

/** Migrations that do nothing, for a long history. */
export function emptySteps(count: number): Step[] {
  return Array.from({ length: count }, (_, i) => ({ name: `step_${i}`, sql: `SELECT ${i};` }));
}

/** Writes a peer's files into a folder of their own. */
export function written({ folder }: Arena, peer: Pick<Peer, 'name' | 'write'>, steps: Step[]): string {
  const own = join(folder, peer.name.replaceAll(/[^a-z-]/gi, ''));
  rmSync(own, { recursive: true, force: true });
  mkdirSync(own, { recursive: true });
  peer.write(own, steps);
  return own;
}

/** Who is measured. */
export type Entrant = Contender & { family: Family | 'floor' };

/** Logs in to a new, empty database in each run. */
export function onFreshDatabase(
  { server }: Arena,
  { name, family }: Pick<Entrant, 'name' | 'family'>,
  commandFor: (database: string) => Command,
): Entrant {
  const entrant: Entrant = {
    name,
    family,
    command: [],
    before: async () => {
      Object.assign(entrant, commandFor(await server.newDatabase()));
    },
  };
  return entrant;
}

/** Lets all run in turn. */
export async function race({ absent }: Arena, entrants: Entrant[], runs: number): Promise<Findings> {
  const measured = await measure(entrants, runs);
  const [floor] = measured;
  return {
    timings: measured.map(({ name, samples }, i) => ({
      name,
      family: (entrants[i] as Entrant).family,
      samples,
      floor: floor?.samples ?? [],
    })),
    absent,
  };
}

/** Brings a new database to the end of a peer's files. */
export async function migrated({ server }: Arena, peer: Peer, folder: string): Promise<string> {
  const database = await server.newDatabase();
  await timed({ name: peer.name, ...peer.up(folder, server.login(database)) });
  return database;
}

/** psql's way to take its login. */
export function psqlCommand({ server, psql: path }: Arena, args: string[], database: string): Command {
  return { command: [path, '-X', '-q', '-v', 'ON_ERROR_STOP=1', ...args], env: server.env(database) };
}

/** @returns what `work` gives for each peer that succeeds; the others' errors are told, and stand as absent */
export async function eachPeer<P extends { name: string }, T>(
  arena: Arena,
  peers: readonly P[],
  work: (peer: P) => Promise<T>,
): Promise<T[]> {
  const done: T[] = [];
  for (const peer of peers) {
    try {
      done.push(await work(peer));
    } catch (error) {
      const reason = String((error as Error).message)
        .trim()
        .split('\n')
        .slice(-1)[0]
        ?.slice(0, 200);
      console.error(`${peer.name}: ${(error as Error).message.slice(0, 2000)}`);
      arena.absent.push(`${peer.name} (${reason})`);
    }
  }
  return done;
}
