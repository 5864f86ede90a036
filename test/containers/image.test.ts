// The image itself: what is in it, as whom it runs, how it ends. On the PostgreSQL servers of the other suites.
import { chmodSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { folder } from '../support/cli.js';
import { createDatabase, type TestDatabase, waitFor } from '../support/database.js';
import { busy } from '../support/time.js';
import { buildImage, docker, filesOf, IMAGE, RESTRICTED, run, whyNot } from './docker.js';

const reason = whyNot();
if (reason) console.warn(`SKIPPED: the image is NOT tested by this run: ${reason}.`);

const keys = ['admin-password', 'user-password', 'manager-token', 'service-token'];
const SECRETS = Object.fromEntries(keys.map((key) => [key, `s3cr3t-${key}`]));

/** A folder that the image's user may read. */
function readable(files: Record<string, string>): string {
  const path = folder(files);
  chmodSync(path, 0o755);
  return path;
}

describe.skipIf(reason)('image', () => {
  let base: string;
  let ready: TestDatabase;

  beforeAll(async () => {
    base = buildImage();
    ready = await createDatabase();
    const migrated = await run(['migrate', '--json'], ready.env);
    expect(migrated.stdout, migrated.stderr).toContain('"outcome":"ok"');
  }, 300_000);

  it('holds the executable and its licences beyond its base, and nothing else', () => {
    const before = filesOf(base);
    const after = filesOf(IMAGE);
    expect([...after].filter((path) => !before.has(path))).toEqual(['LICENSE', 'THIRD-PARTY-NOTICES.txt', 'kasm-db']);
    expect([...before].filter((path) => !after.has(path))).toEqual([]);
    const size = (image: string) => Number(docker('image', 'inspect', '--format', '{{.Size}}', image)) / 1e6;
    console.log(
      `image: ${size(IMAGE).toFixed(1)} MB (base ${base} ${size(base).toFixed(1)} MB), ${after.size} files, 3 of them ours`,
    );
  });

  it('says who it is and what it runs', () => {
    const { Config, Architecture } = JSON.parse(docker('image', 'inspect', IMAGE))[0];
    expect(Config.User).toBe('65532:65532');
    expect(Config.Entrypoint).toEqual(['/kasm-db']);
    expect(Config.Labels).toMatchObject({
      'org.opencontainers.image.title': 'kasm-db',
      'org.opencontainers.image.licenses': 'Apache-2.0',
      'org.opencontainers.image.version': '0.0.0-test',
    });
    expect(Architecture).toBe({ x64: 'amd64', arm64: 'arm64' }[process.arch as 'x64' | 'arm64']);
  });

  it('checks, seeds and parses with a read-only root and no capability', async () => {
    expect(await run(['check', '--json'], ready.env)).toMatchObject({ code: 0 });
    const empty = await createDatabase();
    expect(await run(['check'], empty.env)).toMatchObject({ code: 3 });
    const secrets = readable(SECRETS);
    const seeded = await run(['seed', '--json', '--secrets', '/secrets'], ready.env, ['-v', `${secrets}:/secrets:ro`]);
    expect(seeded).toMatchObject({ code: 0 });
    expect(seeded.stdout + seeded.stderr).not.toContain('s3cr3t-');
    const files = readable({
      '0001_a.sql': '-- kasm-db: no-transaction\nCREATE TABLE a (b int);\nCREATE INDEX CONCURRENTLY c ON a (b);\n',
    });
    const args = ['migrate', '--migrations', '/m'];
    expect(await run(args, empty.env, ['-v', `${files}:/m:ro`])).toMatchObject({ code: 0, stderr: expect.any(String) });
  });

  it('SIGTERM in mid-statement: process 1, user 65532, 143 within 2 s, nothing left behind', async () => {
    const db = await createDatabase();
    const files = readable({ '0001_slow.sql': 'CREATE TABLE a (b int); SELECT pg_sleep(60);' });
    const name = `kasm-db-test-${process.pid}`;
    const running = run(['migrate', '--json', '--migrations', '/m'], db.env, [
      ...['--name', name, '-v', `${files}:/m:ro`],
    ]);
    await waitFor(
      () =>
        db.superQuery("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()"),
      'the slow statement',
    );
    const pid = docker('inspect', '--format', '{{.State.Pid}}', name);
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    expect(status).toMatch(/^Uid:\t65532\t65532\t65532\t65532$/m);
    expect(status).toMatch(/^NSpid:.*\t1$/m);
    expect(status).toMatch(/^CapEff:\t0000000000000000$/m);
    const asked = performance.now();
    docker('kill', '--signal', 'TERM', name);
    const ended = await running;
    expect(ended.code).toBe(143);
    expect(performance.now() - asked).toBeLessThan(busy(2000));
    expect(JSON.parse(ended.stdout)).toMatchObject({ outcome: 'interrupted', exitCode: 143 });
    await waitFor(
      () =>
        db.superQuery(
          "SELECT 1 WHERE to_regclass('a') IS NULL AND NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory')",
        ),
      'the end of its session',
    );
  });

  it('--check from the start of its container to the end', async () => {
    const own: number[] = [];
    const all: number[] = [];
    for (let i = 0; i < 5; i++) {
      const name = `kasm-db-test-${process.pid}-${i}`;
      const names = Object.keys(ready.env).flatMap((variable) => ['--env', variable]);
      const before = { ...process.env };
      Object.assign(process.env, ready.env);
      const started = performance.now();
      docker('run', '--name', name, '--network', 'host', ...RESTRICTED, ...names, IMAGE, '--check');
      all.push(performance.now() - started);
      process.env = before;
      const { State } = JSON.parse(docker('inspect', name))[0];
      own.push(Date.parse(State.FinishedAt) - Date.parse(State.StartedAt));
      docker('rm', name);
    }
    const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]?.toFixed(0);
    console.log(`--check in a container: ${median(own)} ms from start to exit, ${median(all)} ms with docker run`);
    expect(Math.min(...own)).toBeGreaterThan(0);
  });
});
