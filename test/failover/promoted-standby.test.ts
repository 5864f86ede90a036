import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cli, folder, startCli } from '../support/cli.js';
import { waitFor } from '../support/database.js';
import { type Cluster, startCluster } from '../support/standby.js';
import { type Haproxy, startHaproxy } from './haproxy.js';
import { findHaproxy } from './software.js';

const FILES = { '0001_one.sql': 'CREATE TABLE one (x int);\n', '0002_two.sql': 'CREATE TABLE two (x int);\n' };
const PROMOTED_AFTER_MS = 10_000;
const haproxy = findHaproxy();

describe.runIf(haproxy)('trap 55: a standby behind the name of a proxy, while a failover is under way', () => {
  let scratch: string;
  let cluster: Cluster;
  let proxy: Haproxy;

  beforeEach(async () => {
    scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kasm-db-promoted-'));
    chmodSync(scratch, 0o755);
    cluster = await startCluster(16, scratch);
    const { primary, standby } = cluster;
    proxy = await startHaproxy(haproxy as string, scratch, [
      { port: primary.port },
      { port: standby.port, backup: true },
    ]);
  });
  afterEach(async () => {
    await proxy?.stop();
    await cluster?.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  const env = () => ({ ...cluster.env, POSTGRES_HOST: '127.0.0.1', POSTGRES_PORT: String(proxy.port) });

  it('it is promoted 10 s after the primary was stopped › the same run succeeds', async () => {
    const { primary, standby } = cluster;
    const files = folder(FILES);
    const first = await cli(['migrate', '--json', '--to', '0001_one', '--migrations', files], env());
    expect(first.code, first.stderr).toBe(0);
    await cluster.caughtUp();
    await primary.stop();
    const run = startCli(['migrate', '--json', '--connect-timeout', '2m', '--migrations', files], env());
    await waitFor(async () => (run.stderr().includes('standby') ? [1] : []), 'the standby to be told', 30_000);
    await new Promise((resolve) => setTimeout(resolve, PROMOTED_AFTER_MS));
    expect(run.child.exitCode, run.stderr()).toBeNull();
    await standby.query('SELECT pg_promote(true)');
    const done = await run.ended;
    expect(done.code, done.stderr).toBe(0);
    expect(done.json().applied?.map(({ name }) => name)).toEqual(['0002_two']);
    expect(await standby.query('SELECT name FROM kasm_db.migrations ORDER BY name')).toEqual([
      { name: '0001_one' },
      { name: '0002_two' },
    ]);
  });

  it('nobody promotes it › 4 after --connect-timeout, for trying again may help, and it is said what stands there', async () => {
    const files = folder(FILES);
    await cluster.primary.stop();
    const run = await cli(['migrate', '--json', '--connect-timeout', '15s', '--migrations', files], env());
    expect(run.code, run.stderr).toBe(4);
    expect(run.ms).toBeGreaterThan(10_000);
    expect(run.json().error?.message).toMatch(/standby/);
    expect(run.json().error?.hint).toMatch(/failover/);
  });
});
