import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TARGET_SESSION_ATTRS } from '../../src/config/parameters.js';
import { resolveSettings } from '../../src/config/settings.js';
import { connect } from '../../src/postgres/connect.js';
import { disconnect } from '../../src/postgres/query.js';
import { ENGINE_VERSIONS } from '../fixtures/kasm/observe.js';
import { cli, folder, startCli } from '../support/cli.js';
import { waitFor } from '../support/database.js';
import { findPsql } from '../support/psql.js';
import { freePort } from '../support/server.js';
import { type Cluster, startCluster } from '../support/standby.js';
import { withEnoughTime } from '../support/time.js';

const FILES: [string, string][] = ['one', 'two', 'three', 'four', 'five', 'six'].map((name, i) => [
  `000${i + 1}_${name}.sql`,
  `CREATE TABLE ${name} (x integer);\n`,
]);
const upTo = (n: number) => folder(Object.fromEntries(FILES.slice(0, n)));
const psql = findPsql();

// PostgreSQL 13 is asked what it is; from 14 on it says so at login.
describe.each(ENGINE_VERSIONS)('PostgreSQL %i › a primary with a streaming standby', (version) => {
  let scratch: string;
  let cluster: Cluster;
  let nowhere: number;

  beforeAll(async () => {
    scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kasm-db-hosts-'));
    cluster = await startCluster(version, scratch);
    nowhere = await freePort();
    await cluster.primary.query("CREATE ROLE reader LOGIN PASSWORD 's3cr3t-reader'");
    await cluster.primary.query('ALTER ROLE reader SET default_transaction_read_only = on');
    await cluster.caughtUp();
  });
  afterAll(async () => {
    await cluster?.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  /** Ports become a list of hosts. */
  const env = (...ports: number[]) => ({
    ...cluster.env,
    POSTGRES_HOST: ports.map(() => '127.0.0.1').join(','),
    POSTGRES_PORT: ports.join(','),
  });
  const migrateTo4 = (env: Record<string, string>) =>
    withEnoughTime(
      (timeout) => cli(['migrate', '--json', '--connect-timeout', timeout, '--migrations', upTo(4)], env),
      ({ stderr }) => stderr,
    );

  it('trap 22 › migrate finds the primary, whichever is first; check answers from any', async () => {
    const { primary, standby } = cluster;
    const lists = [
      [standby.port, primary.port],
      [primary.port, standby.port],
      [nowhere, standby.port, primary.port],
    ];
    for (const [i, ports] of lists.entries()) {
      const files = upTo(i + 1);
      const run = await cli(['migrate', '--json', '--migrations', files], env(...ports));
      expect(run.code, run.stderr).toBe(0);
      expect(run.json()).toMatchObject({ applied: [{ name: FILES[i]?.[0].slice(0, -4) }] });
      expect(run.json().database?.port).toBe(primary.port);
      await cluster.caughtUp();
      const check = await cli(['check', '--json', '--migrations', files], env(...ports));
      expect(check.code, check.stderr).toBe(0);
      expect(check.json().database?.port).toBe(ports.find((port) => port !== nowhere));
    }
  });

  it('what a gate may share with it, any or prefer-standby, does not keep migrate from the primary', async () => {
    const { primary, standby } = cluster;
    for (const wish of ['any', 'prefer-standby']) {
      const run = await cli(['migrate', '--json', '--migrations', upTo(3)], {
        ...env(standby.port, primary.port),
        PGTARGETSESSIONATTRS: wish,
      });
      expect(run.json()).toMatchObject({ outcome: 'ok', database: { port: primary.port } });
    }
  });

  it('a lone standby: check answers, migrate exits 4, since a failover may be under way', async () => {
    const { standby } = cluster;
    expect((await cli(['check', '--migrations', upTo(3)], env(standby.port))).code).toBe(0);
    for (const wish of [undefined, 'primary', 'read-write']) {
      const run = await migrateTo4({ ...env(standby.port), ...(wish ? { PGTARGETSESSIONATTRS: wish } : {}) });
      expect(run.code, run.stderr).toBe(4);
      expect(run.json().error?.message).toMatch(/standby|takes no writes/);
      expect(run.json().error?.hint).toMatch(/all hosts/);
    }
  });

  it('a role that is serializable by default, which a standby refuses: check, status and doctor answer all the same', async () => {
    const { primary, standby } = cluster;
    await primary.query(`CREATE ROLE strict LOGIN PASSWORD 's3cr3t-strict';
      ALTER ROLE strict SET default_transaction_isolation = 'serializable';
      GRANT USAGE ON SCHEMA kasm_db TO strict; GRANT SELECT ON ALL TABLES IN SCHEMA kasm_db TO strict`);
    await cluster.caughtUp();
    const strict = { POSTGRES_USER: 'strict', POSTGRES_PASSWORD: 's3cr3t-strict' };
    const wishes: Record<string, string>[] = [{}, { PGTARGETSESSIONATTRS: 'standby' }];
    for (const more of wishes) {
      for (const command of ['check', 'status']) {
        const run = await cli([command, '--json', '--migrations', upTo(3)], {
          ...env(standby.port),
          ...strict,
          ...more,
        });
        expect(run.code, `${command}: ${run.stderr}`).toBe(0);
        expect(run.json().database?.port).toBe(standby.port);
      }
    }
    const doctor = await cli(['doctor', '--json'], { ...env(standby.port), ...strict });
    const primaryLine = doctor.json().checks?.find(({ name }) => name === 'primary');
    expect(primaryLine).toMatchObject({ state: 'failed', code: 'unreachable' });
    expect(doctor.json().checks?.filter(({ code }) => code === 'internal')).toEqual([]);
  });

  it('a list without a primary is unreachable, for a failover may be going on: each host is told', async () => {
    const { standby } = cluster;
    const run = await migrateTo4(env(standby.port, nowhere));
    expect(run.code, run.stderr).toBe(4);
    expect(run.json().error?.message).toMatch(/none of the 2 hosts will do: .* is a standby .*; .*ECONNREFUSED/);
  });

  it('a role that is read-only by default does not hide the primary', async () => {
    const { primary, standby } = cluster;
    const login = { POSTGRES_USER: 'reader', POSTGRES_PASSWORD: 's3cr3t-reader' };
    const run = await cli(['migrate', '--json', '--migrations', upTo(4)], {
      ...env(standby.port, primary.port),
      ...login,
    });
    // It got there, but may not read the history.
    expect(run.json()).toMatchObject({ exitCode: 9, error: { sqlstate: '42501' } });
  });

  it.each([
    ['--target-session-attrs', ['--target-session-attrs', 'master'], {}],
    ['PGTARGETSESSIONATTRS', [], { PGTARGETSESSIONATTRS: 'readwrite' }],
    ['KASM_DB_URL', [], { KASM_DB_URL: 'postgres:///?target_session_attrs=slave' }],
  ])('a wrong value in %s is a usage error naming it', async (name, args, more) => {
    const run = await cli(['check', '--json', ...args], { ...env(cluster.primary.port), ...more });
    expect(run.code).toBe(2);
    expect(run.json().error?.message).toContain(name);
  });

  it.each(['standby', 'read-only'])('migrate with %s is a usage error', async (wish) => {
    const run = await cli(
      ['migrate', '--json', '--target-session-attrs', wish],
      env(cluster.primary.port, cluster.standby.port),
    );
    expect(run.code).toBe(2);
    expect(run.json().error?.message).toBe(`target_session_attrs "${wish}" (--target-session-attrs) takes no writes`);
  });

  it.skipIf(!psql)('each target_session_attrs ends at the same host as psql does, or at none', async () => {
    const { primary, standby } = cluster;
    const lists = [
      [primary.port, standby.port],
      [standby.port, primary.port],
      [nowhere, primary.port, standby.port],
      [primary.port],
      [standby.port],
      [nowhere],
    ];
    const logins = [
      { POSTGRES_USER: 'postgres', POSTGRES_PASSWORD: cluster.password },
      { POSTGRES_USER: 'reader', POSTGRES_PASSWORD: 's3cr3t-reader' },
    ];
    const names = new Map([
      [primary.port, 'primary'],
      [standby.port, 'standby'],
      [nowhere, 'nobody'],
    ]);
    const table: string[] = [];
    let different = 0;
    for (const wish of TARGET_SESSION_ATTRS) {
      for (const ports of lists) {
        for (const login of logins) {
          const [theirs, us] = await Promise.all([
            psql?.run(['-c', 'SHOW port'], {
              PGHOST: ports.map(() => '127.0.0.1').join(','),
              PGPORT: ports.join(','),
              PGDATABASE: 'postgres',
              PGUSER: login.POSTGRES_USER,
              PGPASSWORD: login.POSTGRES_PASSWORD,
              PGTARGETSESSIONATTRS: wish,
              HOME: scratch,
            }),
            reached({ ...env(...ports), ...login, PGTARGETSESSIONATTRS: wish }),
          ]);
          const them = theirs?.code === 0 ? theirs.stdout : 'none';
          if (us !== them) different++;
          const text = (port: string) => names.get(Number(port)) ?? port;
          table.push(
            `${wish.padEnd(15)} ${ports
              .map((port) => names.get(port))
              .join(',')
              .padEnd(25)} ${login.POSTGRES_USER.padEnd(9)} psql: ${text(them).padEnd(8)} kasm-db: ${text(us)}`,
          );
        }
      }
    }
    console.log(
      `target_session_attrs on PostgreSQL ${version}: ${table.length} cases, ${different} different from psql ${psql?.version}`,
    );
    if (different > 0) console.log(table.join('\n'));
    expect(different).toBe(0);
  });

  it('trap 22, 32 › a failover in mid-run: the run exits 4 or heals, the rerun completes, and a waiting gate passes', async () => {
    const { primary, standby } = cluster;
    const both = env(primary.port, standby.port);
    const slow = { [FILES[4]?.[0] as string]: `CREATE TABLE five (x integer);\nSELECT pg_sleep(60);\n` };
    const all = upTo(6);
    const gate = startCli(['check', '--wait', '10m', '--json', '--migrations', all], both);
    await waitFor(async () => (gate.stderr().includes('waiting:') ? [1] : []), 'the gate to wait');
    const run = startCli(
      ['migrate', '--json', '--migrations', folder({ ...Object.fromEntries(FILES.slice(0, 4)), ...slow })],
      both,
    );
    await waitFor(
      () =>
        primary.query(
          "SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%five%pg_sleep%' AND pid <> pg_backend_pid()",
        ),
      'the run to be in its statement',
    );
    // 0004 was committed by then; 0005 not.
    await cluster.caughtUp();
    await cluster.failover();
    const broken = await run.ended;
    expect(broken.code, broken.stderr).toBe(4);
    expect(await standby.query("SELECT to_regclass('five') AS five, to_regclass('four')::text AS four")).toEqual([
      { five: null, four: 'four' },
    ]);

    const rerun = await cli(['migrate', '--json', '--migrations', all], both);
    expect(rerun.code, rerun.stderr).toBe(0);
    expect(rerun.json()).toMatchObject({
      applied: [{ name: '0005_five' }, { name: '0006_six' }],
      database: { port: standby.port },
    });
    const passed = await gate.ended;
    expect(passed.code, passed.stderr).toBe(0);
    expect((await cli(['migrate', '--json', '--migrations', all], both)).json().applied).toEqual([]);
  });
});

/** Port of the server that kasm-db ends at. */
async function reached(env: Record<string, string>): Promise<string> {
  try {
    const client = await connect(() => resolveSettings({ connectTimeout: '20s' }, env, { direct: false }), {
      once: true,
    });
    await disconnect(client);
    return String(client.port);
  } catch {
    return 'none';
  }
}
