import {
  eachPeer,
  inArena,
  kasmFiles,
  kasmSteps,
  migrated,
  onFreshDatabase,
  psqlCommand,
  race,
  written,
} from '../arena.js';
import type { Bench } from '../bench.js';
import { atMost, fasterThanAll, ratioTo } from '../shows.js';

/** Work 2. */
export const schema: Bench = {
  name: 'schema',
  title: 'The whole Kasm schema on an empty database',
  about:
    'Each tool applies the migrations of Kasm 1.19.0, converted to its format, to a new database each time. The floor is `psql -X -1 -f` with all files: one transaction, without a history and without a lock.',
  run: (options) =>
    inArena(options, async (arena) => {
      const { server, ours } = arena;
      const files = kasmFiles().flatMap((path) => ['-f', path]);
      const steps = kasmSteps();
      const peers = await eachPeer(arena, arena.peers, async (peer) => {
        const folder = written(arena, peer, steps);
        await migrated(arena, peer, folder);
        return onFreshDatabase(arena, peer, (database) => peer.up(folder, server.login(database)));
      });
      const floor = onFreshDatabase(arena, { name: 'psql -X -1 -f', family: 'floor' }, (database) =>
        psqlCommand(arena, ['-1', ...files], database),
      );
      const own = ours.map((peer) =>
        onFreshDatabase(arena, peer, (database) => ({
          command: [...peer.program, 'migrate', '--quiet'],
          env: server.env(database),
        })),
      );
      return await race(arena, [floor, ...own, ...peers], options.runs ?? 15);
    }),
  shows: (findings) => [
    atMost('whole schema: executable to psql -X -1 -f', ratioTo(findings, 'kasm-db (executable)'), 1.2),
    atMost('whole schema: Node bundle to psql -X -1 -f', ratioTo(findings, 'kasm-db (Node)'), 1.5),
    fasterThanAll('whole schema: Node bundle, to the fastest Node, Python and JVM peer', findings, 'kasm-db (Node)', [
      'Node',
      'Python',
      'JVM',
    ]),
  ],
};
