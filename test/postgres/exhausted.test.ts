import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { cli, folder, startCli } from '../support/cli.js';
import { DEFAULT_VERSION, waitFor } from '../support/database.js';
import { ONE } from '../support/migrations.js';
import { type RunningServer, startTestServer } from '../support/server.js';
import { withEnoughTime } from '../support/time.js';

const envOf = ({ info }: RunningServer) => ({
  POSTGRES_HOST: '127.0.0.1',
  POSTGRES_PORT: String(info.port),
  POSTGRES_DB: 'postgres',
  POSTGRES_USER: 'postgres',
  POSTGRES_PASSWORD: info.password,
});

function connect({ info }: RunningServer): Promise<pg.Client> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: info.port,
    user: 'postgres',
    password: info.password,
    database: 'postgres',
    ssl: false,
  });
  client.on('error', () => {});
  return client.connect().then(() => client);
}

describe('a server with little of everything', () => {
  let scratch = '';
  let server: RunningServer;
  beforeAll(async () => {
    scratch = mkdtempSync(join(dirname(inject('outputLog')), 'little-'));
    server = await startTestServer(DEFAULT_VERSION, scratch, [
      'max_connections=8',
      'superuser_reserved_connections=0',
      'reserved_connections=0',
      'max_locks_per_transaction=10',
      'max_wal_senders=0',
      'autovacuum=off',
    ]);
  });
  afterAll(() => server?.stop());

  it('trap 33: too many locks (53200) › exit 7 with the hint of the server, nothing kept, and with less at once it works', async () => {
    const tables = Array.from({ length: 4000 }, (_, i) => `CREATE TABLE t${i} (x int);`).join('\n');
    const run = await cli(
      ['migrate', '--json', '--migrations', folder({ ...ONE, '0002_many.sql': tables })],
      envOf(server),
    );
    expect(run.code, run.stderr).toBe(7);
    expect(run.json().error).toMatchObject({ sqlstate: '53200', migration: '0002_many' });
    expect(run.json().error?.hint).toContain('max_locks_per_transaction');
    const client = await connect(server);
    const { rows } = await client.query("SELECT count(*)::int AS n FROM pg_tables WHERE tablename ~ '^t[0-9]'");
    await client.end();
    expect(rows).toEqual([{ n: 0 }]);
    const fewer = folder({ ...ONE, '0002_many.sql': tables.split('\n').slice(0, 20).join('\n') });
    const next = await cli(['migrate', '--json', '--migrations', fewer], envOf(server));
    expect(next.code, next.stderr).toBe(0);
  });

  it('trap 33: no connection left (53300) › exit 4 naming it; check --wait and migrate go on when one is free', async () => {
    const clients: pg.Client[] = [];
    for (;;) {
      try {
        clients.push(await connect(server));
      } catch (error) {
        expect((error as { code?: string }).code).toBe('53300');
        break;
      }
    }
    const files = folder(ONE);
    const refused = await withEnoughTime(
      (timeout) => cli(['migrate', '--json', '--migrations', files, '--connect-timeout', timeout], envOf(server)),
      ({ stderr }) => stderr,
    );
    expect(refused.code, refused.stderr).toBe(4);
    expect(refused.json().error).toMatchObject({ code: 'unreachable', sqlstate: '53300' });
    const patient = startCli(['migrate', '--json', '--migrations', files, '--connect-timeout', '10m'], envOf(server));
    await waitFor(async () => (patient.stderr().includes('no connection left') ? [1] : []), 'the migrator to wait');
    for (const client of clients) await client.end();
    const run = await patient.ended;
    expect(run.code, run.stderr).toBe(0);
  });
});

const canMount = process.platform === 'linux' && process.getuid?.() === 0 && tryMount();
if (!canMount) console.warn('SKIPPED: a full disk needs root and a small tmpfs (mount)');

function tryMount(): boolean {
  const path = mkdtempSync('/tmp/kasm-db-mount-');
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', path], { stdio: 'ignore' });
    execFileSync('umount', [path], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

describe.runIf(canMount)('a disk of 200 MB', () => {
  let disk = '';
  let server: RunningServer;
  beforeAll(async () => {
    disk = mkdtempSync('/tmp/kasm-db-disk-');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=200m', 'tmpfs', disk]);
    mkdirSync(join(disk, 'pg'));
    server = await startTestServer(DEFAULT_VERSION, join(disk, 'pg'), ['max_wal_size=32MB', 'min_wal_size=32MB']);
  });
  afterAll(async () => {
    await server?.stop();
    execFileSync('umount', [disk]);
    rmSync(disk, { recursive: true, force: true });
  });

  it('trap 33: full in mid-migration (53100) › exit 7 with a hint, nothing kept, and the rerun completes', async () => {
    // Unlogged, so that the table fills the disk and not the log of transactions.
    const fat = (rows: number) => ({
      ...ONE,
      '0002_fat.sql': `CREATE UNLOGGED TABLE fat AS SELECT repeat('x', 1000) || i AS t FROM generate_series(1, ${rows}) i;\n`,
    });
    const run = await cli(['migrate', '--json', '--migrations', folder(fat(400_000))], envOf(server));
    expect(run.code, run.stderr).toBe(7);
    expect(run.json().error).toMatchObject({ sqlstate: '53100', migration: '0002_fat', line: 1 });
    expect(run.json().error?.hint).toMatch(/disk/);
    expect(run.json().applied?.map(({ name }) => name)).toEqual(['0001_one']);
    const next = await cli(['migrate', '--json', '--migrations', folder(fat(1000))], envOf(server));
    expect(next.code, next.stderr).toBe(0);
    expect(next.json().applied?.map(({ name }) => name)).toEqual(['0002_fat']);
  });
});
