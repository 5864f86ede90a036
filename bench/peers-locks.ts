// Issue 5, Show 7: the lock cases that migrators are known for, side by side with node-pg-migrate and graphile-migrate, each as it comes:
// default options, SQL of the same effect. Install the peers with: npm ci --prefix bench
// --write puts the table into docs/RELIABILITY.md, between its markers.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { embeddedBinaries, serverAccount } from '../src/embedded/binaries.js';
import { startServer } from '../src/embedded/server-process.js';
import { startTestServer } from '../test/support/server.js';
import { KASM_DB, ROOT } from './support.js';

/** One migration; `alone` cannot run in a transaction. */
interface Step {
  name: string;
  sql: string;
  alone?: boolean;
}

/** A migrator: writes its files, then is called with a database. */
interface Peer {
  name: string;
  installed: boolean;
  command(folder: string): string[];
  write(folder: string, steps: Step[]): void;
  env(url: string, database: string): Record<string, string>;
}

const bin = (name: string) => join(ROOT, 'bench/node_modules/.bin', name);
const versionOf = (name: string) => {
  const path = join(ROOT, 'bench/node_modules', name, 'package.json');
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')).version as string) : '';
};
const number = (i: number, digits: number) => String(i + 1).padStart(digits, '0');

const PEERS: Peer[] = [
  {
    name: 'kasm-db',
    installed: true,
    command: (folder) => [...KASM_DB, 'migrate', '--migrations', folder],
    write: (folder, steps) => {
      for (const [i, { name, sql, alone }] of steps.entries())
        writeFileSync(
          join(folder, `${number(i, 4)}_${name}.sql`),
          `${alone ? '-- kasm-db: no-transaction\n' : ''}${sql}\n`,
        );
    },
    env: (url) => ({ KASM_DB_URL: url }),
  },
  {
    name: `node-pg-migrate ${versionOf('node-pg-migrate')}`,
    installed: existsSync(bin('node-pg-migrate')),
    command: (folder) => [
      process.execPath,
      join(ROOT, 'bench/node_modules/node-pg-migrate/bin/node-pg-migrate.js'),
      'up',
      '-m',
      folder,
    ],
    write: (folder, steps) => {
      for (const [i, { name, sql, alone }] of steps.entries())
        writeFileSync(
          join(folder, `${1_700_000_000_000 + i}_${name}.cjs`),
          `exports.up = (pgm) => { ${alone ? 'pgm.noTransaction(); ' : ''}pgm.sql(${JSON.stringify(sql)}); };\nexports.down = false;\n`,
        );
    },
    env: (url) => ({ DATABASE_URL: url }),
  },
  {
    name: `graphile-migrate ${versionOf('graphile-migrate')}`,
    installed: existsSync(bin('graphile-migrate')),
    command: (folder) => [
      process.execPath,
      join(ROOT, 'bench/node_modules/graphile-migrate/dist/cli.js'),
      'migrate',
      '--config',
      join(folder, '.gmrc'),
    ],
    write: (folder, steps) => {
      const committed = join(folder, 'migrations/committed');
      mkdirSync(committed, { recursive: true });
      writeFileSync(join(folder, 'migrations/current.sql'), '');
      writeFileSync(join(folder, '.gmrc'), JSON.stringify({ migrationsFolder: join(folder, 'migrations') }));
      let previous = '';
      for (const [i, { name, sql, alone }] of steps.entries()) {
        const body = `${alone ? '--! no-transaction\n' : ''}${sql}`;
        // As it computes them itself (its src/hash.ts): what stands before the body, and the body.
        const hash = `sha1:${createHash('sha1')
          .update(`${`${previous}\n${body.trim()}`.trim()}\n`)
          .digest('hex')}`;
        writeFileSync(
          join(committed, `${number(i, 6)}-${name}.sql`),
          `--! Previous: ${previous || '-'}\n--! Hash: ${hash}\n--! Message: ${name}\n\n${body.trim()}\n`,
        );
        previous = hash;
      }
    },
    env: (url) => ({
      DATABASE_URL: url,
      SHADOW_DATABASE_URL: `${url}_shadow`,
      ROOT_DATABASE_URL: url.replace(/[^/]+$/, 'postgres'),
    }),
  },
];

const scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kasm-db-peers-'));
const first = await startTestServer(16, scratch);
const { port, password } = first.info;
let stopServer = first.stop;

/** Fast shutdown, as a rolling upgrade of the server does it, and up again. */
async function restart(): Promise<void> {
  await stopServer();
  const native = embeddedBinaries(serverAccount(), join(ROOT, 'test/.servers/package.json'), 'postgres-16');
  const server = await startServer(native, first.data, serverAccount(), [
    ...['-p', String(port), '-k', dirname(first.data)],
    ...['-c', 'fsync=off', '-c', 'listen_addresses=127.0.0.1', '-c', 'max_connections=200'],
  ]);
  stopServer = server.stop;
}

async function query<R extends pg.QueryResultRow>(database: string, sql: string): Promise<R[]> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', password, database, ssl: false });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query<R>(sql)).rows;
  } finally {
    await client.end();
  }
}

interface Runner {
  child: ChildProcess;
  ended: Promise<number | string>;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
let databases = 0;

/** A peer with its files and a database that holds what the cases need. */
async function prepare(peer: Peer, steps: Step[]) {
  const database = `peer_${databases++}`;
  await query('postgres', `CREATE DATABASE ${database}`);
  await query(
    database,
    'CREATE TABLE effects (step text); CREATE TABLE rows AS SELECT i FROM generate_series(1, 1000) i; CREATE SEQUENCE runs',
  );
  const folder = mkdtempSync(join(scratch, 'files-'));
  peer.write(folder, steps);
  // Peers find their packages beside their own program, not here.
  const [program, ...args] = peer.command(folder) as [string, ...string[]];
  const start = (): Runner => {
    const child = spawn(program, args, {
      cwd: folder,
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        ...peer.env(`postgres://postgres:${password}@127.0.0.1:${port}/${database}`, database),
      },
      stdio: ['ignore', 'ignore', process.env.PEERS_VERBOSE ? 'inherit' : 'ignore'],
    });
    const ended = new Promise<number | string>((resolve) =>
      child.on('close', (code, signal) => resolve(code ?? signal ?? '?')),
    );
    const cut = setTimeout(() => child.kill('SIGKILL'), 60_000);
    void ended.then(() => clearTimeout(cut));
    return { child, ended };
  };
  const inStatement = async (text: string) => {
    for (let i = 0; i < 400; i++) {
      const rows = await query(
        database,
        `SELECT FROM pg_stat_activity WHERE state = 'active' AND datname = current_database() AND query LIKE '%${text}%' AND pid <> pg_backend_pid()`,
      );
      if (rows.length > 0) return;
      await pause(50);
    }
    throw new Error(`${peer.name} never came to ${text}`);
  };
  const effects = async () =>
    (await query<{ n: number }>(database, 'SELECT count(*)::int AS n FROM effects'))[0]?.n ?? 0;
  const locks = async () =>
    (
      await query(
        database,
        `SELECT FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      )
    ).length;
  return { database, start, inStatement, effects, locks };
}

const once = (n: number) => (n === 1 ? 'applied once' : n === 0 ? 'not applied' : `APPLIED ${n} TIMES`);
const free = (n: number) => (n === 0 ? 'lock free' : 'LOCK HELD');
const SLEEP_S = 12;
/** Long in the first run only: what the rerun takes is not the question. */
const LONG = `INSERT INTO effects VALUES ('long'); SELECT pg_sleep(CASE WHEN nextval('runs') = 1 THEN ${SLEEP_S} ELSE 0 END);`;

const CASES: [name: string, run: (peer: Peer) => Promise<string>][] = [
  [
    'two runners and CREATE INDEX CONCURRENTLY',
    async (peer) => {
      const site = await prepare(peer, [
        { name: 'slow', sql: "INSERT INTO effects VALUES ('slow'); SELECT pg_sleep(8);" },
        { name: 'index', sql: 'CREATE INDEX CONCURRENTLY rows_i ON rows (i);', alone: true },
      ]);
      const a = site.start();
      await site.inStatement('pg_sleep');
      const b = site.start();
      const codes = await Promise.all([a.ended, b.ended]);
      const [index] = await query<{ valid: boolean }>(
        site.database,
        "SELECT indisvalid AS valid FROM pg_index WHERE indexrelid = to_regclass('rows_i')",
      );
      return `exit ${codes.join(' and ')}; ${once(await site.effects())}; index ${index ? (index.valid ? 'valid' : 'INVALID') : 'missing'}; ${free(await site.locks())}`;
    },
  ],
  [
    `kill -9 in a statement of ${SLEEP_S} s`,
    async (peer) => {
      const site = await prepare(peer, [{ name: 'long', sql: LONG }]);
      const a = site.start();
      await site.inStatement('pg_sleep');
      a.child.kill('SIGKILL');
      await a.ended;
      const killed = performance.now();
      const rerun = await site.start().ended;
      const atOnce = rerun === 0 ? 'the rerun at once succeeds' : `the rerun at once fails (exit ${rerun})`;
      while ((await site.locks()) > 0) await pause(50);
      const freed = ((performance.now() - killed) / 1000).toFixed(0);
      if (rerun !== 0) await site.start().ended;
      return `${atOnce}; lock free ${rerun === 0 ? 'within' : 'after'} ${freed} s; ${once(await site.effects())}`;
    },
  ],
  [
    'server restart in mid-run',
    async (peer) => {
      const site = await prepare(peer, [{ name: 'long', sql: LONG }]);
      const a = site.start();
      await site.inStatement('pg_sleep');
      await restart();
      const code = await a.ended;
      const rerun = await site.start().ended;
      return `exit ${code}; the rerun: exit ${rerun}, ${once(await site.effects())}; ${free(await site.locks())}`;
    },
  ],
  [
    '16 first starts at once',
    async (peer) => {
      const site = await prepare(peer, [{ name: 'first', sql: "INSERT INTO effects VALUES ('first');" }]);
      const codes = await Promise.all(Array.from({ length: 16 }, () => site.start().ended));
      const ok = codes.filter((code) => code === 0).length;
      return `${ok} of 16 exit 0; ${once(await site.effects())}; ${free(await site.locks())}`;
    },
  ],
];

try {
  for (const peer of PEERS.filter(({ installed }) => !installed))
    console.log(`SKIPPED: ${peer.name} is not installed; npm ci --prefix bench`);
  const peers = PEERS.filter(({ installed }) => installed);
  const lines = [
    `| case | ${peers.map(({ name }) => name).join(' | ')} |`,
    `|---|${peers.map(() => '---').join('|')}|`,
  ];
  const only = process.env.PEERS_ONLY;
  for (const [name, run] of CASES.filter(([title]) => !only || title.includes(only))) {
    const cells: string[] = [];
    for (const peer of peers) cells.push(await run(peer).catch((error) => `not measured: ${error.message}`));
    lines.push(`| ${name} | ${cells.join(' | ')} |`);
    console.log(lines.at(-1));
  }
  const text = lines.join('\n');
  console.log(`\n${text}`);
  if (process.argv.includes('--write')) {
    const path = join(ROOT, 'docs/RELIABILITY.md');
    const page = readFileSync(path, 'utf8');
    writeFileSync(
      path,
      page.replace(/(<!-- peers -->\n)[\s\S]*(<!-- \/peers -->)/, (_, begin, end) => `${begin}${text}\n${end}`),
    );
  }
} finally {
  await stopServer();
  rmSync(scratch, { recursive: true, force: true });
}
