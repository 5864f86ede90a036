import { join } from 'node:path';
import { type Entrant, inArena, psqlCommand, race } from '../arena.js';
import type { Bench } from '../bench.js';
import { atMost, ratioTo } from '../shows.js';
import { bundle, ROOT, type SslMode, timed } from '../support.js';

const MODES: SslMode[] = ['require', 'verify-full'];
const PSQL = "psql -X -c 'select 1'";
const MINIMAL = 'minimal bundled script (pg)';

export const checkTls: Bench = {
  name: 'check-tls',
  title: 'Check with TLS when nothing is pending',
  about:
    'As above, with sslmode require and verify-full: each beside psql and the minimal script with the same mode. The floor is psql with require.',
  run: (options) =>
    inArena(options, async (arena) => {
      const minimal = join(arena.folder, 'minimal.cjs');
      bundle(join(ROOT, 'bench/minimal.mjs'), minimal);
      const database = await arena.server.newDatabase();
      const env = arena.server.env(database);
      const [first] = arena.ours;
      if (!first) throw new Error('kasm-db is not built: npm run build, npm run build:exe');
      await timed({ name: 'migrate', command: [...first.program, 'migrate', '--quiet'], env });
      const entrants = MODES.flatMap((mode): Entrant[] => {
        const psql = psqlCommand(arena, ['-c', 'select 1'], database);
        const contenders: Entrant[] = [
          { family: 'floor', name: PSQL, ...psql },
          ...arena.ours.map(({ name, family, program }) => ({ family, name, command: [...program, '--check'], env })),
          { family: 'floor', name: MINIMAL, command: [process.execPath, minimal], env },
        ];
        return contenders.map((entrant) => ({
          ...entrant,
          name: `${entrant.name}, ${mode}`,
          env: { ...entrant.env, ...arena.server.tls(mode) },
        }));
      });
      return await race(arena, entrants, options.runs ?? 20);
    }),
  shows: (findings) =>
    MODES.flatMap((mode) => [
      atMost(
        `check, sslmode ${mode}: executable to psql`,
        ratioTo(findings, `kasm-db (executable), ${mode}`, `${PSQL}, ${mode}`),
        2.0,
      ),
      atMost(
        `check, sslmode ${mode}: Node bundle to the minimal bundled script`,
        ratioTo(findings, `kasm-db (Node), ${mode}`, `${MINIMAL}, ${mode}`),
        1.4,
      ),
    ]),
};
