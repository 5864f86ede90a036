import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eachPeer, inArena, migrated, onFreshDatabase, psqlCommand, race, smallSteps, written } from '../arena.js';
import type { Bench } from '../bench.js';
import { atMost, fasterThanAll, ratioTo } from '../shows.js';

const COUNT = 500;

/** Work 3. */
export const many: Bench = {
  name: 'many',
  title: `${COUNT} small migrations`,
  about: `Each tool applies ${COUNT} migrations to a new database each time; a migration makes a table and an index. The floor is psql, which runs the same files in one session, each in its own transaction, without a history and without a lock. drizzle-orm commits all migrations together, every other tool each by itself.`,
  run: (options) =>
    inArena(options, async (arena) => {
      const { server } = arena;
      const steps = smallSteps(COUNT);
      const script = join(arena.folder, 'all.sql');
      writeFileSync(
        script,
        steps
          .map(({ sql }, i) => {
            const path = join(arena.folder, `${i}.sql`);
            writeFileSync(path, `${sql}\n`);
            return `BEGIN;\n\\i ${path}\nCOMMIT;\n`;
          })
          .join(''),
      );
      const floor = onFreshDatabase(arena, { name: 'psql, a transaction a file', family: 'floor' }, (database) =>
        psqlCommand(arena, ['-f', script], database),
      );
      const entrants = await eachPeer(arena, [...arena.ours, ...arena.peers], async (peer) => {
        const folder = written(arena, peer, steps);
        await migrated(arena, peer, folder);
        return onFreshDatabase(arena, peer, (database) => peer.up(folder, server.login(database)));
      });
      return await race(arena, [floor, ...entrants], options.runs ?? 5);
    }),
  shows: (findings) => [
    atMost(`${COUNT} migrations: executable to psql`, ratioTo(findings, 'kasm-db (executable)'), 1.3),
    fasterThanAll(
      `${COUNT} migrations: executable, to goose`,
      findings,
      'kasm-db (executable)',
      ['Go'],
      1,
      (name) => name === 'goose',
    ),
    fasterThanAll(
      `${COUNT} migrations: Node bundle, to the fastest of umzug, knex and node-pg-migrate`,
      findings,
      'kasm-db (Node)',
      ['Node'],
      1,
      (name) => ['umzug', 'knex', 'node-pg-migrate'].includes(name),
    ),
  ],
};
