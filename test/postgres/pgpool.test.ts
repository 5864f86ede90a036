import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { cli, folder } from '../support/cli.js';
import { TWO } from '../support/migrations.js';
import { hasPgpool, startPgpool, type TestPgpool } from '../support/pgpool.js';
import { rounds } from '../support/rounds.js';
import { type Cluster, startCluster } from '../support/standby.js';

// Reads go to the standby, so whatever is taken for one shows.
describe.runIf(hasPgpool())('pgpool-II before a primary and its standby', () => {
  let scratch: string;
  let cluster: Cluster;
  let pool: TestPgpool;
  const files = folder(TWO);
  beforeAll(async () => {
    scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kasm-db-pgpool-'));
    cluster = await startCluster(15, scratch);
  });
  afterEach(async () => {
    await pool.stop();
    await cluster.primary.query('DROP SCHEMA IF EXISTS kasm_db CASCADE');
    await cluster.primary.query('DROP TABLE IF EXISTS one, two');
    await cluster.caughtUp();
  });
  afterAll(async () => {
    await cluster?.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  const race = async () => {
    const runs = await Promise.all(
      Array.from({ length: 4 }, () => cli(['migrate', '--json', '--migrations', files], pool.env)),
    );
    for (const run of runs) expect(run.code, run.stderr).toBe(0);
    expect(runs.flatMap((run) => run.json().applied ?? [])).toHaveLength(2);
  };

  it.each([
    ['as it is by default', []],
    ['with write_function_list, which makes every other function a read', ["write_function_list = 'nextval,setval'"]],
  ])('%s: each migration once, and doctor has nothing against it', async (_name, settings) => {
    pool = await startPgpool(cluster, settings);
    for (let round = 0; round < rounds(2, 20); round++) {
      await race();
      const doctor = await cli(['doctor', '--no-seed', '--json', '--migrations', files], pool.env);
      expect(doctor.code, doctor.stdout).toBe(0);
      await cluster.primary.query('DROP SCHEMA kasm_db CASCADE');
      await cluster.primary.query('DROP TABLE one, two');
    }
  });

  it('with allow_sql_comments too, nobody can ask for the primary: 9 with the line to set, from doctor too', async () => {
    pool = await startPgpool(cluster, ["write_function_list = 'nextval,setval'", 'allow_sql_comments = on']);
    const run = await cli(['migrate', '--json', '--migrations', files], pool.env);
    const wrong = {
      message: 'what stands before the server sends the migration lock to a standby',
      hint: expect.stringContaining('write_function_list'),
    };
    expect(run.json()).toMatchObject({ exitCode: 9, error: wrong });
    expect(await cluster.primary.query("SELECT to_regnamespace('kasm_db') AS made")).toEqual([{ made: null }]);
    const doctor = await cli(['doctor', '--no-seed', '--json', '--migrations', files], pool.env);
    expect(doctor.json()).toMatchObject({
      exitCode: 9,
      checks: expect.arrayContaining([
        expect.objectContaining({ name: 'lock', state: 'failed', text: wrong.message, fix: wrong.hint }),
      ]),
    });
  });
});
