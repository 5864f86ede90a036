import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KasmDbError } from '../../src/app/errors.js';
import { type ConnectionFlags, type Environment, resolveSettings } from '../../src/config/settings.js';
import { folder } from '../support/folder.js';

const resolve = (flags: ConnectionFlags, env: Environment = {}, direct = false) =>
  resolveSettings(flags, env, { direct });

function refusal(work: () => unknown): KasmDbError {
  try {
    work();
  } catch (error) {
    if (error instanceof KasmDbError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

const services = join(
  folder({
    'services.conf':
      '# comment\n[other]\nhost=other\n\n[kasm]\nhost=service\nport=6\ndbname=service\nuser=service\npassword=service\n',
  }),
  'services.conf',
);

/** The places a value may come from, the strongest first. */
const PLACES: { source: string; flags?: ConnectionFlags; env?: Environment }[] = [
  { source: 'flag', flags: { host: 'flag', port: '1', dbname: 'flag', user: 'flag' } },
  { source: '--url', flags: { url: 'postgres://url@url:2/url' } },
  { source: 'KASM_DB_URL', env: { KASM_DB_URL: 'postgres://kasm_url:kasm_url@kasm_url:3/kasm_url' } },
  { source: 'DATABASE_URL', env: { DATABASE_URL: 'postgres://database_url:database_url@database_url:4/database_url' } },
  {
    source: 'POSTGRES_*',
    env: {
      POSTGRES_HOST: 'postgres',
      POSTGRES_PORT: '5',
      POSTGRES_DB: 'postgres',
      POSTGRES_USER: 'postgres',
      POSTGRES_PASSWORD: 'postgres',
    },
  },
  { source: 'service kasm', env: { PGSERVICE: 'kasm', PGSERVICEFILE: services } },
  { source: 'PG*', env: { PGHOST: 'pg', PGPORT: '7', PGDATABASE: 'pg', PGUSER: 'pg', PGPASSWORD: 'pg' } },
];
const WORDS = ['flag', 'url', 'kasm_url', 'database_url', 'postgres', 'service', 'pg'];

describe('settings › precedence', () => {
  const given = (from: number) => ({
    flags: Object.assign({}, ...PLACES.slice(from).map((place) => place.flags)) as ConnectionFlags,
    env: Object.assign({}, ...PLACES.slice(from).map((place) => place.env)) as Environment,
  });

  it.each(PLACES.map((place, i) => [place.source, i] as const))('%s, before all that follow', (_, i) => {
    const { flags, env } = given(i);
    const settings = resolve(flags, env);
    expect(settings).toMatchObject({ hosts: [{ host: WORDS[i], port: i + 1 }], dbname: WORDS[i], user: WORDS[i] });
    // No password can stand in a process argument, so there the next place gives it.
    expect(settings.password).toBe(WORDS[Math.max(i, 2)]);
  });

  it('holds for each value by itself, and says where it came from', () => {
    const settings = resolve(
      { host: 'flag' },
      {
        KASM_DB_URL: 'postgres://kasm_url:5000',
        DATABASE_URL: 'postgres://database_url:1/database_url?sslmode=require',
        POSTGRES_DB: 'postgres',
        POSTGRES_USER: 'postgres',
        PGPASSWORD: 'pg',
        PGSSLMODE: 'disable',
      },
    );
    expect(settings).toMatchObject({
      hosts: [{ host: 'flag', port: 5000 }],
      dbname: 'database_url',
      user: 'postgres',
      password: 'pg',
      sslmode: 'require',
    });
    expect(settings.sources).toEqual({
      host: '--host',
      port: 'KASM_DB_URL',
      dbname: 'DATABASE_URL',
      user: 'POSTGRES_USER',
      password: 'PGPASSWORD',
      sslmode: 'DATABASE_URL',
    });
  });

  it('an empty variable is as good as none', () => {
    const env = { KASM_DB_URL: '', POSTGRES_HOST: '', POSTGRES_HOST_FILE: '', PGHOST: 'pg' };
    expect(resolve({}, env).hosts).toEqual([{ host: 'pg', port: 5432 }]);
  });

  it('a service may be named in the URL', () => {
    const settings = resolve({}, { KASM_DB_URL: 'postgres://u@/?service=kasm', PGSERVICEFILE: services });
    expect(settings).toMatchObject({ hosts: [{ host: 'service', port: 6 }], user: 'u', password: 'service' });
  });

  it('a service that no file has is a usage error', () => {
    expect(refusal(() => resolve({}, { PGSERVICE: 'nope', PGSERVICEFILE: services }))).toMatchObject({
      outcome: 'usage',
      message: expect.stringMatching(/service "nope" is in none of .*services\.conf/),
    });
  });
});

describe('settings › defaults', () => {
  it('are those of libpq', () => {
    const settings = resolve({ user: 'app' });
    expect(settings).toMatchObject({
      hosts: [{ host: 'localhost', port: 5432 }],
      dbname: 'app',
      user: 'app',
      password: undefined,
      sslmode: 'prefer',
      targetSessionAttrs: 'any',
      channelBinding: 'prefer',
      connectTimeoutMs: 10_000,
      role: undefined,
      notes: [],
    });
  });

  it('nothing given is a usage error that names what to set', () => {
    for (const env of [{}, { POSTGRES_PASSWORD: 'x' }, { PGSSLMODE: 'require' }]) {
      const error = refusal(() => resolve({}, env));
      expect(error).toMatchObject({ outcome: 'usage', message: 'no database is given' });
      for (const name of ['KASM_DB_URL', 'POSTGRES_HOST', '--host', '--embedded'])
        expect(error.details.hint).toContain(name);
    }
  });
});

describe('settings › the other values', () => {
  const host = { host: 'db' };

  it.each([
    [{ role: 'owner' }, { KASM_DB_ROLE: 'other' }, 'owner'],
    [{}, { KASM_DB_ROLE: 'other' }, 'other'],
    [{}, { KASM_DB_ROLE: '' }, undefined],
  ])('role of %j and %j', (flags, env, role) => {
    expect(resolve({ ...host, ...flags }, env).role).toBe(role);
  });

  it.each([
    [{ connectTimeout: '500ms' }, { PGCONNECT_TIMEOUT: '9' }, 500],
    [{}, { PGCONNECT_TIMEOUT: '9' }, 9000],
    [{}, { PGCONNECT_TIMEOUT: '0' }, 2_147_483_647],
    [{}, { PGCONNECT_TIMEOUT: '-1' }, 2_147_483_647],
    [{}, { PGCONNECT_TIMEOUT: '99999999' }, 2_147_483_647],
    [{}, { KASM_DB_URL: 'postgres://db?connect_timeout=3' }, 3000],
  ])('connect timeout of %j and %j is %i ms', (flags, env, ms) => {
    expect(resolve({ ...host, ...flags }, env).connectTimeoutMs).toBe(ms);
  });

  it.each([
    ['PGSSLROOTCERT', 'sslrootcert'],
    ['PGSSLCERT', 'sslcert'],
    ['PGSSLKEY', 'sslkey'],
    ['PGOPTIONS', 'options'],
    ['PGPASSFILE', 'passfile'],
  ] as const)('%s', (name, key) => {
    expect(resolve(host, { [name]: 'value' })[key]).toBe('value');
  });

  it('PGTARGETSESSIONATTRS and PGCHANNELBINDING', () => {
    expect(resolve(host, { PGTARGETSESSIONATTRS: 'read-write', PGCHANNELBINDING: 'require' })).toMatchObject({
      targetSessionAttrs: 'read-write',
      channelBinding: 'require',
    });
  });

  it.each<[ConnectionFlags, Environment, RegExp]>([
    [{ sslmode: 'yes' }, {}, /sslmode "yes" \(--sslmode\) is unknown/],
    [{}, { PGSSLMODE: 'REQUIRE' }, /sslmode "REQUIRE" \(PGSSLMODE\) is unknown/],
    [{ url: 'postgres://db?sslmode=no-verify' }, {}, /sslmode "no-verify" \(--url\) is unknown/],
    [{}, { PGTARGETSESSIONATTRS: 'master' }, /target_session_attrs "master" \(PGTARGETSESSIONATTRS\) is unknown/],
    [{}, { PGCHANNELBINDING: 'no' }, /channel_binding "no" \(PGCHANNELBINDING\) is unknown/],
    [{ connectTimeout: '5' }, {}, /--connect-timeout: "5" is not a duration/],
    [{}, { PGCONNECT_TIMEOUT: '5s' }, /connect_timeout "5s" \(PGCONNECT_TIMEOUT\) is not a number of seconds/],
  ])('a wrong one (%j, %j) is a usage error that says where it stands', (flags, env, message) => {
    expect(refusal(() => resolve({ ...host, ...flags }, env))).toMatchObject({
      outcome: 'usage',
      message: expect.stringMatching(message),
    });
  });
});

describe('settings › which of several servers', () => {
  const attrs = (flags: ConnectionFlags, env: Environment, writes: boolean) =>
    resolve({ user: 'app', ...flags }, env, writes).targetSessionAttrs;

  it.each([
    ['a', undefined, 'any', 'any'],
    ['a,b', undefined, 'any', 'primary'],
    ['a,b', 'any', 'any', 'primary'],
    ['a,b', 'prefer-standby', 'prefer-standby', 'primary'],
    ['a,b', 'read-write', 'read-write', 'read-write'],
    ['a', 'primary', 'primary', 'primary'],
    ['a', 'prefer-standby', 'prefer-standby', 'prefer-standby'],
  ])('of %s with %s: reading takes %s, writing %s', (host, wish, reading, writing) => {
    const env = wish ? { PGTARGETSESSIONATTRS: wish } : {};
    expect(attrs({ host }, env, false)).toBe(reading);
    expect(attrs({ host }, env, true)).toBe(writing);
  });

  it('the flag wins over the URL, the URL over the variable', () => {
    const env = { PGTARGETSESSIONATTRS: 'standby', KASM_DB_URL: 'postgres://a,b?target_session_attrs=read-only' };
    expect(attrs({}, env, false)).toBe('read-only');
    expect(attrs({ targetSessionAttrs: 'primary' }, env, false)).toBe('primary');
  });

  it.each(['standby', 'read-only'])('writing with %s is refused', (wish) => {
    expect(refusal(() => attrs({ host: 'a,b' }, { PGTARGETSESSIONATTRS: wish }, true))).toMatchObject({
      outcome: 'usage',
      message: `target_session_attrs "${wish}" (PGTARGETSESSIONATTRS) takes no writes`,
    });
  });
});

describe('settings › hosts and ports', () => {
  it.each([
    [
      'a,b',
      '5433',
      [
        { host: 'a', port: 5433 },
        { host: 'b', port: 5433 },
      ],
    ],
    [
      'a,b',
      '1,2',
      [
        { host: 'a', port: 1 },
        { host: 'b', port: 2 },
      ],
    ],
    [
      'a, b',
      '1, ',
      [
        { host: 'a', port: 1 },
        { host: 'b', port: 5432 },
      ],
    ],
    ['::1', '5433', [{ host: '::1', port: 5433 }]],
    ['/var/run/postgresql', '5433', [{ host: '/var/run/postgresql', port: 5433 }]],
    [
      ',b',
      '1',
      [
        { host: 'localhost', port: 1 },
        { host: 'b', port: 1 },
      ],
    ],
  ])('%s with %s', (host, port, hosts) => {
    expect(resolve({ host, port }).hosts).toEqual(hosts);
  });

  it('several of a URL', () => {
    expect(resolve({ url: 'postgres://a:1,b,[::1]:3/kasm' }).hosts).toEqual([
      { host: 'a', port: 1 },
      { host: 'b', port: 5432 },
      { host: '::1', port: 3 },
    ]);
  });

  it('two hosts with three ports are refused', () => {
    expect(refusal(() => resolve({ host: 'a,b', port: '1,2,3' })).message).toBe('2 hosts but 3 ports');
  });

  it.each(['0', '65536', '-1', '5432x', '54 32', '1e3', '0x10', 'postgresql'])('port %j is refused', (port) => {
    expect(refusal(() => resolve({ host: 'db' }, { POSTGRES_PORT: port }))).toMatchObject({
      outcome: 'usage',
      message: `port "${port}" (POSTGRES_PORT) is not a number from 1 to 65535`,
    });
  });
});

describe('settings › Kubernetes service links are not settings (TRAPS 35)', () => {
  /** What the kubelet injects for a Service "postgres" and a Service "kasm-db". */
  const links = {
    POSTGRES_PORT: 'tcp://10.0.0.7:5432',
    POSTGRES_PORT_5432_TCP: 'tcp://10.0.0.7:5432',
    POSTGRES_PORT_5432_TCP_ADDR: '10.0.0.7',
    POSTGRES_SERVICE_HOST: '10.0.0.7',
    POSTGRES_SERVICE_PORT: '5432',
    KASM_DB_PORT: 'tcp://10.0.0.8:8080',
    KASM_DB_SERVICE_HOST: '10.0.0.8',
  };

  it('trap 35: they are ignored with a note, and the real settings win', () => {
    const settings = resolve({}, { ...links, POSTGRES_HOST: 'db', PGPORT: '5433' });
    expect(settings.hosts).toEqual([{ host: 'db', port: 5433 }]);
    expect(settings.notes).toEqual([
      expect.stringMatching(/^POSTGRES_PORT=tcp:\/\/10\.0\.0\.7:5432 is a Kubernetes service link/),
    ]);
  });

  it('alone they are no database', () => {
    expect(refusal(() => resolve({}, links)).message).toBe('no database is given');
  });

  it('a flag and a value of another form are no links', () => {
    const settings = resolve({ host: 'db' }, { POSTGRES_PASSWORD: 'tcp:/x', PGPASSWORD: 'y' });
    expect(settings.password).toBe('tcp:/x');
    expect(settings.notes).toEqual([]);
  });
});

describe('settings › secrets in files', () => {
  const files = folder({
    plain: 'p@ss',
    newline: 'p@ss\n',
    crlf: 'p@ss\r\n',
    two: 'p@ss\n\n',
    blanks: ' p@ss \n',
    empty: '',
    line: '\n',
    nul: 'p\0ss',
    url: 'postgres://app:p%40ss@db/kasm\n',
  });
  const password = (file: string) => resolve({ host: 'db' }, { POSTGRES_PASSWORD_FILE: join(files, file) }).password;

  it.each([
    ['plain', 'p@ss'],
    ['newline', 'p@ss'],
    ['crlf', 'p@ss'],
    ['two', 'p@ss\n'],
    ['blanks', ' p@ss '],
  ])('trap 29: %s: only the one newline at the end is not of it', (file, value) => {
    expect(password(file)).toBe(value);
  });

  it('for every setting, also the URL', () => {
    expect(resolve({}, { KASM_DB_URL_FILE: join(files, 'url') })).toMatchObject({
      hosts: [{ host: 'db', port: 5432 }],
      password: 'p@ss',
      sources: { password: 'KASM_DB_URL' },
    });
    expect(resolve({}, { POSTGRES_HOST_FILE: join(files, 'newline') })).toMatchObject({
      hosts: [{ host: 'p@ss' }],
      sources: { host: 'POSTGRES_HOST_FILE' },
    });
  });

  it('any password survives', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (secret) => {
        fc.pre(!secret.includes('\0') && !/\n$/.test(secret) && !/^(tcp|udp|sctp):/.test(secret));
        expect(resolve({ host: 'db' }, { POSTGRES_PASSWORD: secret }).password).toBe(secret);
        const url = `postgres://app:${encodeURIComponent(secret)}@db`;
        expect(resolve({}, { KASM_DB_URL: url }).password).toBe(secret);
      }),
    );
  });

  it.each([
    ['empty', /POSTGRES_PASSWORD_FILE: .*empty is empty/],
    ['line', /is empty/],
    ['nul', /holds a NUL byte/],
    ['nowhere', /POSTGRES_PASSWORD_FILE: cannot read .*nowhere \(ENOENT/],
  ])('%s is a usage error that does not repeat the content', (file, message) => {
    const error = refusal(() => password(file));
    expect(error).toMatchObject({ outcome: 'usage', message: expect.stringMatching(message) });
    expect(error.message).not.toContain('p\0ss');
  });

  it('NAME and NAME_FILE together are refused, whatever they hold', () => {
    const env = { POSTGRES_PASSWORD: 'hunter2', POSTGRES_PASSWORD_FILE: join(files, 'plain') };
    const error = refusal(() => resolve({ host: 'db' }, env));
    expect(error).toMatchObject({
      outcome: 'usage',
      message: 'both POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE are set',
    });
  });
});

describe('settings › a password among the process arguments is refused without being repeated', () => {
  it.each<[string, ConnectionFlags, boolean]>([
    ['--url', { url: 'postgres://app:hunter2@db/kasm' }, false],
    ['--url', { url: 'postgres://app@db/kasm?password=hunter2' }, false],
    ['--direct-url', { directUrl: 'postgres://app:hunter2@db/kasm', host: 'db' }, true],
  ])('%s %j', (flag, flags, direct) => {
    const error = refusal(() => resolve(flags, {}, direct));
    expect(error).toMatchObject({
      outcome: 'usage',
      message: expect.stringMatching(new RegExp(`^${flag} holds a password`)),
    });
    expect(`${error.message} ${error.details.hint}`).not.toContain('hunter2');
    expect(error.details.hint).toMatch(/POSTGRES_PASSWORD_FILE/);
  });

  it('--direct-url also where the command does not use it', () => {
    const flags = { directUrl: 'postgres://app:hunter2@db/kasm', host: 'db' };
    expect(refusal(() => resolve(flags, {}, false)).message).toMatch(/^--direct-url holds a password/);
  });

  it('in a URL of the environment it is fine', () => {
    expect(resolve({}, { KASM_DB_URL: 'postgres://app:pw@db/kasm' }).password).toBe('pw');
  });
});

describe('settings › the direct URL', () => {
  const env = {
    KASM_DB_URL: 'postgres://app:pw@pooler:6432/kasm?sslmode=require',
    KASM_DB_DIRECT_URL: 'postgres://db:5432',
  };

  it('is for commands that write, value by value', () => {
    expect(resolve({}, env, true)).toMatchObject({
      hosts: [{ host: 'db', port: 5432 }],
      dbname: 'kasm',
      user: 'app',
      password: 'pw',
      sslmode: 'require',
      sources: { host: 'KASM_DB_DIRECT_URL', dbname: 'KASM_DB_URL' },
    });
  });

  it('is not for those that read', () => {
    expect(resolve({}, env, false).hosts).toEqual([{ host: 'pooler', port: 6432 }]);
  });

  it('the flag wins over the variable, and over --host', () => {
    const settings = resolve({ directUrl: 'postgres://flag:1', host: 'pooler' }, env, true);
    expect(settings.hosts).toEqual([{ host: 'flag', port: 1 }]);
  });
});
