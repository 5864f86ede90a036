import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { resolveSettings } from '../../src/config/settings.js';
import { selectState } from '../../src/history/read-state.js';
import { Session } from '../../src/postgres/session.js';
import { migrate, startMigrate } from '../fixtures/kasm/observe.js';
import { type CliRun, cli, folder, type RunningCli } from '../support/cli.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { rounds } from '../support/rounds.js';

const MB = 1024 * 1024;
const number = (n: number) => String(n).padStart(4, '0');

/** Highest resident memory of a process so far, in MB; 0 where there is no /proc, or the process is gone. */
function peakOf(pid: number | undefined): number {
  try {
    return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

/** Memory that a server process has for itself: what it shares with the others (buffers) is not counted. */
function ownOf(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^RssAnon:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

/** Runs to the end; gives the peak memory of client and server process, in MB. */
async function watched(db: TestDatabase, run: RunningCli): Promise<{ end: CliRun; client: number; server: number }> {
  let client = 0;
  let server = 0;
  let pids: number[] = [];
  let turn = 0;
  const timer = setInterval(() => {
    client = Math.max(client, peakOf(run.child.pid));
    for (const pid of pids) server = Math.max(server, ownOf(pid));
    if (turn++ % 10 === 0)
      db.superQuery<{ pid: number }>(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'kasm-db/%'",
      ).then(
        (rows) => {
          pids = rows.map(({ pid }) => pid);
        },
        () => {},
      );
  }, 20);
  const end = await run.ended;
  clearInterval(timer);
  return { end, client: Math.round(client), server: Math.round(server) };
}

describe('limits', { timeout: 600_000 }, () => {
  it('a database of thousands of tables without a history: the locks on those that were looked into are given back', async () => {
    const db = await createDatabase();
    await db.query(
      'CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1); CREATE TABLE b (id int PRIMARY KEY)',
    );
    const signal = new AbortController().signal;
    const session = await Session.open({
      resolve: () => resolveSettings({}, db.env, { direct: true }),
      signal,
      events: {},
    });
    const { rows, locks } = await session.reading(async () => ({
      rows: (await selectState(session, { vendor: false })).rows,
      locks: await session.query(
        "SELECT relation::regclass FROM pg_locks WHERE relation IN ('public.a'::regclass, 'public.a_pkey'::regclass)",
      ),
    }));
    await session.end();
    expect(rows).toEqual({ filled: ['a'], unseen: [] });
    expect(locks).toEqual([]);
  });

  it('a migration of 50 MB (10 in npm test) is sent in pieces: client and server memory stay bounded', async () => {
    const size = rounds(10, 50);
    const db = await createDatabase();
    const line = `INSERT INTO big (x) VALUES ('${'x'.repeat(400)}');\n`;
    const count = Math.ceil((size * MB) / line.length);
    const small = await watched(
      db,
      startMigrate(db, folder({ '0001_big.sql': 'CREATE TABLE big (x text);\nSELECT pg_sleep(0.5);\n' })),
    );
    expect(small.end.code, small.end.stderr).toBe(0);
    const files = folder({
      '0001_big.sql': 'CREATE TABLE big (x text);\nSELECT pg_sleep(0.5);\n',
      '0002_rows.sql': line.repeat(count),
    });
    const { end, client, server } = await watched(db, startMigrate(db, files));
    expect(end.code, end.stderr).toBe(0);
    expect((await db.query('SELECT count(*)::int AS n FROM big'))[0]).toEqual({ n: count });
    console.log(
      `a migration of ${size} MB: client ${client} MB at its peak (a small one ${small.client} MB), server process ${server} MB (${small.server} MB)`,
    );
    // The server needs some 25 times a message's size; a message is 1 MB at most.
    expect(server).toBeGreaterThan(0);
    expect(server).toBeLessThan(25);
    // The file as bytes and as text, and what the garbage collector has not yet taken.
    expect(client).toBeLessThan(small.client + 100 + 6 * size);
  });

  it('a migration of 20,000 statements (5,000 in npm test)', async () => {
    const count = rounds(5000, 20_000);
    const db = await createDatabase();
    const statements = Array.from({ length: count }, (_, i) => `INSERT INTO many VALUES (${i});\n`).join('');
    const { end, client, server } = await watched(
      db,
      startMigrate(db, folder({ '0001_many.sql': `CREATE TABLE many (x integer);\n${statements}` })),
    );
    expect(end.code, end.stderr).toBe(0);
    expect((await db.query('SELECT count(*)::int AS n FROM many'))[0]).toEqual({ n: count });
    console.log(
      `a migration of ${count} statements: ${Math.round(end.ms)} ms, client ${client} MB, server process ${server} MB`,
    );
    expect(server).toBeLessThan(150);
  });

  it('5,000 applied migrations (500 in npm test): migrate, and check after it', async () => {
    const count = rounds(500, 5000);
    const db = await createDatabase();
    const files = folder(
      Object.fromEntries(
        Array.from({ length: count }, (_, i) => [`${number(i + 1)}_step.sql`, `SELECT ${i};\n`]).concat([
          [`${number(count + 1)}_last.sql`, 'CREATE TABLE last (x integer);\n'],
        ]),
      ),
    );
    const { end, client, server } = await watched(db, startMigrate(db, files));
    expect(end.code, end.stderr).toBe(0);
    expect(end.json().applied).toHaveLength(count + 1);
    const checked = await cli(['check', '--json', '--migrations', files], db.env);
    expect(checked.code, checked.stderr).toBe(0);
    expect((await cli(['status', '--migrations', files], db.env)).stdout.split('\n').length).toBeGreaterThan(count);
    console.log(
      `${count + 1} migrations: ${Math.round(end.ms)} ms, client ${client} MB, server process ${server} MB; check afterwards ${Math.round(checked.ms)} ms`,
    );
    expect(client).toBeLessThan(250);
    expect(server).toBeLessThan(100);
  });

  it('200 migrators at once on max_connections = 100 (24 on 4 in npm test): all exit 0, applied once', async () => {
    const runs = rounds(24, 200);
    const connections = rounds(4, 100);
    const db = await createDatabase();
    // The limit of the role is met as that of the server is: SQLSTATE 53300.
    await db.superQuery(`ALTER ROLE ${db.user} CONNECTION LIMIT ${connections}`);
    const files = folder({
      '0001_once.sql': 'CREATE TABLE once (x integer);\nINSERT INTO once VALUES (1);\n',
      '0002_again.sql': 'INSERT INTO once VALUES (2);\nSELECT pg_sleep(1);\n',
    });
    const all = await Promise.all(
      Array.from({ length: runs }, () => migrate(db, files, '--connect-timeout', '5m', '--lock-timeout', '8m')),
    );
    expect(all.map(({ code }) => code)).toEqual(all.map(() => 0));
    expect(
      all
        .flatMap((run) => run.json().applied ?? [])
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['0001_once', '0002_again']);
    expect(await db.query('SELECT x FROM once ORDER BY x')).toEqual([{ x: 1 }, { x: 2 }]);
    const crowded = all.filter(({ stderr }) => stderr.includes('53300')).length;
    console.log(
      `${runs} migrators on ${connections} connections: all exit 0, ${crowded} of them met "too many connections"`,
    );
  });
});
