import { chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { EXIT_CODES, type FailureOutcome } from '../../src/app/errors.js';
import { embeddedBinaries, serverAccount } from '../../src/embedded/binaries.js';
import { startServer } from '../../src/embedded/server-process.js';
import type { ErrorInfo, Result } from '../../src/output/result.js';
import { cli, folder, startCli } from '../support/cli.js';
import { createDatabase, DEFAULT_VERSION, type TestDatabase, waitFor } from '../support/database.js';
import { SECRET_MARK } from '../support/folder-setup.js';
import { NEWEST } from '../support/release.js';
import { freePort, startTestServer } from '../support/server.js';
import { busy } from '../support/time.js';

let db: TestDatabase;
beforeAll(async () => {
  db = await createDatabase();
});

/** Fails in the same way for a person and for a program; gives what the program reads. */
async function refused(
  args: string[],
  env: Record<string, string>,
  outcome: FailureOutcome,
): Promise<Result & { error: ErrorInfo }> {
  const [text, json] = await Promise.all([cli(args, env), cli([...args, '--json'], env)]);
  const result = json.json();
  expect(result).toMatchObject({ outcome, exitCode: EXIT_CODES[outcome], error: { code: outcome } });
  const error = result.error as ErrorInfo;
  expect(error.message).not.toBe('');
  expect([text.code, json.code]).toEqual([EXIT_CODES[outcome], EXIT_CODES[outcome]]);
  expect(text.stdout).toBe('');
  for (const stderr of [text.stderr, json.stderr]) {
    expect(stderr).toContain(`${outcome}: `);
    expect(stderr).toContain(`exit code ${EXIT_CODES[outcome]} (${outcome})`);
    if (error.hint) expect(stderr).toContain('next: ');
    expect(stderr).not.toMatch(/^ +at /m);
  }
  return { ...result, error };
}

const QUICK = ['--connect-timeout', `${busy(500)}ms`];
const one = { '0001_a.sql': 'CREATE TABLE a (id int);' };

/** No table, no history: as if nobody had been here. */
async function untouched(database: TestDatabase): Promise<void> {
  expect(
    await database.query(
      "SELECT FROM pg_class WHERE relnamespace = to_regnamespace('kasm_db') OR relname IN ('a', 'b')",
    ),
  ).toEqual([]);
}

describe('bad input › no settings', () => {
  it.each(['migrate', 'check', 'status', 'plan'])('%s names what to set', async (command) => {
    const { error, database } = await refused([command], {}, 'usage');
    expect(error.message).toBe('no database is given');
    expect(error.hint).toMatch(/KASM_DB_URL.*POSTGRES_HOST.*--host.*--embedded/);
    expect(database).toBeUndefined();
  });
});

describe('bad input › a wrong connection', () => {
  it('host', async () => {
    const { error, database } = await refused(['plan', ...QUICK, '--host', 'nowhere.invalid'], db.env, 'unreachable');
    expect(error.message).toMatch(/the host name "nowhere\.invalid" is not found in DNS/);
    expect(error.hint).toContain('POSTGRES_HOST');
    expect(database).toMatchObject({ host: 'nowhere.invalid', name: db.name, user: db.user });
  });

  it('a host that answers nothing, within --connect-timeout', async () => {
    const silent = createServer(() => {});
    const port = await listen(silent);
    const { error, durationMs } = await refused(
      ['plan', ...QUICK],
      { ...db.env, POSTGRES_PORT: String(port) },
      'unreachable',
    );
    expect(error.message).toBe(`127.0.0.1:${port} did not answer in time`);
    expect(durationMs).toBeLessThan(busy(5000));
    silent.close();
  });

  it('port', async () => {
    const port = await freePort();
    const { error } = await refused(['plan', ...QUICK, '--port', String(port)], db.env, 'unreachable');
    expect(error.message).toBe(`127.0.0.1:${port} refuses connections (ECONNREFUSED)`);
    expect(error.hint).toContain('POSTGRES_PORT');
  });

  it.each([
    ...[
      'POSTGRES_PORT',
      'PGHOSTADDR',
      'PGSSLMODE',
      'PGSERVICE',
      'PGCONNECT_TIMEOUT',
      'PGREQUIREAUTH',
      'KASM_DB_MIGRATIONS',
    ],
    ...['KASM_DB_ROLE', 'PGAPPNAME', 'PGSSLROOTCERT', 'KASM_DB_REDIS_SENTINELS', 'KASM_DB_TERMINATION_LOG'],
  ])('a URL in %s by mistake: its password is not shown', async (name) => {
    const env = {
      POSTGRES_HOST: '127.0.0.1',
      POSTGRES_PORT: '1',
      POSTGRES_USER: 'x',
      [name]: `postgres://u:${SECRET_MARK}@h/d`,
    };
    for (const args of [['check', '--json'], ['doctor']]) {
      const run = await cli([...args, '--connect-timeout', '100ms'], env);
      expect(run.code).toBeGreaterThan(1);
      expect(`${run.stdout}${run.stderr}`).not.toContain(SECRET_MARK);
    }
  });

  it.each(['0', '65536', 'x'])('port %j', async (port) => {
    const { error } = await refused(['plan', '--port', port], db.env, 'usage');
    expect(error.message).toBe(`port "${port}" (--port) is not a number from 1 to 65535`);
  });

  it('password, without trying again and without repeating it', async () => {
    const { error, durationMs } = await refused(
      ['plan'],
      { ...db.env, POSTGRES_PASSWORD: 's3cr3t-wrong' },
      'unreachable',
    );
    expect(error).toMatchObject({
      sqlstate: '28P01',
      message: expect.stringContaining(`refuses the login of "${db.user}"`),
    });
    expect(error.hint).toContain('POSTGRES_PASSWORD_FILE');
    // The default --connect-timeout.
    expect(durationMs).toBeLessThan(10_000);
  });

  it('no password', async () => {
    const { POSTGRES_PASSWORD: _, ...env } = db.env;
    const { error } = await refused(['plan'], { ...env, PGPASSFILE: '/nowhere' }, 'unreachable');
    expect(error.message).toBe(`127.0.0.1:${db.port} asks for a password, and none is set`);
  });

  it('user', async () => {
    const { error } = await refused(['plan', '--user', 'nobody_here'], db.env, 'unreachable');
    expect(error).toMatchObject({ sqlstate: '28P01', message: expect.stringContaining('"nobody_here"') });
  });

  it('database', async () => {
    const { error } = await refused(['plan', '--dbname', 'not_there'], db.env, 'unreachable');
    expect(error).toMatchObject({ sqlstate: '3D000', message: expect.stringContaining('has no database "not_there"') });
    expect(error.hint).toMatch(/POSTGRES_DB.*CREATE DATABASE/);
  });

  it('sslmode', async () => {
    const { error } = await refused(['plan', '--sslmode', 'on'], db.env, 'usage');
    expect(error.message).toBe('sslmode "on" (--sslmode) is unknown');
    expect(error.hint).toContain('verify-full');
  });

  it('TLS asked of a server that has none', async () => {
    const { error } = await refused(['plan', '--sslmode', 'require'], db.env, 'unreachable');
    expect(error.message).toMatch(/^TLS with 127\.0\.0\.1:\d+ failed \(sslmode=require\): .*does not support SSL/);
  });

  it('verification asked without a root certificate', async () => {
    const env = { ...db.env, HOME: folder({}) };
    expect((await refused(['plan', '--sslmode', 'verify-full'], env, 'usage')).error.hint).toContain('PGSSLROOTCERT');
    const wrong = { ...env, PGSSLROOTCERT: '/nowhere/ca.crt' };
    const { error } = await refused(['plan', '--sslmode', 'verify-full'], wrong, 'usage');
    expect(error.message).toMatch(/sslrootcert: cannot use \/nowhere\/ca\.crt/);
  });

  it('a URL that is none', async () => {
    const { error } = await refused(['plan', '--url', 'mysql://db/kasm'], {}, 'usage');
    expect(error.message).toBe('--url is not a PostgreSQL URL');
  });

  it('a secret file that is not there', async () => {
    const { POSTGRES_PASSWORD: _, ...env } = db.env;
    const { error } = await refused(['plan'], { ...env, POSTGRES_PASSWORD_FILE: '/nowhere/password' }, 'usage');
    expect(error.message).toMatch(/^POSTGRES_PASSWORD_FILE: cannot read \/nowhere\/password/);
  });
});

describe('bad input › a secret in the wrong place is refused without being repeated', () => {
  // Not the tests' own secret mark: these runs show by themselves whether it stands in the output.
  const secret = 'Tr0ub4dor';
  it.each<[string, string[], Record<string, string>]>([
    ['--url', ['plan', '--url', `postgres://app:${secret}@127.0.0.1:1/kasm`], {}],
    ['--url before a wrong flag', ['--url', `postgres://app:${secret}@127.0.0.1:1/kasm`, 'plan', '--nope'], {}],
    ['--direct-url', ['migrate', '--direct-url', `postgres://app:${secret}@127.0.0.1:1/kasm`], {}],
    ['a URL as argument', ['migrate', `postgres://app:${secret}@127.0.0.1:1/kasm`], {}],
    ['a URL as command', [`postgres://app:${secret}@127.0.0.1:1/kasm`], {}],
    ['an invented --password', ['migrate', `--password=${secret}`], {}],
    ['NAME and NAME_FILE', ['plan'], { POSTGRES_HOST: 'db', POSTGRES_PASSWORD: secret, POSTGRES_PASSWORD_FILE: '/x' }],
    ['an @ that is not percent-encoded', ['plan'], { KASM_DB_URL: `postgres://app:a@${secret}@127.0.0.1:1/kasm` }],
    ['a half percent-encoding', ['plan'], { KASM_DB_URL: `postgres://app:${secret}%@127.0.0.1:1/kasm` }],
  ])('%s', async (_, args, env) => {
    const runs = await Promise.all([cli(args, env), cli([...args, '--json'], env)]);
    for (const { code, stdout, stderr } of runs) {
      expect(stdout + stderr).not.toContain(secret);
      expect(code).toBe(2);
    }
  });
});

describe('bad input › the command line', () => {
  it.each([
    [['migrate', '--nope'], /unknown option '--nope'/],
    [['migarte'], /unknown command 'migarte'/],
    [[], /no command is given/],
    [['migrate', 'extra'], /too many arguments/],
    [['new'], /missing required argument 'name'/],
    [['migrate', '--to'], /option '--to <name>' argument missing/],
    [['migrate', '--lock-timeout', '5'], /--lock-timeout: "5" is not a duration/],
    [['migrate', '--lock-timeout', 'soon'], /--lock-timeout: "soon" is not a duration/],
    [['plan', '--connect-timeout', '-1s'], /--connect-timeout: "-1s" is not a duration/],
    [['check', '--wait', 'long'], /--wait: "long" is not a duration/],
  ])('%j', async (args, message) => {
    const { error } = await refused(args, { POSTGRES_HOST: '127.0.0.1', POSTGRES_PORT: '1' }, 'usage');
    expect(error.message).toMatch(message);
  });

  it('a slip is answered with what was meant', async () => {
    expect((await refused(['migrate', '--dryrun'], {}, 'usage')).error.message).toContain('--dry-run');
  });

  it('the command of a wrong call is named, not the value of a flag', async () => {
    expect(await refused(['--host', 'db', 'migrate', '--nope'], {}, 'usage')).toMatchObject({ command: 'migrate' });
  });

  it('unknown --to', async () => {
    for (const command of ['migrate', 'plan']) {
      const { error } = await refused([command, '--to', '0099_nowhere'], db.env, 'usage');
      expect(error.message).toBe('--to: there is no migration "0099_nowhere"');
      expect(error.hint).toContain(`the newest is ${NEWEST}`);
    }
    await untouched(db);
  });
});

describe('bad input › migration files are refused before anything runs', () => {
  it.each<[string, Record<string, string | Buffer>, RegExp, Partial<ErrorInfo>]>([
    ['an empty folder', {}, /holds no migration/, {}],
    [
      'two files with one number',
      { ...one, '0001_b.sql': 'SELECT 1;' },
      /0001_a\.sql and .*0001_b\.sql have the same number/,
      {},
    ],
    ['a name that does not fit', { ...one, '2_b.sql': 'SELECT 1;' }, /2_b\.sql: the name does not fit/, {}],
    ['not UTF-8', { ...one, '0002_b.sql': Buffer.from("SELECT 'gr\xfcn';", 'latin1') }, /0002_b\.sql is not UTF-8/, {}],
    ['NUL', { ...one, '0002_b.sql': 'SELECT 1;\n\0' }, /0002_b\.sql holds a NUL byte/, { line: 2 }],
    ['an empty file', { ...one, '0002_b.sql': '\n' }, /0002_b\.sql is empty/, {}],
    ['a folder instead of a file', { ...one, '0002_b.sql/x': '' }, /cannot read .*0002_b\.sql/, {}],
    [
      'an unknown directive',
      { ...one, '0002_b.sql': '\n-- kasm-db: fast\nSELECT 1;' },
      /0002_b\.sql:2: unknown directive "fast"/,
      { line: 2, migration: '0002_b' },
    ],
    [
      'COMMIT inside',
      { ...one, '0002_b.sql': 'CREATE TABLE b ();\nCOMMIT;\n' },
      /0002_b\.sql:2: COMMIT may not stand inside a migration/,
      { line: 2, migration: '0002_b', statement: 'COMMIT' },
    ],
  ])('trap 28: %s', async (_, files, message, details) => {
    const { error } = await refused(['migrate', '--migrations', folder(files)], db.env, 'usage');
    expect(error.message).toMatch(message);
    expect(error).toMatchObject(details);
    await untouched(db);
  });

  it.each(['/nowhere', '/dev/null'])('the folder %s', async (path) => {
    const { error } = await refused(['migrate', '--migrations', path], db.env, 'usage');
    expect(error.message).toContain(`cannot read the migrations folder ${path} (`);
  });
});

describe('bad input › SQL that the server refuses', () => {
  const good = Object.fromEntries(
    [1, 2, 3, 4, 5, 6, 8].map((n) => [`000${n}_t${n}.sql`, `CREATE TABLE t${n} (id int);`]),
  );
  const tables = async (database: TestDatabase) =>
    (
      await database.query<{ relname: string }>(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1",
      )
    ).map((row) => row.relname);
  const applied = async (database: TestDatabase) =>
    (await database.query<{ name: string }>('SELECT name FROM kasm_db.migrations ORDER BY 1')).map((row) => row.name);

  it('a syntax error in the middle of file 7: 1 to 6 stay, nothing of 7, and after the fix the rest is applied', async () => {
    const database = await createDatabase();
    const broken =
      '-- Größe 😀.\nCREATE TABLE t7 (id int);\n\nCREATE TABLE t7b (\n  id int,\n  größe text NOTT NULL\n);\n\nCREATE TABLE t7c ();\n';
    const dir = folder({ ...good, '0007_t7.sql': broken });
    const run = await cli(['migrate', '--json', '--migrations', dir], database.env);
    expect(run.code).toBe(7);
    expect(run.json()).toMatchObject({
      outcome: 'failed',
      error: {
        code: 'failed',
        migration: '0007_t7',
        file: join(dir, '0007_t7.sql'),
        line: 6,
        statement: 'CREATE TABLE t7b (\n  id int,\n  größe text NOTT NULL\n)',
        sqlstate: '42601',
        message: expect.stringMatching(/0007_t7\.sql:6, nothing of it was kept: .*"NOTT".*\(SQLSTATE 42601\)/),
      },
    });
    expect(run.stderr).toMatch(/applied 0006_t6 .*\n(.*\n)*failed: 0007_t7 failed/);
    expect(run.stderr).toMatch(/^ {2}\| {3}größe text NOTT NULL$/m);
    expect(await tables(database)).toEqual(['t1', 't2', 't3', 't4', 't5', 't6']);
    expect(await applied(database)).toEqual(
      Object.keys(good)
        .slice(0, 6)
        .map((file) => file.slice(0, -4)),
    );

    writeFileSync(join(dir, '0007_t7.sql'), broken.replace('NOTT', 'NOT'));
    const again = await cli(['migrate', '--json', '--migrations', dir], database.env);
    expect(again.json()).toMatchObject({ outcome: 'ok', applied: [{ name: '0007_t7' }, { name: '0008_t8' }] });
    expect(await tables(database)).toEqual(['t1', 't2', 't3', 't4', 't5', 't6', 't7', 't7b', 't7c', 't8']);
  });

  it('check and status say where the last run failed', async () => {
    const database = await createDatabase();
    const dir = folder({ ...good, '0007_t7.sql': 'SELECT 1;\nSELECTT 2;\n' });
    expect((await cli(['migrate', '--migrations', dir], database.env)).code).toBe(7);
    const check = (await cli(['check', '--json', '--migrations', dir], database.env)).json();
    expect(check).toMatchObject({
      outcome: 'pending',
      error: { message: expect.stringContaining('failed at 0007_t7:') },
    });
    const status = (await cli(['status', '--json', '--migrations', dir], database.env)).json();
    expect(status.run).toMatchObject({ phase: 'failed', current: '0007_t7', done: 6, total: 8 });
    expect(status.run?.error).toContain('SQLSTATE 42601');
  });

  it.each([
    [
      'without a position',
      '-- one\nCREATE TABLE a (id int);\nINSERT INTO a SELECT 1;\n\n  INSERT INTO a\n  VALUES ((SELECT 1 / (id - 1) FROM a));\nINSERT INTO a VALUES (3);',
      '22012',
      5,
      'INSERT INTO a\n  VALUES ((SELECT 1 / (id - 1) FROM a))',
    ],
    [
      'with a position',
      'CREATE TABLE a (id int);\nSELECT 1;\nINSERT INTO a\nVALUES (\n  nowhere.b);\n',
      '42P01',
      5,
      'INSERT INTO a\nVALUES (\n  nowhere.b)',
    ],
    [
      'raised in a function',
      "CREATE TABLE a ();\nSELECT ';';\nDO $$ BEGIN\n  RAISE EXCEPTION 'no';\nEND $$;\n",
      'P0001',
      // The line of the block that the server tells.
      4,
      "DO $$ BEGIN\n  RAISE EXCEPTION 'no';\nEND $$",
    ],
    [
      'a constraint, whose DETAIL with the row is not shown',
      "CREATE TABLE a (p text UNIQUE);\nINSERT INTO a VALUES ('Tr0ub4dor');\nINSERT INTO a SELECT p FROM a;\n",
      '23505',
      3,
      'INSERT INTO a SELECT p FROM a',
    ],
    [
      'a deferred constraint, at COMMIT',
      'CREATE TABLE a (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO a VALUES (1), (1);\nSELECT 1;',
      '23505',
      undefined,
      undefined,
    ],
  ])('a runtime error in the third statement, %s', async (_, sql, sqlstate, line, statement) => {
    const { error } = await refused(['migrate', '--migrations', folder({ '0001_a.sql': sql })], db.env, 'failed');
    expect(error).toMatchObject({
      sqlstate,
      migration: '0001_a',
      message: expect.stringContaining('nothing of it was kept'),
    });
    expect({ line: error.line, statement: error.statement }).toEqual({ line, statement });
    expect(error.message).not.toContain('Tr0ub4dor');
    expect(await db.query("SELECT FROM pg_class WHERE relname = 'a'")).toEqual([]);
  });

  it('the line is right in a file larger than one message, 1 MB, too', async () => {
    const filler = `INSERT INTO a VALUES ('${'x'.repeat(980)}');\n`.repeat(1500);
    const sql = `CREATE TABLE a (t text);\n${filler}SELECT 1 / 0;\n${filler}`;
    const { error } = await refused(['migrate', '--migrations', folder({ '0001_a.sql': sql })], db.env, 'failed');
    expect(error).toMatchObject({ sqlstate: '22012', line: 1502, statement: 'SELECT 1 / 0' });
    expect(await db.query("SELECT FROM pg_class WHERE relname = 'a'")).toEqual([]);
  });

  it("a full disk (53100): the server's words, and what to do", async () => {
    const sql = `DO $$ BEGIN RAISE EXCEPTION 'could not extend file "base/1/2": No space left on device' USING ERRCODE = '53100'; END $$;`;
    const { error } = await refused(['migrate', '--migrations', folder({ '0001_a.sql': sql })], db.env, 'failed');
    expect(error).toMatchObject({
      sqlstate: '53100',
      message: expect.stringContaining('No space left on device'),
      hint: 'the server has no disk space left; free some and run the command again',
    });
  });

  it("the server's own hint is passed on", async () => {
    const sql = `DO $$ BEGIN RAISE EXCEPTION 'no' USING HINT = 'Ask the admin.'; END $$;`;
    const { error } = await refused(['migrate', '--migrations', folder({ '0001_a.sql': sql })], db.env, 'failed');
    expect(error.hint).toContain('Ask the admin.');
  });
});

describe('bad input › a server that takes no connection just now', () => {
  it('connection limit (53300): tried again within --connect-timeout, then unreachable', async () => {
    const database = await createDatabase();
    await database.superQuery(`ALTER ROLE ${database.user} CONNECTION LIMIT 0`);
    const { error } = await refused(['plan', ...QUICK], database.env, 'unreachable');
    expect(error).toMatchObject({ sqlstate: '53300', message: expect.stringContaining('has no connection left') });
    expect(error.hint).toContain('CONNECTION LIMIT');

    const waiting = startCli(['plan', '--json', '--connect-timeout', '10m'], database.env);
    await waitFor(async () => (waiting.stderr().includes('has no connection left') ? [1] : []), 'the first refusal');
    await database.superQuery(`ALTER ROLE ${database.user} CONNECTION LIMIT -1`);
    expect(await waiting.ended).toMatchObject({ code: 0 });
  });

  it('starting up (57P03): tried again within --connect-timeout, then unreachable', async () => {
    let logins = 0;
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (message) => {
        if (message.length < 8) return;
        if (message.readInt32BE(4) === SSL_REQUEST) socket.write('N');
        else {
          logins++;
          socket.end(errorResponse({ S: 'FATAL', V: 'FATAL', C: '57P03', M: 'das Datenbanksystem startet' }));
        }
      });
    });
    const port = await listen(server);
    const { error } = await refused(
      ['check', '--connect-timeout', '1s'],
      { ...db.env, POSTGRES_PORT: String(port) },
      'unreachable',
    );
    expect(error).toMatchObject({
      sqlstate: '57P03',
      message: expect.stringMatching(/is starting up or shutting down: das Datenbanksystem startet/),
    });
    expect(logins).toBeGreaterThan(2);
    server.close();
  });

  it('a real server in recovery: the command waits for it and succeeds', async () => {
    const server = await startInRecovery();
    try {
      const early = await cli(['plan', '--json', ...QUICK], server.env);
      expect(early.json()).toMatchObject({ exitCode: 4, error: { sqlstate: '57P03' } });
      const args = ['migrate', '--json', '--migrations', folder(one), '--connect-timeout', '10m'];
      const run = startCli(args, server.env);
      await waitFor(async () => (run.stderr().includes('is starting up') ? [1] : []), 'the first refusal');
      server.finishRecovery();
      expect((await run.ended).json()).toMatchObject({ outcome: 'ok', applied: [{ name: '0001_a' }] });
    } finally {
      await server.stop();
    }
  });
});

