import { inArena } from '../arena.js';
import type { Bench, Timing } from '../bench.js';
import { atMost } from '../shows.js';
import { median } from '../support.js';
import { together } from './concurrent.js';

const COUNT = 32;

export const herd: Bench = {
  name: 'herd',
  title: `${COUNT} kasm-db at once on an empty database`,
  about: `What migrators cost that wait for each other: ${COUNT} of them are started together on an empty database and apply the whole Kasm schema. Beside them: one migrator alone, and ${COUNT} checks of an up-to-date database, started together.`,
  run: (options) =>
    inArena(options, async ({ server, ours, absent }) => {
      const timings: Timing[] = [];
      for (const { name, family, program } of ours) {
        const samples = { checks: [] as number[], alone: [] as number[], together: [] as number[] };
        const migrate = [...program, 'migrate', '--quiet'];
        for (let round = -1; round < (options.runs ?? 7); round++) {
          const alone = server.env(await server.newDatabase());
          const one = await together({ command: migrate, env: alone }, 1);
          const checks = await together({ command: [...program, '--check'], env: alone }, COUNT);
          const database = await server.newDatabase();
          const all = await together({ command: migrate, env: server.env(database) }, COUNT);
          const rows = await server.query(database, 'SELECT count(*)::int AS n FROM kasm_db.migrations');
          const failed = [...one.codes, ...checks.codes, ...all.codes].filter((code) => code !== 0);
          if (failed.length > 0) throw new Error(`${name}: ${failed.length} of ${COUNT * 2 + 1} failed (${failed[0]})`);
          if (rows[0]?.n < 1) throw new Error(`${name}: nothing was applied`);
          if (round < 0) continue;
          samples.alone.push(one.ms);
          samples.checks.push(checks.ms);
          samples.together.push(all.ms);
        }
        timings.push(
          { name: `${name}: ${COUNT} checks`, family, samples: samples.checks, floor: samples.checks },
          { name: `${name}: one migrator`, family, samples: samples.alone, floor: samples.checks },
          { name: `${name}: ${COUNT} migrators`, family, samples: samples.together, floor: samples.checks },
        );
      }
      return { timings, absent };
    }),
  shows: ({ timings = [] }) =>
    ['kasm-db (executable)', 'kasm-db (Node)'].map((name) => {
      const of = (what: string) => timings.find((timing) => timing.name === `${name}: ${what}`)?.samples ?? [];
      const [checks, alone, all] = [of(`${COUNT} checks`), of('one migrator'), of(`${COUNT} migrators`)];
      const ratios = all.map((ms, i) => ms / ((checks[i] as number) + (alone[i] as number)));
      return atMost(
        `${COUNT} migrators: ${name} to ${COUNT} checks and one migrator`,
        ratios.length > 0 ? median(ratios) : undefined,
        2,
      );
    }),
};
