import { join } from 'node:path';
import { type Entrant, eachPeer, inArena, kasmSteps, migrated, psqlCommand, race, written } from '../arena.js';
import type { Bench } from '../bench.js';
import { atMost, fasterThanAll, ratioTo } from '../shows.js';
import { bundle, ROOT, timed } from '../support.js';

const MINIMAL = 'minimal bundled script (pg)';
const SLOW = ['Node', 'Python', 'JVM'] as const;

/** Work 1. */
export const check: Bench = {
  name: 'check',
  title: 'Check when nothing is pending',
  about:
    "The whole Kasm schema is applied. A new process asks whether any migration is pending, by the tool's own command for it (kasm-db: `--check`); for a tool without one, it is `up` with nothing to do. The floor is psql with `select 1`.",
  run: (options) =>
    inArena(options, async (arena) => {
      const minimal = join(arena.folder, 'minimal.cjs');
      bundle(join(ROOT, 'bench/minimal.mjs'), minimal);
      const steps = kasmSteps();
      const database = await arena.server.newDatabase();
      const env = arena.server.env(database);
      const [first] = arena.ours;
      if (!first) throw new Error('kasm-db is not built: npm run build, npm run build:exe');
      await timed({ name: 'migrate', command: [...first.program, 'migrate', '--quiet'], env });
      const peers = await eachPeer(arena, arena.peers, async (peer) => {
        const folder = written(arena, peer, steps);
        const login = arena.server.login(await migrated(arena, peer, folder));
        return { family: peer.family, name: peer.name, ...(peer.check ?? peer.up)(folder, login) };
      });
      const entrants: Entrant[] = [
        { family: 'floor', name: "psql -X -c 'select 1'", ...psqlCommand(arena, ['-c', 'select 1'], database) },
        ...arena.ours.map(({ name, family, program }) => ({ family, name, command: [...program, '--check'], env })),
        { family: 'floor', name: MINIMAL, command: [process.execPath, minimal], env },
        { family: 'floor', name: 'node, nothing', command: [process.execPath, '-e', '0'], env },
        ...peers,
      ];
      return await race(arena, entrants, options.runs ?? 20);
    }),
  shows: (findings) => [
    atMost('check: executable to psql', ratioTo(findings, 'kasm-db (executable)'), 2.0),
    atMost('check: Node bundle to the minimal bundled script', ratioTo(findings, 'kasm-db (Node)', MINIMAL), 1.4),
    fasterThanAll(
      'check: Node bundle, to the fastest Node, Python and JVM peer',
      findings,
      'kasm-db (Node)',
      SLOW,
      1.5,
    ),
  ],
};
