import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { folder } from '../support/cli.js';
import type { TestDatabase, Version } from '../support/database.js';
import { hasPgbouncer, startPgbouncer, type TestPooler } from '../support/pgbouncer.js';
import { randomSource, rounds } from '../support/rounds.js';
import {
  admin,
  endAdmins,
  FAULTS,
  type Fault,
  faultCase,
  type Outcome,
  type State,
  undisturbed,
  type Way,
} from './case.js';
import { DIRECT, POOLED, ROLE } from './run.js';

/** KASM_DB_FAULT_CASES=N runs N of them; all points and faults are about 15,000. */
const CASES = Number(process.env.KASM_DB_FAULT_CASES ?? rounds(24, 1500));
const AT_ONCE = Number(process.env.KASM_DB_FAULT_AT_ONCE ?? 4);
const VERSIONS: Version[] = rounds(0, 1) ? [13, 16, 18] : [16];

describe('a run of migrations, disturbed at each message of the protocol', () => {
  const { seed, next } = randomSource();
  const ways: { way: Way; messages: number; state: State }[] = [];
  let pooler: TestPooler | undefined;

  beforeAll(async () => {
    const [direct, pooled] = [folder(DIRECT), folder(POOLED)];
    for (const version of VERSIONS) {
      const server = inject('servers')[version];
      if (!server) throw new Error(`no PostgreSQL ${version} is running`);
      await admin(server).query(`CREATE ROLE ${ROLE.user} LOGIN PASSWORD '${ROLE.password}'`);
      const found: Way[] = [{ name: `PostgreSQL ${version}`, server, port: server.port, files: direct }];
      if (version === 16 && hasPgbouncer()) {
        const login = { ...ROLE, name: 'postgres', port: server.port, env: {} } as unknown as TestDatabase;
        pooler = await startPgbouncer(login, 'transaction', ['server_login_retry = 1']);
        found.push({ name: `PgBouncer, PostgreSQL ${version}`, server, port: pooler.port, files: pooled });
      }
      for (const way of found) {
        const { passed, state } = await undisturbed(way);
        ways.push({ way, messages: passed.length, state });
        // A named prepared statement would be lost behind a pooler.
        for (const { type, bytes } of passed.filter((m) => m.type === 'P' && m.direction === 'to server'))
          expect(bytes[5], `${type} names a statement`).toBe(0);
      }
    }
  });
  afterAll(async () => {
    await pooler?.stop();
    await endAdmins();
  });

  it(
    `trap 3: ${CASES} cases (traps 6 and 7 too): each rerun gives the undisturbed catalog and history`,
    { timeout: 180_000 + CASES * 4000 },
    async () => {
      console.log(
        `KASM_DB_SEED=${seed}; messages of a run: ${ways.map(({ way, messages }) => `${way.name} ${messages}`).join(', ')}`,
      );
      const cases = draw(
        ways.length,
        ways.map(({ messages }) => messages),
        CASES,
        next,
      );
      const wrong: string[] = [];
      let manual = 0;
      let done = 0;
      const work = async () => {
        for (let one = cases.shift(); one; one = cases.shift()) {
          const { way, state } = ways[one.way] as (typeof ways)[number];
          const outcome = await withPooler(pooler, way, () => faultCase(way, one.at, one.fault, one.chance, state));
          if (outcome.manual) manual++;
          if (outcome.wrong) {
            wrong.push(`${way.name}, message ${one.at}, ${one.fault} (${one.chance.toFixed(3)}): ${outcome.wrong}`);
            console.log(wrong.at(-1));
          }
          if (++done % 100 === 0) console.log(`${done} cases, ${wrong.length} wrong`);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      console.log(`${done} cases, ${wrong.length} wrong catalogs, ${manual} manual steps (KASM_DB_SEED=${seed})`);
      expect(wrong, `KASM_DB_SEED=${seed}`).toEqual([]);
      // None of these migrations holds a statement that could be ambiguous.
      expect(manual).toBe(0);
      expect(done).toBe(CASES);
    },
  );
});

let deaths = 0;
let restart = Promise.resolve();

/** PgBouncer 1.18 may end by itself where requests to cancel meet; what that has spoiled is tried again. */
async function withPooler(pooler: TestPooler | undefined, way: Way, work: () => Promise<Outcome>): Promise<Outcome> {
  for (;;) {
    const before = deaths;
    const outcome = await work();
    if (outcome.wrong === undefined || pooler?.port !== way.port) return outcome;
    restart = restart.then(async () => {
      const last = pooler.died();
      if (last === undefined) return;
      deaths++;
      console.log(`PgBouncer has ended by itself (${deaths}): ${last}`);
      await pooler.start();
    });
    await restart;
    if (deaths === before || deaths > 20) return outcome;
  }
}

/** Points at equal distances over the whole run, shifted at random, each with the next fault; then in random order. */
function draw(ways: number, messages: number[], count: number, next: () => number) {
  const cases: { way: number; at: number; fault: Fault; chance: number }[] = [];
  for (let i = 0; i < count; i++) {
    const way = i % ways;
    const per = Math.ceil(count / ways / FAULTS.length);
    const fault = FAULTS[Math.floor(i / ways) % FAULTS.length] as Fault;
    const step = Math.floor(i / ways / FAULTS.length);
    const at = Math.floor(((step + next()) / per) * (messages[way] as number)) % (messages[way] as number);
    cases.push({ way, at, fault, chance: next() });
  }
  for (let i = cases.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [cases[i], cases[j]] = [cases[j] as (typeof cases)[number], cases[i] as (typeof cases)[number]];
  }
  return cases;
}
