import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type * as library from '../../src/index.js';
import type { Result } from '../../src/output/result.js';
import { resultSchema } from '../../src/output/schema.js';
import { cli, folder, NODE_COMMAND, startCli } from '../support/cli.js';
import { createDatabase, type TestDatabase, waitFor } from '../support/database.js';
import { hasTerminal, onTerminal } from '../support/terminal.js';

const ROOT = join(import.meta.dirname, '..', '..');
const ESC = '\u001b';
const FILES = {
  '0001_users.sql': 'CREATE TABLE users (id int);',
  '0002_zones.sql': "CREATE TABLE zones (name text DEFAULT 'größe');\nSELECT pg_sleep(0.15);",
};
const dir = folder(FILES);
const MINE = ['--migrations', dir];

let empty: TestDatabase;
let done: TestDatabase;
beforeAll(async () => {
  [empty, done] = await Promise.all([createDatabase(), createDatabase()]);
  expect((await cli(['migrate', ...MINE], done.env)).code).toBe(0);
});

const broken = ['--migrations', folder({ '0001_a.sql': 'SELECT 1;\nSELECTT 2;' })];
const nobody = { POSTGRES_HOST: '127.0.0.1', POSTGRES_PORT: '1' };

/** Every command, ending well and ending badly. */
const RUNS: [name: string, args: string[], env: () => Record<string, string>, outcome: Result['outcome']][] = [
  ['migrate', ['migrate', ...MINE], () => done.env, 'ok'],
  ['migrate --dry-run', ['migrate', '--dry-run', ...MINE], () => empty.env, 'ok'],
  ['migrate, wrong SQL', ['migrate', ...broken], () => empty.env, 'failed'],
  [
    'migrate, changed files',
    ['migrate', '--migrations', folder({ ...FILES, '0001_users.sql': 'SELECT 1;' })],
    () => done.env,
    'integrity',
  ],
  ['check', ['check', ...MINE], () => done.env, 'ok'],
  ['check --wait', ['check', '--wait', '5s', ...MINE], () => done.env, 'ok'],
  ['--check', ['--check', ...MINE], () => done.env, 'ok'],
  ['check --wait, in vain', ['check', '--wait', '300ms', ...MINE], () => empty.env, 'pending'],
  ['status', ['status', ...MINE], () => done.env, 'ok'],
  ['status of an empty database', ['status', ...MINE], () => empty.env, 'ok'],
  ['status, no server', ['status', '--connect-timeout', '200ms'], () => nobody, 'unreachable'],
  ['plan', ['plan', ...MINE], () => empty.env, 'ok'],
  ['plan, nothing to do', ['plan', ...MINE], () => done.env, 'ok'],
  ['plan --sql', ['plan', '--sql', ...MINE], () => empty.env, 'ok'],
  ['plan, unknown --to', ['plan', '--to', 'x', ...MINE], () => empty.env, 'usage'],
  ['new', ['new', 'add_a', '--migrations', join(folder({}), 'new')], () => ({}), 'ok'],
  ['new, bad name', ['new', '?', '--migrations', folder({})], () => ({}), 'usage'],
  ['no command', [], () => ({}), 'usage'],
  ['an unknown command', ['migarte'], () => ({}), 'usage'],
  ['an unknown flag', ['migrate', '--nope'], () => ({}), 'usage'],
];

