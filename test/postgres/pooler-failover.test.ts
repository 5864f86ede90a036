import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cli, folder } from '../support/cli.js';
import { type TestDatabase, waitFor } from '../support/database.js';
import { hasPgbouncer, startPgbouncer, type TestPooler } from '../support/pgbouncer.js';
import { type Passed, startProxy, type TestProxy } from '../support/proxy.js';
import { type Cluster, startCluster } from '../support/standby.js';

const NAMES = ['0001_one', '0002_two', '0003_three', '0004_four', '0005_five'];
const FILES = Object.fromEntries(
  NAMES.map((name, i) => [
    `${name}.sql`,
    `${i === 0 ? 'CREATE TABLE effects (name text);\n' : ''}CREATE TABLE t${i + 1} (x int);\nINSERT INTO effects VALUES ('${name}');\n`,
  ]),
);

const commits = (name: string, { direction, text }: Passed) =>
  direction === 'to server' &&
  new RegExp(`INSERT INTO kasm_db\\.migrations [^;]*VALUES \\('${name}'.*; COMMIT`, 's').test(text());

describe.runIf(hasPgbouncer())('a pooler whose server becomes another one', () => {
  let scratch: string;
  let cluster: Cluster;
  /** Stands between the pooler and the servers, and is turned from one to the other by hand. */
  let service: TestProxy;
  let pooler: TestPooler;
  let target: number;

  beforeAll(async () => {
    scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kasm-db-pooler-failover-'));
    cluster = await startCluster(16, scratch);
    target = cluster.primary.port;
    service = await startProxy(() => target);
    const login = { user: 'postgres', password: cluster.password, name: 'postgres', port: service.port, env: {} };
    pooler = await startPgbouncer(login as unknown as TestDatabase, 'transaction', ['server_login_retry = 1']);
  });
  afterAll(async () => {
    await pooler?.stop();
    service?.stop();
    await cluster?.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  it('trap 52: an asynchronous standby without 0003 is promoted between 0003 and 0004 › planned anew, no gap, exit 0', async () => {
    const { primary, standby } = cluster;
    let committed = '';
    let done = '';
    let by = -1;
    const onMessage = async (message: Passed) => {
      // What its connection sends after the answer to a COMMIT begins the next migration; others only look at what the run waits for.
      const next = committed !== done && message.direction === 'to server' && message.connection === by;
      if (next) done = committed;
      for (const name of NAMES.filter((each) => commits(each, message))) [committed, by] = [name, message.connection];
      if (next && done === '0002_two') await deafen();
      if (next && done === '0003_three' && target === primary.port) await promote();
      return 'pass' as const;
    };
    const deafen = async () => {
      await cluster.caughtUp();
      await standby.query("ALTER SYSTEM SET primary_conninfo = ''");
      await standby.query('SELECT pg_reload_conf()');
      await waitFor(
        async () => ((await primary.query('SELECT FROM pg_stat_replication')).length === 0 ? [1] : []),
        'the standby to hear nothing any more',
      );
    };
    const promote = async () => {
      await standby.query('SELECT pg_promote(true)');
      target = standby.port;
      service.reset();
    };
    const proxy = await startProxy(pooler.port, { onMessage });
    const files = folder(FILES);
    const run = await cli(['migrate', '--json', '--migrations', files], {
      ...cluster.env,
      POSTGRES_HOST: '127.0.0.1',
      POSTGRES_PORT: String(proxy.port),
      PGSSLMODE: 'disable',
    });
    proxy.stop();
    expect([done, target], run.stderr).toEqual(['0005_five', standby.port]);
    expect(run.code, run.stderr).toBe(0);
    expect(run.json().database?.connection).toBe('pooled');
    expect(await standby.query('SELECT name FROM kasm_db.migrations ORDER BY name')).toEqual(
      NAMES.map((name) => ({ name })),
    );
    expect(await standby.query('SELECT name FROM effects ORDER BY name')).toEqual(NAMES.map((name) => ({ name })));
    expect(await standby.query("SELECT to_regclass('t3')::text AS three")).toEqual([{ three: 't3' }]);
    const next = await cli(['migrate', '--json', '--migrations', files], {
      ...cluster.env,
      POSTGRES_HOST: '127.0.0.1',
      POSTGRES_PORT: String(pooler.port),
    });
    expect(next.code, next.stderr).toBe(0);
    expect(next.json().applied).toEqual([]);
  });
});
