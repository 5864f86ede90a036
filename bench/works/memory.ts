import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { type Arena, eachPeer, inArena, kasmSteps, written } from '../arena.js';
import type { Bench } from '../bench.js';
import type { Command } from '../peers/peer.js';
import { median } from '../support.js';

const TIME = '/usr/bin/time';

/** Work 8. */
export const memory: Bench = {
  name: 'memory',
  title: 'Memory and size',
  about:
    "The peak memory of a process that applies the whole Kasm schema, and of one that finds nothing to do (GNU time's maximum resident set size, the median of 3 runs). Then the size of an installation on disk, with all packages that the tool needs, but without its runtime (Node, Python, Java).",
  run: (options) =>
    inArena(options, async (arena) => {
      if (!existsSync(TIME)) return { absent: [`all: ${TIME} is not installed (Debian: time)`] };
      const steps = kasmSteps();
      const rows = await eachPeer(arena, [...arena.ours, ...arena.peers], async (peer) => {
        const folder = written(arena, peer, steps);
        const applying: number[] = [];
        const checking: number[] = [];
        for (let round = 0; round < 3; round++) {
          const login = arena.server.login(await arena.server.newDatabase());
          applying.push(peakMb(peer.up(folder, login)));
          checking.push(peakMb((peer.check ?? peer.up)(folder, login)));
        }
        const size = peer.files().reduce((sum, path) => sum + bytes(path), 0);
        return [
          `${peer.name} ${peer.version}`,
          peer.family,
          `${median(applying).toFixed(0)} MB`,
          `${median(checking).toFixed(0)} MB`,
          `${(size / 1e6).toFixed(1)} MB`,
        ];
      });
      rows.unshift(await floor(arena));
      return {
        outcome: { head: ['', 'kind', 'whole schema', 'nothing to do', 'on disk'], rows },
        absent: arena.absent,
      };
    }),
};

async function floor({ server, psql }: Arena): Promise<string[]> {
  const env = server.env(await server.newDatabase());
  const peak = peakMb({ command: [psql, '-X', '-c', 'select 1'], env });
  return ["psql -X -c 'select 1'", 'floor', '', `${peak.toFixed(0)} MB`, `${(bytes(psql) / 1e6).toFixed(1)} MB`];
}

function peakMb({ command, env, cwd }: Command): number {
  const mark = 'maxrss=';
  const out = execFileSync(
    'sh',
    ['-c', 'exec 3>&1 >/dev/null 2>&1; exec "$@" 2>&3', 'sh', TIME, '-q', '-f', `${mark}%M`, ...command],
    { encoding: 'utf8', env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env }, ...(cwd ? { cwd } : {}) },
  );
  return Number(new RegExp(`${mark}(\\d+)`).exec(out)?.[1]) / 1024;
}

function bytes(path: string): number {
  const stat = lstatSync(realpathSync(path));
  if (!stat.isDirectory()) return stat.size;
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => !entry.isSymbolicLink())
    .reduce((sum, { name }) => sum + bytes(join(path, name)), 0);
}