describe('output › --json', () => {
  it.each(RUNS)('%s: exactly one JSON object on stdout', async (_, args, env, outcome) => {
    // Also with a flag that would print more.
    const run = await cli([...args, '--json', '--verbose'], env());
    expect(run.stdout).toMatch(/^\{[^\n]*\}\n$/);
    const result = run.json();
    expect(result).toMatchObject({ outcome, exitCode: run.code });
    expect(result.error?.code).toBe(outcome === 'ok' ? undefined : outcome);
    expect(result.durationMs).toBeLessThan(run.ms);
    expect(run.stdout + run.stderr).not.toContain(ESC);
  });

  it('names the database, and how it was reached', async () => {
    const { database } = (await cli(['check', '--json', ...MINE], done.env)).json();
    expect(database).toEqual({
      host: '127.0.0.1',
      port: done.port,
      name: done.name,
      user: done.user,
      serverVersion: expect.stringMatching(/^16\.\d+$/),
      connection: 'direct',
    });
  });

  it('says what was done, and what is there', async () => {
    const db = await createDatabase();
    const zones = '0002_zones';
    const look = async (...args: string[]) => (await cli([...args, '--json', ...MINE], db.env)).json();
    expect(await look('plan')).toMatchObject({ target: zones, pending: ['0001_users', zones] });
    expect(await look('migrate', '--dry-run')).toMatchObject({
      target: zones,
      applied: [],
      pending: ['0001_users', zones],
    });
    expect(await look('migrate', '--to', '0001_users')).toMatchObject({
      target: '0001_users',
      current: '0001_users',
      applied: [{ name: '0001_users' }],
    });
    expect(await look('check')).toMatchObject({
      error: { message: expect.stringContaining('1 of 2 migrations is applied, 0002_zones is next') },
    });
    const { applied } = await look('migrate');
    expect(applied).toEqual([{ name: zones, ms: expect.any(Number) }]);
    expect(applied?.[0]?.ms).toBeGreaterThanOrEqual(150);
    expect(await look('check')).toMatchObject({ target: zones, current: zones });
    expect(await look('status')).toMatchObject({
      current: zones,
      applied: [{ name: '0001_users' }, { name: zones }],
      pending: [],
      unknown: [],
      changed: [],
      run: {
        phase: 'done',
        done: 1,
        total: 1,
        by: expect.stringMatching(/^kasm-db\/.* \(PID \d+ from 127\.0\.0\.1\)$/),
      },
    });
  });

  it('the schema that ships describes it', () => {
    const schema = JSON.parse(readFileSync(join(ROOT, 'dist/result.schema.json'), 'utf8'));
    expect(Object.keys(schema.properties).sort()).toEqual(Object.keys(resultSchema.shape).sort());
  });
});

describe('output › the next call', () => {
  it('has the flags that this one had, so that it works on the same database and the same files', async () => {
    const db = await createDatabase();
    const dir = folder({ '0001_a.sql': 'CREATE TABLE a (x int);', '0002_b.sql': 'CREATE TABLE b (x int);' });
    const { POSTGRES_HOST: host = '', POSTGRES_PORT: port = '', ...env } = db.env;
    const where = ['--host', host, '--port', port, '--migrations', dir];
    const flags = where.join(' ');
    const plan = await cli(['plan', '--to', '0001_a', ...where], env);
    expect(plan.stdout).toContain(`Next: kasm-db migrate --to 0001_a ${flags}\n`);
    expect((await cli(['status', ...where], env)).stdout).toContain(`Next: kasm-db migrate ${flags}\n`);
    expect((await cli(['check', '--json', ...where], env)).json().error?.hint).toContain(`kasm-db migrate ${flags}`);
    expect((await cli(['migrate', ...where], env)).code).toBe(0);
    expect((await cli(['verify', ...where], env)).stderr).toContain(
      `kasm-db capture --migrations ${dir} --out ${join(dir, 'schema.snapshot.json')} ${where.slice(0, 4).join(' ')}\n`,
    );
  });
});

