// The image against PostgreSQL containers, on a network of their own and found by name: as in a Compose file or a cluster.
import { GenericContainer, Network, type StartedNetwork, type StartedTestContainer, Wait } from 'testcontainers';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { MIGRATIONS } from '../support/release.js';
import { buildImage, canPull, hasBridge, run, whyNot } from './docker.js';

// Its cleaning container would be one more image to have; each test ends what it has started.
process.env.TESTCONTAINERS_RYUK_DISABLED ??= 'true';

const POSTGRES = process.env.KASM_TEST_POSTGRES_IMAGE ?? 'postgres:16';
const reason =
  whyNot() ??
  (hasBridge() ? undefined : 'the Docker engine has no bridge network') ??
  (canPull(POSTGRES) ? undefined : `${POSTGRES} is not here and cannot be pulled`);
if (reason) console.warn(`SKIPPED: the image is NOT tested against PostgreSQL containers: ${reason}.`);

const LOGIN = { POSTGRES_DB: 'kasm', POSTGRES_USER: 'kasmapp', POSTGRES_PASSWORD: 's3cr3t-of-the-container' };
const ENV = { POSTGRES_HOST: 'db', ...LOGIN };

let network: StartedNetwork | undefined;
let database: StartedTestContainer | undefined;

async function newNetwork(): Promise<string> {
  network = await new Network().start();
  return network.getName();
}

async function startDatabase(): Promise<void> {
  database = await new GenericContainer(POSTGRES)
    .withNetwork(network as StartedNetwork)
    .withNetworkAliases(ENV.POSTGRES_HOST)
    .withEnvironment(LOGIN)
    .withExposedPorts(5432)
    // The official image's first server, for initdb, listens on no port.
    .withWaitStrategy(Wait.forListeningPorts())
    .start();
}

describe.skipIf(reason)(`the image and ${POSTGRES}`, () => {
  beforeAll(() => void buildImage(), 300_000);
  afterEach(async () => {
    await database?.stop();
    await network?.stop();
    database = network = undefined;
  });

  it('three migrators at once: each ends well, each migration is applied by one of them', async () => {
    const net = await newNetwork();
    await startDatabase();
    const runs = await Promise.all([1, 2, 3].map(() => run(['migrate', '--json'], ENV, [], net)));
    expect(runs.map(({ code, stderr }) => (code === 0 ? 0 : stderr))).toEqual([0, 0, 0]);
    const applied = runs.flatMap(({ stdout }) =>
      ((JSON.parse(stdout).applied ?? []) as { name: string }[]).map(({ name }) => name),
    );
    expect(applied.length).toBeGreaterThanOrEqual(MIGRATIONS.length);
    expect(new Set(applied).size).toBe(applied.length);
    expect(await run(['--check'], ENV, [], net)).toMatchObject({ code: 0 });
    const again = await run(['migrate', '--json'], ENV, [], net);
    expect(JSON.parse(again.stdout)).not.toHaveProperty('pending.0');
  }, 240_000);

  it('a gate that is there before the database and its migrator lets go when both are done', async () => {
    const net = await newNetwork();
    const gate = run(['--check', '--wait', '3m', '--json'], ENV, [], net);
    await startDatabase();
    expect(await run(['--check'], ENV, [], net)).toMatchObject({ code: 3 });
    expect(await run(['migrate'], ENV, [], net)).toMatchObject({ code: 0 });
    const passed = await gate;
    expect(passed.code, passed.stderr).toBe(0);
    expect(JSON.parse(passed.stdout)).toMatchObject({ command: 'check', outcome: 'ok' });
  }, 240_000);

  it('half of the migrations, a restart of the database, the other half', async () => {
    const net = await newNetwork();
    await startDatabase();
    expect(await run(['migrate', '--to', '0010_images_and_registries'], ENV, [], net)).toMatchObject({ code: 0 });
    await (database as StartedTestContainer).restart();
    expect(await run(['migrate', '--connect-timeout', '60s'], ENV, [], net)).toMatchObject({ code: 0 });
    expect(await run(['--check'], ENV, [], net)).toMatchObject({ code: 0 });
  }, 240_000);
});
