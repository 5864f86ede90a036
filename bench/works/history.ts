import { type Entrant, eachPeer, emptySteps, inArena, migrated, psqlCommand, race, written } from '../arena.js';
import type { Bench } from '../bench.js';
import { fasterThanAll } from '../shows.js';

const COUNT = 5000;
const FEW = 12;
const SLOW = ['Node', 'Python', 'JVM'] as const;

/** Work 4. */
export const history: Bench = {
  name: 'history',
  title: `No-op with ${COUNT} applied`,
  about: `A folder of ${COUNT} migrations with one statement each is applied. The time is that of the same call again, which finds nothing to do. kasm-db reads every file and compares every checksum. The table also has kasm-db's check of a folder with ${FEW}.`,
  run: (options) =>
    inArena(options, async (arena) => {
      const { server } = arena;
      const steps = emptySteps(COUNT);
      const empty = await server.newDatabase();
      const entrants: Entrant[] = [
        { name: "psql -X -c 'select 1'", family: 'floor', ...psqlCommand(arena, ['-c', 'select 1'], empty) },
      ];
      for (const peer of arena.ours) {
        const few = written(arena, { ...peer, name: `${peer.name} few` }, steps.slice(0, FEW));
        const fewLogin = server.login(await migrated(arena, peer, few));
        const folder = written(arena, peer, steps);
        const login = server.login(await migrated(arena, peer, folder));
        const entrant = { family: peer.family };
        entrants.push(
          { ...entrant, name: `${peer.name}, check with ${FEW}`, ...(peer.check ?? peer.up)(few, fewLogin) },
          { ...entrant, name: `${peer.name}, check`, ...(peer.check ?? peer.up)(folder, login) },
          { ...entrant, name: peer.name, ...peer.up(folder, login) },
        );
      }
      const peers = await eachPeer(arena, arena.peers, async (peer) => {
        const folder = written(arena, peer, steps);
        const login = server.login(await migrated(arena, peer, folder));
        return { family: peer.family, name: peer.name, ...peer.up(folder, login) };
      });
      return await race(arena, [...entrants, ...peers], options.runs ?? 7);
    }),
  shows: (findings) =>
    ['kasm-db (executable)', 'kasm-db (Node)'].map((name) =>
      fasterThanAll(`no-op with ${COUNT}: ${name}, to the fastest Node, Python and JVM peer`, findings, name, SLOW),
    ),
};
