import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { midStatement } from '../fixtures/kasm/observe.js';
import { cli, folder, startCli } from '../support/cli.js';
import { createDatabase, type TestDatabase, waitFor } from '../support/database.js';
import { closeDoor, WAIT_FOR_DOOR } from '../support/door.js';
import { SECRET_MARK } from '../support/global-setup.js';
import { ONE } from '../support/migrations.js';
import { startProxy } from '../support/proxy.js';
import { hasRedis, startRedis, type TestRedis } from '../support/redis.js';
import { busy } from '../support/time.js';

const SECRETS = {
  DEFAULT_ADMIN_PASSWORD: `${SECRET_MARK}admin`,
  DEFAULT_USER_PASSWORD: `${SECRET_MARK}user`,
  DEFAULT_MANAGER_TOKEN: `${SECRET_MARK}manager`,
  DEFAULT_REGISTRATION_TOKEN: `${SECRET_MARK}service`,
};
const SLOW = { ...ONE, '0002_two.sql': 'SELECT pg_sleep(30);' };

/** Every line in which a gate says what it waits for. */
const waiting = (stderr: string) => stderr.split('\n').filter((line) => line.startsWith('waiting'));

/** Lets a gate wait until it says what `expected` finds, and gives that line. */
async function lineOf(expected: RegExp, args: string[], env: Record<string, string>): Promise<string> {
  const gate = startCli(['--check', '--wait', '10m', ...args], env);
  const found = () => waiting(gate.stderr()).filter((line) => expected.test(line));
  await waitFor(async () => found(), `a gate to say ${expected}`);
  gate.child.kill('SIGTERM');
  expect((await gate.ended).code).toBe(143);
  return found()[0] as string;
}

/** A run whose migrator was killed: the row says "migrate", and nobody holds the lock. */
async function died(db: TestDatabase): Promise<void> {
  const { child, ended } = startCli(['migrate', '--migrations', folder(SLOW)], db.env);
  await waitFor(
    () =>
      db.superQuery(
        "SELECT FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND pid <> pg_backend_pid() AND datname = current_database()",
      ),
    'the sleep',
  );
  child.kill('SIGKILL');
  await ended;
  await db.superQuery(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
  );
  await waitFor(
    async () =>
      (
        await db.superQuery(
          'SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
        )
      ).length === 0
        ? [1]
        : [],
    'the backend to be gone',
  );
}