/** A server whose recovery waits for us: its restore_command doesn't end before a file is there. */
async function startInRecovery() {
  const scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kasm-db-test-'));
  const { info, data, stop } = await startTestServer(DEFAULT_VERSION, scratch);
  await stop();
  const account = serverAccount();
  writeFileSync(join(data, 'recovery.signal'), '');
  if (account) chownSync(join(data, 'recovery.signal'), account.uid, account.gid);
  const servers = join(import.meta.dirname, '../.servers/package.json');
  const native = embeddedBinaries(account, servers, `postgres-${DEFAULT_VERSION}`);
  const go = join(scratch, 'go');
  const restore = `restore_command=while [ ! -e ${go} ]; do sleep 0.05; done; false`;
  const settings = [
    '-p',
    String(info.port),
    '-k',
    info.sockets,
    '-c',
    'hot_standby=off',
    '-c',
    'fsync=off',
    '-c',
    restore,
  ];
  const started = startServer(native, data, account, settings);
  const finishRecovery = () => writeFileSync(go, '');
  return {
    env: {
      POSTGRES_HOST: '127.0.0.1',
      POSTGRES_PORT: String(info.port),
      POSTGRES_DB: 'postgres',
      POSTGRES_USER: 'postgres',
      POSTGRES_PASSWORD: info.password,
    },
    finishRecovery,
    stop: async () => {
      finishRecovery();
      await (await started).stop();
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}

const SSL_REQUEST = 80877103;

/** An ErrorResponse of the protocol (PostgreSQL manual, 55.7). */
function errorResponse(fields: Record<string, string>): Buffer {
  const body = Buffer.from(
    `${Object.entries(fields)
      .map(([key, value]) => `${key}${value}\0`)
      .join('')}\0`,
  );
  const head = Buffer.alloc(5);
  head.write('E');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
  );
}
