import { afterEach, describe, expect, it } from 'vitest';
import { cli, folder, startCli } from '../support/cli.js';
import { createDatabase, type TestDatabase, waitFor } from '../support/database.js';
import { TWO } from '../support/migrations.js';
import { hasPgbouncer, startPgbouncer, type TestPooler } from '../support/pgbouncer.js';
import { startProxy, type TestProxy } from '../support/proxy.js';
import { freePort } from '../support/server.js';

/** What starting a process and giving up may take beyond the bound on a loaded machine. */
const SLACK_MS = 8000;

const open: { stop(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.stop();
});

interface Scene {
  db: TestDatabase;
  pooler: TestPooler;
  /** Stands between the pooler and its server. */
  between: TestProxy;
  /** The server is gone: connections to it are refused. */
  lose(): void;
  find(): void;
}

async function scene(): Promise<Scene> {
  const db = await createDatabase();
  const nowhere = await freePort();
  let target = db.port;
  const between = await startProxy(() => target);
  open.push(between);
  const pooler = await startPgbouncer({ ...db, port: between.port }, 'transaction', ['server_login_retry = 1']);
  open.push(pooler);
  return {
    db,
    pooler,
    between,
    lose: () => {
      target = nowhere;
      between.reset();
    },
    find: () => {
      target = db.port;
    },
  };
}

describe.runIf(hasPgbouncer())('PgBouncer whose server is gone', () => {
  it.each([
    ['migrate', ['migrate']],
    ['check', ['check']],
    ['status', ['status']],
    ['seed', ['seed']],
  ])('%s › 4 within --connect-timeout, the first time and later', async (_name, args) => {
    const { lose, pooler } = await scene();
    lose();
    const files = folder(TWO);
    for (const call of ['first', 'second', 'third']) {
      const run = await cli([...args, '--json', '--connect-timeout', '3s', '--migrations', files], pooler.env);
      expect(run.code, `${call}: ${run.stderr}`).toBe(4);
      expect(run.ms, call).toBeLessThan(3000 + SLACK_MS);
      // It was tried for all of that time.
      expect(run.ms, call).toBeGreaterThan(1500);
      expect(run.json().error?.hint, call).toMatch(/pooler|KASM_DB_DIRECT_URL/);
    }
  });

  it('it comes back within --connect-timeout › the same run succeeds', async () => {
    const { lose, find, pooler, db } = await scene();
    lose();
    const run = startCli(['migrate', '--json', '--connect-timeout', '60s', '--migrations', folder(TWO)], pooler.env);
    await waitFor(
      async () => (run.stderr().includes('waiting for the database') ? [1] : []),
      'the first refusal to be told',
    );
    find();
    const done = await run.ended;
    expect(done.code, done.stderr).toBe(0);
    expect(await db.query("SELECT to_regclass('two')::text AS two")).toEqual([{ two: 'two' }]);
  });
});

describe.runIf(hasPgbouncer())('PgBouncer whose server is frozen', () => {
  it('check --wait 6s ends near its time with 4', async () => {
    const { between, pooler } = await scene();
    between.swallow(true);
    const run = await cli(['check', '--wait', '6s', '--json', '--migrations', folder(TWO)], pooler.env);
    expect(run.code, run.stderr).toBe(4);
    expect(run.ms).toBeGreaterThan(5000);
    expect(run.ms).toBeLessThan(6000 + SLACK_MS);
  });

  it('it thaws › the gate goes on and passes', async () => {
    const { between, pooler, db } = await scene();
    const files = folder(TWO);
    expect((await cli(['migrate', '--migrations', files], db.env)).code).toBe(0);
    between.swallow(true);
    const gate = startCli(['check', '--wait', '60s', '--json', '--migrations', files], pooler.env);
    await waitFor(async () => (gate.stderr().includes('waiting:') ? [1] : []), 'the gate to wait', 40_000);
    between.swallow(false);
    between.reset();
    const done = await gate.ended;
    expect(done.code, done.stderr).toBe(0);
  });

  it('migrate and status end with 4 within --connect-timeout', async () => {
    const { between, pooler } = await scene();
    between.swallow(true);
    for (const command of ['migrate', 'status', 'check']) {
      const run = await cli([command, '--json', '--connect-timeout', '3s', '--migrations', folder(TWO)], pooler.env);
      expect(run.code, `${command}: ${run.stderr}`).toBe(4);
      expect(run.ms, command).toBeLessThan(3000 + SLACK_MS);
    }
  });
});