describe('gate › says what it waits for', () => {
  it('seven causes, seven messages, each with the next step', async () => {
    const db = await createDatabase();
    const messages: Record<string, string> = {};
    messages['wrong password'] = await lineOf(/refuses the login.*\(.*POSTGRES_PASSWORD/, [], {
      ...db.env,
      POSTGRES_PASSWORD: `${SECRET_MARK}wrong`,
    });
    messages['wrong database'] = await lineOf(/no database "nothere".*\(.*CREATE DATABASE/, [], {
      ...db.env,
      POSTGRES_DB: 'nothere',
    });
    messages['missing schema'] = await lineOf(/no history yet.*\(run: kasm-db migrate/, [], db.env);

    const killed = await createDatabase();
    await died(killed);
    messages['died migrator'] = await lineOf(
      /has died.*0002_two.*\(.*kasm-db migrate/,
      ['--migrations', folder(SLOW)],
      killed.env,
    );

    const broken = await createDatabase();
    const bad = folder({ ...ONE, '0002_bad.sql': 'SELECT 1 / 0;' });
    expect((await cli(['migrate', '--migrations', bad], broken.env)).code).toBe(7);
    messages['failed migration'] = await lineOf(
      /failed at 0002_bad.*division by zero.*\(correct the cause/,
      ['--migrations', bad],
      broken.env,
    );

    const old = await createDatabase();
    expect((await cli(['migrate', '--migrations', folder(ONE)], old.env)).code).toBe(0);
    messages['old schema'] = await lineOf(
      /1 of 2 migrations is applied, 0002_two is next.*\(run: kasm-db migrate/,
      ['--migrations', folder({ ...ONE, '0002_two.sql': 'SELECT 2;' })],
      old.env,
    );

    const unseeded = await createDatabase();
    expect((await cli(['migrate'], unseeded.env)).code).toBe(0);
    messages['not seeded'] = await lineOf(/not seeded yet.*\(run: kasm-db migrate --seed/, ['--seed'], unseeded.env);

    if (process.env.KASM_DB_PRINT)
      for (const [cause, line] of Object.entries(messages)) console.log(`${cause.padEnd(18)}${line}`);
    expect(new Set(Object.values(messages)).size).toBe(7);
  });

  it('names the running migrator, since when, and the migration; one line, however often it checks', async () => {
    const db = await createDatabase();
    const files = folder(SLOW);
    const run = startCli(['migrate', '--migrations', files], db.env);
    await waitFor(
      () =>
        db.superQuery(
          "SELECT FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND pid <> pg_backend_pid() AND datname = current_database()",
        ),
      'the sleep',
    );
    const gate = startCli(['--check', '--wait', '10m', '--migrations', files], db.env);
    const running = () => waiting(gate.stderr()).filter((line) => line.includes('migrator is running'));
    await waitFor(async () => running(), 'the gate to see the migrator');
    // It looks every second or two.
    await sleep(4000);
    expect(running()).toEqual([
      expect.stringMatching(/: kasm-db\/\S+ .*\(PID \d+\) since \d{4}-.*last at 0002_two; 1 of 2/),
    ]);
    gate.child.kill('SIGTERM');
    await gate.ended;
    run.child.kill('SIGTERM');
    await run.ended;
  });

  it('goes on through a corrected Secret: the file is read for every check', async () => {
    const db = await createDatabase();
    await cli(['migrate'], db.env);
    const secrets = folder({ password: `${SECRET_MARK}wrong\n` });
    const { POSTGRES_PASSWORD, ...rest } = db.env;
    const gate = startCli(['--check', '--wait', '10m'], { ...rest, POSTGRES_PASSWORD_FILE: `${secrets}/password` });
    await waitFor(
      async () => (gate.stderr().includes('refuses the login') ? [1] : []),
      'the gate to say refuses the login',
    );
    writeFileSync(`${secrets}/password`, `${POSTGRES_PASSWORD}\n`);
    expect((await gate.ended).code).toBe(0);
  });

  it('--wait ends when its time is up, also where a server takes the connection and then says nothing', async () => {
    const silent = createServer(() => {});
    const port = await new Promise<number>((resolve) =>
      silent.listen(0, '127.0.0.1', () => resolve((silent.address() as AddressInfo).port)),
    );
    const env = { POSTGRES_HOST: '127.0.0.1', POSTGRES_PORT: String(port), POSTGRES_DB: 'x', POSTGRES_USER: 'x' };
    const run = await cli(['--check', '--wait', '2s', '--json'], env);
    silent.close();
    expect(run.code).toBe(4);
    expect(run.json().error?.message).toMatch(/did not answer in time; gave up after 2/);
    // A single attempt to connect may take 10 s otherwise.
    expect(run.json().durationMs).toBeLessThan(busy(5000));
  });

  it('an older build passes on a newer database, and ends at once with 6 where that says min-compatible', async () => {
    const db = await createDatabase();
    const old = folder(ONE);
    await cli(['migrate', '--migrations', folder({ ...ONE, '0002_two.sql': 'SELECT 2;' })], db.env);
    expect((await cli(['--check', '--wait', '10m', '--migrations', old], db.env)).code).toBe(0);
    await cli(
      [
        'migrate',
        '--migrations',
        folder({ ...ONE, '0002_two.sql': 'SELECT 2;', '0003_three.sql': '-- kasm-db: min-compatible 0003\nSELECT 3;' }),
      ],
      db.env,
    );
    const refused = await cli(['--check', '--wait', '10m', '--json', '--migrations', old], db.env);
    expect(refused.code).toBe(6);
    expect(refused.json().error?.hint).toContain('knows migration 0003');
    expect(waiting(refused.stderr)).toEqual([]);
  });
});

describe.skipIf(!hasRedis())('gate › notifications', () => {
  let redis: TestRedis;
  const password = `${SECRET_MARK}redis`;
  beforeAll(async () => {
    redis = await startRedis(['--requirepass', password]);
  });
  afterAll(() => redis?.stop());
  const redisEnv = (port = redis.port) => ({
    KASM_DB_REDIS_HOST: '127.0.0.1',
    KASM_DB_REDIS_PORT: String(port),
    KASM_DB_REDIS_PASSWORD: password,
  });

  /** @returns how many notifications have come so far */
  async function listenTo(db: TestDatabase): Promise<() => Promise<number>> {
    const listener = new Redis(redis.port, '127.0.0.1', { password });
    const speaker = listener.duplicate();
    await listener.subscribe(`kasm-db:${db.name}`);
    let notifications = 0;
    const end = new Promise<void>((resolve) =>
      listener.on('message', (_, text) => {
        if (text === 'the end') resolve();
        else notifications++;
      }),
    );
    return async () => {
      // Redis keeps the order of messages.
      await speaker.publish(`kasm-db:${db.name}`, 'the end');
      await end;
      speaker.disconnect();
      listener.disconnect();
      return notifications;
    };
  }

  /** Waits until somebody has subscribed to the notifications of a database. */
  async function subscribed(db: TestDatabase): Promise<void> {
    const watch = new Redis(redis.port, '127.0.0.1', { password });
    await waitFor(async () => ((await watch.pubsub('NUMSUB', `kasm-db:${db.name}`))[1] ? [1] : []), 'the subscription');
    watch.disconnect();
  }

  it('migrate notifies after the seed, and a waiting gate is released by it', async () => {
    const db = await createDatabase();
    const gate = startCli(['--check', '--seed', '--wait', '5m'], { ...db.env, ...redisEnv() });
    await subscribed(db);
    const listener = new Redis(redis.port, '127.0.0.1', { password });
    await listener.subscribe(`kasm-db:${db.name}`);
    let message = '';
    const seeded = new Promise<boolean>((resolve) => {
      listener.on('message', async (_, text) => {
        message = text;
        resolve(
          (await db.query("SELECT FROM kasm_db.run WHERE seed_digest IS NOT NULL AND phase = 'done'")).length === 1,
        );
      });
    });
    expect((await cli(['migrate', '--seed'], { ...db.env, ...SECRETS, ...redisEnv() })).code).toBe(0);
    expect(await seeded).toBe(true);
    expect((await gate.ended).code).toBe(0);
    expect(JSON.parse(message)).toEqual({ version: expect.any(String) });
    listener.disconnect();
  });

  it('a node of a cluster that is down: the gate hears from the next one', async () => {
    const db = await createDatabase();
    const env = {
      ...db.env,
      KASM_DB_REDIS_CLUSTER: `127.0.0.1:1,127.0.0.1:${redis.port}`,
      KASM_DB_REDIS_PASSWORD: password,
    };
    const gate = startCli(['--check', '--wait', '5m'], env);
    await subscribed(db);
    expect((await cli(['migrate'], { ...db.env, ...redisEnv() })).code).toBe(0);
    expect((await gate.ended).code).toBe(0);
    const listener = await listenTo(db);
    expect((await cli(['migrate', '--json'], env)).json().warnings ?? []).toEqual([]);
    expect(await listener()).toBeLessThanOrEqual(1);
  });

  it('a notification that the next check does not confirm: the gate checks again soon', async () => {
    const db = await createDatabase();
    const gate = startCli(['--check', '--wait', '5m'], { ...db.env, ...redisEnv() });
    await subscribed(db);
    const client = await db.connect();
    const checks = async () =>
      Number(
        (await client.query('SELECT sessions FROM pg_stat_database WHERE datname = current_database()')).rows[0]
          .sessions,
      );
    const have = (count: number) => waitFor(async () => ((await checks()) >= count ? [1] : []), `${count} checks`);
    // The pauses have grown: after the one that it is in come two of 7 to 14 s.
    await have(4);
    const before = await checks();
    const liar = new Redis(redis.port, '127.0.0.1', { password });
    await liar.publish(`kasm-db:${db.name}`, '{}');
    const notified = performance.now();
    // Within a second, and then soon, as a replica that is some seconds behind needs it.
    await have(before + 5);
    expect(performance.now() - notified).toBeLessThan(14_000);
    await client.end();
    liar.disconnect();
    gate.child.kill();
    await gate.ended;
  });

  it.each([
    ['absent', () => ({ KASM_DB_REDIS_HOST: '127.0.0.1', KASM_DB_REDIS_PORT: '1' })],
    ['with another password', () => ({ ...redisEnv(), KASM_DB_REDIS_PASSWORD: `${SECRET_MARK}wrong` })],
  ])('Redis %s: one warning, polling goes on, the same exit code', async (_, env) => {
    const db = await createDatabase();
    const gate = startCli(['--check', '--wait', '10m'], { ...db.env, ...env() });
    await waitFor(async () => (gate.stderr().includes('warning:') ? [1] : []), 'the gate to say warning:');
    const run = await cli(['migrate'], { ...db.env, ...env() });
    expect(run.code).toBe(0);
    expect(run.stderr).toContain('Redis could not be told');
    const ended = await gate.ended;
    expect(ended.code).toBe(0);
    expect(ended.stderr.match(/warning:/g)).toHaveLength(1);
  });

  it('notifies though the password has changed since the start', async () => {
    const db = await createDatabase();
    const secrets = folder({ redis: `${SECRET_MARK}wrong` });
    const notifications = await listenTo(db);
    const openDoor = await closeDoor(await db.connect());
    const run = startCli(['migrate', '--migrations', folder({ '0001_slow.sql': WAIT_FOR_DOOR })], {
      ...db.env,
      ...redisEnv(),
      KASM_DB_REDIS_PASSWORD: '',
      KASM_DB_REDIS_PASSWORD_FILE: `${secrets}/redis`,
    });
    await midStatement(db, 'DO $door$');
    writeFileSync(`${secrets}/redis`, password);
    await openDoor();
    const { code, stderr } = await run.ended;
    expect(code, stderr).toBe(0);
    expect(stderr).not.toContain('Redis');
    expect(await notifications()).toBe(1);
  });

  it('a run that is over before the gate has subscribed has notified in vain: the second check comes soon', async () => {
    const db = await createDatabase();
    await died(db);
    // Only a second check says so.
    const gate = startCli(['--check', '--wait', '5m', '--migrations', folder(SLOW)], { ...db.env, ...redisEnv() });
    await waitFor(async () => (gate.stderr().includes('waiting') ? [1] : []), 'the second check');
    expect(waiting(gate.stderr())[0]).toMatch(/has died/);
    gate.child.kill();
    await gate.ended;
  });

  it('a false notification releases nobody: PostgreSQL is asked', async () => {
    const db = await createDatabase();
    const proxy = await startProxy(db.port);
    const gate = startCli(['--check', '--wait', '10m'], {
      ...db.env,
      POSTGRES_PORT: String(proxy.port),
      ...redisEnv(),
    });
    await subscribed(db);
    const checks = () => new Set(proxy.passed.map(({ connection }) => connection)).size;
    const before = checks();
    const liar = new Redis(redis.port, '127.0.0.1', { password });
    await liar.publish(`kasm-db:${db.name}`, '{"version":"9.9.9","ready":true}');
    // The first of them may have begun before the notification came.
    await waitFor(async () => (checks() > before + 2 ? [1] : []), 'PostgreSQL to be asked');
    expect(gate.child.exitCode).toBeNull();
    liar.disconnect();
    gate.child.kill('SIGTERM');
    expect((await gate.ended).code).toBe(143);
    proxy.stop();
  });

  it('Redis stopped and started during the wait: the gate is notified all the same, or polls', async () => {
    const other = await startRedis();
    const env = { KASM_DB_REDIS_URL: `redis://127.0.0.1:${other.port}` };
    const db = await createDatabase();
    const gate = startCli(['--check', '--wait', '10m'], { ...db.env, ...env });
    await waitFor(async () => (gate.stderr().includes('waiting') ? [1] : []), 'the gate to say waiting');
    await other.stop();
    await waitFor(async () => (gate.stderr().includes('so it polls only') ? [1] : []), 'the failure to be told');
    const again = await startRedis([], other.port);
    await waitFor(async () => (gate.stderr().includes('Redis is there again') ? [1] : []), 'its end to be told');
    expect((await cli(['migrate'], { ...db.env, ...env })).code).toBe(0);
    expect((await gate.ended).code).toBe(0);
    await again.stop();
  });
});

describe('doctor', () => {
  it('passes on a database that is ready for migrate, and says where each setting came from', async () => {
    const db = await createDatabase();
    const run = await cli(['doctor', '--no-seed', '--json'], db.env);
    expect(run.code).toBe(0);
    const checks = run.json().checks ?? [];
    expect(checks.filter(({ state }) => state === 'failed')).toEqual([]);
    expect(checks.find(({ name }) => name === 'settings')?.text).toContain('(POSTGRES_HOST)');
    expect(checks.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'dns',
        'login',
        'version',
        'privilege',
        'ownership',
        'extension',
        'lock',
        'migrations',
        'redis',
      ]),
    );
  });

  it.each([
    [
      'a wrong password',
      4,
      'login',
      (env: Record<string, string>) => ({ ...env, POSTGRES_PASSWORD: `${SECRET_MARK}wrong` }),
    ],
    ['an unknown host', 4, 'dns', (env: Record<string, string>) => ({ ...env, POSTGRES_HOST: 'nothere.invalid' })],
  ])('%s: exit %i by the first failing line, %s', async (_, code, name, change) => {
    const db = await createDatabase();
    const run = await cli(['doctor', '--json'], change(db.env));
    expect(run.code).toBe(code);
    expect(run.json().checks?.find(({ state }) => state === 'failed')?.name).toBe(name);
  });

  it('a role without rights: exit 9, with the statements for an admin', async () => {
    const db = await createDatabase();
    await db.superQuery(`ALTER DATABASE ${db.name} OWNER TO postgres`);
    await db.superQuery(`REVOKE TEMPORARY ON DATABASE ${db.name} FROM PUBLIC`);
    const run = await cli(['doctor'], db.env);
    expect(run.code).toBe(9);
    expect(run.stdout).toContain(`GRANT CREATE, USAGE ON SCHEMA public TO "${db.user}"`);
    expect(run.stdout).toContain(`CREATE SCHEMA kasm_db AUTHORIZATION "${db.user}"`);
    expect(run.stdout).toContain(`GRANT TEMPORARY ON DATABASE "${db.name}"`);
    expect(run.stdout).toContain('CREATE EXTENSION IF NOT EXISTS "uuid-ossp"');
  });

  it('a service link is ignored and named', async () => {
    const db = await createDatabase();
    const { POSTGRES_PORT, ...rest } = db.env;
    const run = await cli(['doctor', '--no-seed'], {
      ...rest,
      POSTGRES_PORT: 'tcp://10.0.0.1:5432',
      PGPORT: POSTGRES_PORT as string,
    });
    expect(run.code).toBe(0);
    expect(run.stdout).toContain('POSTGRES_PORT=tcp://10.0.0.1:5432 is a Kubernetes service link');
  });
});