describe('output › text', () => {
  it.each(RUNS)('%s: plain text on stdout when it ends well, else on stderr', async (_, args, env, outcome) => {
    const run = await cli(args, env());
    expect(run.stdout === '').toBe(outcome !== 'ok');
    expect(run.stderr.includes(`(${outcome})`)).toBe(outcome !== 'ok');
    expect(run.stdout + run.stderr).not.toContain(ESC);
    expect(run.stdout + run.stderr).not.toMatch(/undefined|\[object|NaN/);
  });

  it('migrate: a line for each migration as it goes, then a table', async () => {
    const db = await createDatabase();
    const run = await cli(['migrate', ...MINE], db.env);
    expect(run.stderr).toMatch(
      /^\S+ on \S+ as \S+\napplying 2 migrations to \S+ on \S+ as \S+\napplied 0001_users [\d.]+ m?s\napplied 0002_zones [\d.]+ m?s\n$/,
    );
    expect(run.stdout).toMatch(/^Applied 2 migrations to database db_\w+ in [\d.]+ m?s; it is now at 0002_zones\.\n$/);
    const again = await cli(['migrate', ...MINE], db.env);
    expect(again.stdout).toBe(`Nothing to do. Database ${db.name} is at 0002_zones (2 of 2 applied).\n`);
    expect(again.stderr).toMatch(/^\S+ on \S+ as \S+\n$/);
  });

  it('plan and --dry-run: what would be done, in order', async () => {
    const plan = await cli(['plan', ...MINE], empty.env);
    expect(plan.stdout).toBe(
      `MIGRATION   RUNS IN          LOCKS TABLES\n0001_users  one transaction  none that others use\n0002_zones  one transaction  none that others use\n\n2 migrations to apply. Next: kasm-db migrate ${MINE.join(' ')}\n`,
    );
    const dry = await cli(['migrate', '--dry-run', ...MINE], empty.env);
    expect(dry.stdout).toBe('Would apply, in this order:\n  0001_users\n  0002_zones\n');
    const sql = await cli(['plan', '--sql', ...MINE], empty.env);
    expect(sql.stdout).toBe(
      `${Object.entries(FILES)
        .map(([file, text]) => `-- ${join(dir, file)}\n${text}\n`)
        .join('\n')}\n`,
    );
    expect((await cli(['plan', ...MINE], done.env)).stdout).toBe('Nothing to do. The database is at 0002_zones.\n');
  });

  it('status: a table with the state of each, the last run, the lock, and what to do next', async () => {
    const more = folder({ ...FILES, '0003_more.sql': 'SELECT 1;' });
    const { stdout } = await cli(['status', '--migrations', more], done.env);
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(/^MIGRATION +STATE +APPLIED AT$/),
      expect.stringMatching(/^0001_users +applied +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/),
      expect.stringMatching(/^0002_zones +applied +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/),
      expect.stringMatching(/^0003_more +pending$/),
      '2 applied, 1 pending, 0 unknown, 0 changed.',
      expect.stringMatching(/^Last run: migrate done, 2 of 2 migrations; began at [\d-]+ [\d:]+ \(.*\), by kasm-db\//),
      'Migration lock: free.',
      `Next: kasm-db migrate --migrations ${more}`,
      '',
    ]);
  });

  it('status: where migrate would stop, what it would say to do', async () => {
    const foreign = await createDatabase();
    await foreign.query('CREATE TABLE users (id integer)');
    const { stdout } = await cli(['status', ...MINE], foreign.env);
    expect(stdout).toMatch(/\nwarning: schema public already has tables of Kasm \(users\)/);
    expect(stdout).toContain(
      `\nNext: if Kasm made this database: kasm-db adopt ${MINE.join(' ')}; else use an empty database\n`,
    );
  });

  it('check: one line', async () => {
    expect((await cli(['check', ...MINE], done.env)).stdout).toBe(
      'Ready. All 2 migrations that this build needs are applied.\n',
    );
  });

  it('--quiet: the result, and no progress', async () => {
    const db = await createDatabase();
    const run = await cli(['migrate', '--quiet', ...MINE], db.env);
    expect(run.stderr).toBe('');
    expect(run.stdout).toMatch(/^MIGRATION +TIME\n/);
    const failed = await cli(['migrate', '--quiet', ...broken], (await createDatabase()).env);
    expect(failed.stderr).toMatch(/^failed: 0001_a failed/);
  });

  it('--help and --version go to stdout and need nothing', async () => {
    const help = await cli(['--help']);
    expect(help).toMatchObject({ code: 0, stderr: '' });
    expect(help.stdout).toMatch(/^Usage: kasm-db \[options\] \[command\]\n(.*\n)*Exit codes: 0 ok, 1 internal/);
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    expect(await cli(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
    expect((await cli(['migrate', '--help'])).stdout).toContain('--dry-run');
  });

  it('words of the server that a terminal would obey are made harmless', async () => {
    const db = await createDatabase();
    const files = folder({ '0001_a.sql': `DO $$ BEGIN RAISE EXCEPTION '%', E'\\x1b]0;owned\\x07\\x1b[2J'; END $$;` });
    const run = await cli(['migrate', '--migrations', files], db.env);
    expect(run.code).toBe(7);
    expect(run.stderr).toContain(']0;owned');
    expect(run.stderr).not.toContain(ESC);
    const status = await cli(['status', '--migrations', files], db.env);
    expect(status.stdout).toContain(']0;owned');
    expect(status.stdout).not.toContain(ESC);
  });
});

describe.skipIf(!hasTerminal)('output › on a terminal', () => {
  it('a line names the migration that is being run and its time, and is written over', async () => {
    const slow = folder({ ...FILES, '0002_zones.sql': 'SELECT pg_sleep(1);' });
    const text = await onTerminal(['migrate', '--migrations', slow], (await createDatabase()).env);
    const times = [...text.matchAll(/\r\S+\[K0002_zones \(2 of 2\) \S+\[2m([\d.]+ m?s)/g)].map(([, time]) => time);
    expect(new Set(times).size, text).toBeGreaterThan(1);
    expect(text).toMatch(/MIGRATION +TIME/);
    expect(text).not.toContain(`${ESC}[32mapplied${ESC}[39m 0002_zones`);
    expect(text).toContain(`${ESC}[32mApplied 2 migrations${ESC}[39m`);
  });

  it.each([
    ['--no-color', ['--no-color'], {}],
    ['NO_COLOR', [], { NO_COLOR: '1' }],
  ])('without colours: %s', async (_, flags, env) => {
    const text = await onTerminal(['migrate', ...MINE, ...flags], { ...done.env, ...env });
    expect(text).toMatch(/^\S+ on 127\.0\.0\.1:\d+ as \S+\r?\nNothing to do\. Database/);
    expect(text).not.toContain(`${ESC}[`);
  });
});

describe('output › KASM_DB_TERMINATION_LOG', () => {
  const log = () => join(folder({ log: '' }), 'log');
  const read = (path: string) => resultSchema.parse(JSON.parse(readFileSync(path, 'utf8')));

  it.each(
    RUNS.filter(([name]) => /^(migrate|check|an unknown flag|status, no server)$/.test(name)),
  )('%s: gets the same JSON object, with and without --json', async (_, args, env, outcome) => {
    const [first, second] = [log(), log()];
    const run = await cli([...args, '--json'], { ...env(), KASM_DB_TERMINATION_LOG: first });
    expect(read(first)).toEqual(run.json());
    await cli(args, { ...env(), KASM_DB_TERMINATION_LOG: second });
    expect(read(second).outcome).toBe(outcome);
  });

  it('is cut to 4096 bytes and stays valid JSON, while stdout has it all', async () => {
    const path = log();
    const db = await createDatabase();
    // What a server says is cut anyway; names of files are not.
    const names = Array.from({ length: 300 }, (_, i) => `${String(i + 1).padStart(4, '0')}_${'a'.repeat(40)}`);
    const files = folder({
      ...Object.fromEntries(names.map((name) => [`${name}.sql`, 'SELECT 1;\n'])),
      '0301_a.sql': `DO $$ BEGIN RAISE EXCEPTION '%', repeat('größe€😀"', 5000) USING HINT = repeat('\\', 9999); END $$;`,
    });
    const run = await cli(['migrate', '--json', '--migrations', files], {
      ...db.env,
      KASM_DB_TERMINATION_LOG: path,
    });
    expect(run.stdout.length).toBeGreaterThan(8000);
    expect(run.json().applied).toHaveLength(300);
    expect(readFileSync(path).length).toBeLessThanOrEqual(4096);
    expect(read(path)).toMatchObject({
      outcome: 'failed',
      exitCode: 7,
      database: { name: db.name },
      error: { code: 'failed', sqlstate: 'P0001', migration: '0301_a', message: expect.stringMatching(/größe/) },
    });
  });

  it('a file that cannot be written is a warning and changes nothing else', async () => {
    const run = await cli(['check', '--json', ...MINE], { ...done.env, KASM_DB_TERMINATION_LOG: '/nowhere/log' });
    expect(run.json().outcome).toBe('ok');
    expect(run.code).toBe(0);
    expect(run.stderr).toMatch(/\nwarning: KASM_DB_TERMINATION_LOG: cannot write \/nowhere\/log \(ENOENT/);
  });
});

describe('output › a storm from the server leaves memory bounded and stdout one JSON object', () => {
  /** Highest resident memory of a process, in MB, as long as it was seen. */
  function watchMemory(pid: number): () => number {
    let peak = 0;
    const timer = setInterval(() => {
      try {
        const [, kB = 0] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
        peak = Math.max(peak, Number(kB) / 1024);
      } catch {
        clearInterval(timer);
      }
    }, 10);
    return () => {
      clearInterval(timer);
      return peak;
    };
  }

  it.each([
    [
      '100,000 notices of 1 kB',
      "DO $$ BEGIN FOR i IN 1..100000 LOOP RAISE NOTICE '% %', i, repeat('n', 1000); END LOOP; END $$;",
    ],
    ['300,000 rows of 1 kB', "SELECT i, repeat('n', 1000) FROM generate_series(1, 300000) i;"],
  ])('%s', async (_, sql) => {
    const db = await createDatabase();
    const files = folder({ '0001_storm.sql': sql });
    const running = startCli(['migrate', '--json', '--verbose', '--migrations', files], db.env);
    const peak = watchMemory(running.child.pid as number);
    const run = await running.ended;
    expect(run.json()).toMatchObject({ outcome: 'ok', applied: [{ name: '0001_storm' }] });
    expect(run.stdout).toMatch(/^\{[^\n]*\}\n$/);
    expect(run.stderr.split('\n').length).toBeLessThan(110);
    if (existsSync('/proc/self/status')) {
      expect(peak()).toBeGreaterThan(10);
      expect(peak()).toBeLessThan(250);
    }
  });
});

describe('output › a pipe', () => {
  const long = folder({ '0001_a.sql': `SELECT '${'x'.repeat(3_000_000)}';\n-- the end` });

  it('that is read slowly gets the whole of a long result', async () => {
    const { child, ended } = startCli(['plan', '--sql', '--migrations', long], empty.env);
    child.stdout?.pause();
    setTimeout(() => child.stdout?.resume(), 1000);
    const run = await ended;
    expect(run.code).toBe(0);
    expect(run.stdout).toMatch(/-- the end\n+$/);
  });

  it.each([
    ['a result', ['plan', '--sql', '--migrations', long]],
    ['help', ['--help']],
  ])('that nobody reads ends %s without a stack', async (what, args) => {
    const { child, ended } = startCli(args, empty.env);
    child.stdout?.destroy();
    expect((await ended).stderr).toMatch(what === 'help' ? /^$/ : /^\S+ on \S+ as \S+\n$/);
  });
});

describe('library', () => {
  const entry = join(ROOT, 'dist/index.mjs');
  const load = async () => (await import(entry)) as typeof library;
  const options = (db: TestDatabase, migrations = dir) => ({ env: db.env, migrations });

  it('prints nothing, ends nothing and throws nothing, whatever happens', async () => {
    const db = await createDatabase();
    const out = join(folder({}), 'results.json');
    const script = join(
      folder({
        'program.mjs': `
import { check, EXIT_CODES, migrate, plan, status } from ${JSON.stringify(entry)};
import { writeFileSync } from 'node:fs';
const good = { migrations: ${JSON.stringify(dir)} };
const noisy = { migrations: ${JSON.stringify(folder({ ...FILES, '0003_c.sql': "DO $$ BEGIN RAISE WARNING 'w'; END $$; SELECT 1 / 0;" }))} };
const results = [
  await plan(good), await check(good), await migrate(good), await migrate(good), await check(good), await status(good),
  await migrate(noisy), await migrate({ migrations: '/nowhere' }), await migrate({ ...good, port: 'x' }),
  await check({ ...good, env: {} }), await status({ ...good, port: '1', connectTimeout: '200ms' }),
];
writeFileSync(${JSON.stringify(out)}, JSON.stringify({ results, codes: EXIT_CODES, exitCode: process.exitCode ?? 0 }));
`,
      }),
      'program.mjs',
    );
    const child = spawn(process.execPath, [script], {
      env: { PATH: process.env.PATH ?? '', ...db.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let printed = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        printed += chunk;
      });
    }
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect(printed).toBe('');
    expect(code).toBe(0);
    const { results, codes, exitCode } = JSON.parse(readFileSync(out, 'utf8')) as {
      results: Result[];
      codes: Record<string, number>;
      exitCode: number;
    };
    expect(exitCode).toBe(0);
    for (const result of results) expect(codes[resultSchema.parse(result).outcome]).toBe(result.exitCode);
    expect(results.map(({ command, outcome }) => `${command} ${outcome}`)).toEqual([
      'plan ok',
      'check pending',
      'migrate ok',
      'migrate ok',
      'check ok',
      'status ok',
      'migrate failed',
      'migrate usage',
      'migrate usage',
      'check usage',
      'status unreachable',
    ]);
    expect(results[2]?.applied?.map((m) => m.name)).toEqual(['0001_users', '0002_zones']);
  });

  it('tells of its progress by events', async () => {
    const { migrate } = await load();
    const seen: string[] = [];
    const result = await migrate({
      ...options(await createDatabase()),
      events: {
        migrationStarted: (name, i, total) => seen.push(`${name} ${i + 1}/${total}`),
        migrationDone: (name) => seen.push(`${name} done`),
      },
    });
    expect(result.outcome).toBe('ok');
    expect(seen).toEqual(['0001_users 1/2', '0001_users done', '0002_zones 2/2', '0002_zones done']);
  });

  it('also runs a file that is split by the parser, which is loaded only then', async () => {
    const { migrate } = await load();
    const sql =
      '-- kasm-db: no-transaction\nCREATE TABLE a (id int);\nCREATE INDEX CONCURRENTLY kasm_db_a ON a (id);\n';
    const result = await migrate(options(await createDatabase(), folder({ '0001_a.sql': sql })));
    expect(result).toMatchObject({ outcome: 'ok', applied: [{ name: '0001_a' }] });
  });

  it('an AbortSignal cancels the statement, rolls back, and the answer is "interrupted"', async () => {
    const { migrate } = await load();
    const db = await createDatabase();
    const slow = folder({ '0001_slow.sql': 'CREATE TABLE slow ();\nSELECT pg_sleep(60);' });
    const controller = new AbortController();
    const running = migrate({ ...options(db, slow), signal: controller.signal });
    const sleeping =
      "SELECT FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()";
    await waitFor(() => db.superQuery(sleeping), 'the statement');
    controller.abort();
    const result = await running;
    // It would sleep for a minute.
    expect(await db.superQuery(sleeping)).toEqual([]);
    expect(await db.query("SELECT FROM pg_class WHERE relname = 'slow'")).toEqual([]);
    expect(result).toMatchObject({ outcome: 'interrupted', exitCode: 143, error: { code: 'interrupted' } });
  });

  it('a signal that was aborted before does nothing at all', async () => {
    const { check, migrate } = await load();
    const db = await createDatabase();
    for (const call of [migrate, check]) {
      expect((await call({ ...options(db), signal: AbortSignal.abort() })).outcome).toBe('interrupted');
    }
    expect(await db.query("SELECT to_regnamespace('kasm_db') AS history")).toEqual([{ history: null }]);
  });

  it('AbortSignal.timeout ends a check that waits, in a pause as between an answer and its pause', async () => {
    const { check } = await load();
    const outcomes = new Set<string>();
    for (let ms = 0; ms < 50; ms++) {
      const result = await check({ ...options(empty), wait: true, signal: AbortSignal.timeout(ms) });
      outcomes.add(result.outcome);
    }
    expect([...outcomes]).toEqual(['interrupted']);
  });

  it('takes its settings from options and env alone when env is given, and leaves process.env as it was', async () => {
    const { plan } = await load();
    const before = { ...process.env };
    const passfile = join(folder({}), 'pgpass');
    writeFileSync(passfile, `127.0.0.1:*:*:${done.user}:${done.password}\n`, { mode: 0o600 });
    const { POSTGRES_PASSWORD: _, ...env } = done.env;
    const result = await plan({ migrations: dir, env: { ...env, PGPASSFILE: passfile } });
    expect(result.outcome).toBe('ok');
    expect(process.env).toEqual(before);
  });
});

it.skipIf(process.env.KASM_DB_EXECUTABLE)(
  'Node › no thread compiles for Maglev, which could keep process.exit for ever (nodejs/node issue 54918)',
  async () => {
    const many = Array.from({ length: 400 }, (_, i) => [
      `${String(i + 1).padStart(4, '0')}_a.sql`,
      `CREATE TABLE t${i} (x int PRIMARY KEY);\n`.repeat(10),
    ]);
    const command = [process.execPath, '--trace-opt', NODE_COMMAND[1] as string];
    const args = ['lint', '--migrations', folder(Object.fromEntries(many))];
    const { stdout } = await startCli(args, {}, { command }).ended;
    // What is compiled while the program is still being loaded is long done at its end.
    const compiled = (target: string) => new RegExp(`<JSFunction (lintFile|locksOf|tablesIn)\\b.*target ${target}\\b`);
    expect(stdout).toMatch(compiled('TURBOFAN_JS'));
    expect(stdout).not.toMatch(compiled('MAGLEV'));
  },
);
