import { chmodSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { KasmDbError } from '../../src/app/errors.js';
import type { ConnectionFlags } from '../../src/config/places.js';
import { resolveSettings } from '../../src/config/settings.js';
import { connect } from '../../src/postgres/connect.js';
import { disconnect } from '../../src/postgres/query.js';
import { folder, startCli } from '../support/cli.js';
import { createDatabase, DEFAULT_VERSION, type TestDatabase, waitFor } from '../support/database.js';
import { SECRET_MARK } from '../support/global-setup.js';
import { ONE } from '../support/migrations.js';
import { freePort } from '../support/server.js';

let db: TestDatabase;
const home = process.env.HOME;

beforeAll(async () => {
  db = await createDatabase();
  process.env.HOME = folder({});
});
afterAll(() => {
  process.env.HOME = home;
});

/** Logs in, in this process; the host and port that answered. @param onRetry where it is tried again, what is done before */
async function login(
  env: Record<string, string>,
  flags: ConnectionFlags = { connectTimeout: '20s' },
  onRetry?: () => void,
) {
  const told: string[] = [];
  const client = await connect(() => resolveSettings(flags, { HOME: process.env.HOME, ...env }, { direct: false }), {
    once: !onRetry,
    onRetry: (reason) => {
      told.push(reason.message);
      onRetry?.();
    },
  });
  const { rows } = await client.query('SELECT current_user AS "user"');
  await disconnect(client);
  return { host: client.host, port: client.port, user: rows[0].user as string, told };
}

async function refusal(work: Promise<unknown>): Promise<KasmDbError> {
  const error = await work.then(
    () => undefined,
    (e) => e,
  );
  if (!(error instanceof KasmDbError)) throw error ?? new Error('it was let in');
  return error;
}

const without = (...names: string[]) =>
  Object.fromEntries(Object.entries(db.env).filter(([name]) => !names.includes(name)));
/** A password for a login of its own. */
const withPassword = async (password: string) => {
  const user = `odd_${Math.random().toString(36).slice(2)}`;
  await db.superQuery(`CREATE ROLE ${user} LOGIN PASSWORD '${password.replaceAll("'", "''")}'`);
  return user;
};

describe('ways in › passwords of any kind', () => {
  const ODD = [
    '@:/%#?&=+ "\'\\',
    '€ü 日本 \u{1f511}',
    ' both ends ',
    'p\\:q:r\\\\',
    '${HOME}$(id)',
    "x'; DROP ROLE y; --",
    '*',
    '#',
  ].map((text) => `${SECRET_MARK}${text}`);

  it.each(ODD)('%s: variable, file, URL, .pgpass', async (password) => {
    const user = await withPassword(password);
    const base = { ...without('POSTGRES_PASSWORD', 'POSTGRES_USER'), POSTGRES_USER: user };
    const files = folder({
      plain: password,
      newline: `${password}\n`,
      pgpass: `127.0.0.1:${db.port}:*:${user}:${password.replace(/[\\:]/g, '\\$&')}\n`,
    });
    chmodSync(join(files, 'pgpass'), 0o600);
    const url = `postgres://${user}:${encodeURIComponent(password)}@127.0.0.1:${db.port}/${db.name}`;
    const logins: Record<string, string>[] = [
      { ...base, POSTGRES_PASSWORD: password },
      { ...base, POSTGRES_PASSWORD_FILE: join(files, 'plain') },
      { ...base, POSTGRES_PASSWORD_FILE: join(files, 'newline') },
      { ...base, PGPASSFILE: join(files, 'pgpass') },
      { KASM_DB_URL: url },
    ];
    for (const env of logins) expect((await login(env)).user).toBe(user);
  });
});

describe('ways in › .pgpass, as libpq reads it', () => {
  const passfile = (text: string, mode = 0o600) => {
    const path = join(folder({ pgpass: text }), 'pgpass');
    chmodSync(path, mode);
    return path;
  };
  const env = (path: string) => ({ ...without('POSTGRES_PASSWORD'), PGPASSFILE: path });

  it.each([
    ['the first line that fits counts', () => `*:*:*:${db.user}:${db.password}\n*:*:*:*:wrong\n`],
    [
      'lines for others, comments and empty ones are passed over',
      () =>
        `# x\n\n127.0.0.1:1:*:*:wrong\nother:*:*:*:wrong\n127.0.0.1:${db.port}:${db.name}:${db.user}:${db.password}`,
    ],
    ['short lines', () => `*:*:*:*:${db.password}`],
    ['Windows line ends', () => `*:*:*:*:${db.password}\r\n`],
    ['escapes in any field', () => `127\\.0.0.1:*:*:${db.user}:${db.password.replaceAll('-', '\\-')}`],
  ])('%s', async (_, text) => {
    expect((await login(env(passfile(text())))).user).toBe(db.user);
  });

  it('a password for each of several hosts', async () => {
    const nowhere = await freePort();
    const path = passfile(`127.0.0.1:${nowhere}:*:*:wrong\n127.0.0.1:${db.port}:*:*:${db.password}\n`);
    const answered = await login({
      ...env(path),
      POSTGRES_HOST: '127.0.0.1,127.0.0.1',
      POSTGRES_PORT: `${nowhere},${db.port}`,
    });
    expect(answered.port).toBe(db.port);
  });

  it('a host that asks for a password and gets none ends the list, as in libpq', async () => {
    const path = passfile(`localhost:*:*:*:${db.password}\n`);
    const error = await refusal(login({ ...env(path), POSTGRES_HOST: '127.0.0.1,localhost' }));
    expect(error.message).toBe(`127.0.0.1:${db.port} asks for a password, and none is set`);
  });

  it('is ~/.pgpass when nothing else is said', async () => {
    const before = process.env.HOME as string;
    process.env.HOME = folder({ '.pgpass': `*:*:*:*:${db.password}\n` });
    chmodSync(join(process.env.HOME, '.pgpass'), 0o600);
    try {
      expect((await login(without('POSTGRES_PASSWORD'))).user).toBe(db.user);
    } finally {
      process.env.HOME = before;
    }
  });

  it.each([0o644, 0o640, 0o604])('with mode %o it is ignored, and the message says so', async (mode) => {
    const error = await refusal(login(env(passfile(`*:*:*:*:${db.password}\n`, mode))));
    expect(error).toMatchObject({ outcome: 'unreachable', message: expect.stringContaining('asks for a password') });
    expect(error.details.hint).toMatch(/is ignored: others may read it/);
  });

  it('a PGPASSWORD of this process does not switch it off', async () => {
    process.env.PGPASSWORD = 'wrong';
    try {
      expect((await login(env(passfile(`*:*:*:*:${db.password}\n`)))).user).toBe(db.user);
    } finally {
      delete process.env.PGPASSWORD;
    }
  });
});

describe('ways in › addresses', () => {
  it('a Unix socket, as a folder, in a URL and in its query', async () => {
    const { sockets, port } = inject('servers')[DEFAULT_VERSION] as { sockets: string; port: number };
    const login_ = { POSTGRES_USER: db.user, POSTGRES_PASSWORD: db.password, POSTGRES_DB: db.name };
    for (const env of [
      { ...login_, POSTGRES_HOST: sockets, POSTGRES_PORT: String(port) },
      { ...login_, KASM_DB_URL: `postgres://${encodeURIComponent(sockets)}:${port}` },
      { ...login_, KASM_DB_URL: `postgres:///?host=${sockets}&port=${port}`, PGSSLMODE: 'verify-full' },
    ])
      expect((await login(env)).host).toBe(sockets);
    const error = await refusal(login({ ...login_, POSTGRES_HOST: '/nowhere' }));
    expect(error.message).toBe('/nowhere (port 5432) refuses connections (ENOENT)');
  });

  it('IPv6, in a URL, alone and among several hosts', async (test) => {
    const reached: number[] = [];
    const server = createServer((socket) => {
      reached.push(1);
      socket.destroy();
    });
    const port = await new Promise<number | undefined>((resolve) => {
      server.once('error', () => resolve(undefined));
      server.listen(0, '::1', () => resolve((server.address() as { port: number }).port));
    });
    if (port === undefined) {
      console.warn('SKIPPED: this machine has no IPv6');
      return test.skip();
    }
    const error = await refusal(login({ KASM_DB_URL: `postgres://app:x@[::1]:${port}/kasm` }));
    expect(error.message).toContain(`[::1]:${port}`);
    expect(reached.length).toBeGreaterThan(0);
    const both = { KASM_DB_URL: `postgres://${db.user}:${db.password}@[::1]:${port},127.0.0.1:${db.port}/${db.name}` };
    expect((await login(both)).host).toBe('127.0.0.1');
    server.close();
  });

  it('a service of a file, with several hosts', async () => {
    const nowhere = await freePort();
    const files = folder({
      'services.conf': `[kasm]\nhost=127.0.0.1,127.0.0.1\nport=${nowhere},${db.port}\ndbname=${db.name}\nuser=${db.user}\npassword=${db.password}\ntarget_session_attrs=primary\n`,
    });
    const env = { PGSERVICE: 'kasm', PGSERVICEFILE: join(files, 'services.conf') };
    expect((await login(env)).port).toBe(db.port);
  });
});

describe('ways in › what may heal is tried again within --connect-timeout, with everything read anew', () => {
  it('a host that is not in DNS yet, a password that comes later (a Secret is swapped by its link)', async () => {
    const files = folder({ 'a/host': 'not-yet.invalid', 'b/host': '127.0.0.1', 'a/pw': 'wrong', 'b/pw': db.password });
    symlinkSync('a', join(files, 'data'));
    const env = {
      ...without('POSTGRES_HOST', 'POSTGRES_PASSWORD'),
      POSTGRES_HOST_FILE: join(files, 'data/host'),
      POSTGRES_PASSWORD_FILE: join(files, 'data/pw'),
    };
    const swap = () => {
      symlinkSync('b', join(files, 'next'));
      renameSync(join(files, 'next'), join(files, 'data'));
    };
    const { user, told } = await login(env, { connectTimeout: '50s' }, swap);
    expect(user).toBe(db.user);
    expect(told.join()).toContain('"not-yet.invalid" is not found in DNS');
  });

  it.each([
    ['a wrong password', () => ({ POSTGRES_PASSWORD: `${SECRET_MARK}wrong` }), '28P01'],
    ['a database that is not there', () => ({ POSTGRES_DB: 'not_there' }), '3D000'],
    ['TLS that the server has not', () => ({ PGSSLMODE: 'require' }), undefined],
  ])('%s ends it at once', async (_, env, sqlstate) => {
    const started = performance.now();
    const error = await refusal(login({ ...db.env, ...env() }, { connectTimeout: '10m' }, () => {}));
    expect(error.outcome).toBe('unreachable');
    expect(error.details.sqlstate).toBe(sqlstate);
    expect(performance.now() - started).toBeLessThan(10 * 60_000);
  });

  it('but a gate goes on after a refused login: the Secret may come later', async () => {
    const files = folder({ pw: `${SECRET_MARK}early\n` });
    const env = { ...without('POSTGRES_PASSWORD'), POSTGRES_PASSWORD_FILE: join(files, 'pw') };
    const migrations = folder(ONE);
    const gate = startCli(['check', '--wait', '10m', '--json', '--migrations', migrations], env);
    await waitFor(async () => (gate.stderr().includes('refuses the login') ? [1] : []), 'the gate to be refused');
    writeFileSync(join(files, 'pw'), db.password);
    await waitFor(async () => (gate.stderr().includes('no history') ? [1] : []), 'the gate to get in');
    gate.child.kill('SIGTERM');
    expect((await gate.ended).code).toBe(143);
    rmSync(files, { recursive: true });
  });
});
