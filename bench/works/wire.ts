import { checkOnTheWire } from '../../test/support/round-trips.js';
import { inArena } from '../arena.js';
import type { Bench } from '../bench.js';
import { timed } from '../support.js';

const LIMIT = 3;

/** Show 5. */
export const wire: Bench = {
  name: 'wire',
  title: 'Round trips of a check',
  about:
    "How often a check waits for the server after the TCP connection is made. A proxy that reads PostgreSQL's protocol counts the round trips: one message, or several sent together, that the server answers before the next is sent. The three that SCRAM needs are counted apart.",
  run: (options) =>
    inArena(options, async ({ server, ours, absent }) => {
      const rows: string[][] = [];
      for (const { name, program } of ours) {
        const database = await server.newDatabase();
        const env = server.env(database);
        await timed({ name, command: [...program, 'migrate', '--quiet'], env });
        const { authentication, others } = await checkOnTheWire(server.login(database).port, async (port) => {
          await timed({
            name,
            command: [...program, '--check'],
            env: { ...env, POSTGRES_PORT: String(port), PGPORT: String(port) },
          });
        });
        rows.push([name, String(authentication), String(others)]);
      }
      return { outcome: { head: ['', "authentication's own", 'others'], rows }, absent };
    }),
  shows: ({ outcome }) =>
    (outcome?.rows ?? []).map(([name, , others]) => ({
      text: `round trips of a check beyond authentication's own: ${name}`,
      figure: others as string,
      limit: `at most ${LIMIT}`,
      met: Number(others) <= LIMIT,
    })),
};
