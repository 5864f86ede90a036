import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KasmDbError } from '../../src/app/errors.js';
import type { ConnectionFlags } from '../../src/config/places.js';
import { resolveSettings, settingsOf } from '../../src/config/settings.js';
import type { Environment } from '../../src/config/variables.js';
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
      message: expect.stringMatching(/service "nope" is in no service file \(looked in: .*services\.conf/),
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
    [{}, { PGCONNECT_TIMEOUT: '5s' }, /connect_timeout "5s" \(PGCONNECT_TIMEOUT\) is not a whole number/],
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

describe('settings › Kubernetes service links are not settings', () => {
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

  it('a password that begins like one is none, and is not told', () => {
    const settings = resolve({ host: 'db' }, { POSTGRES_PASSWORD: 'tcp://x', PGPASSWORD: 'y' });
    expect(settings.password).toBe('tcp://x');
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
    host: 'db\n',
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
    expect(resolve({}, { POSTGRES_HOST_FILE: join(files, 'host') })).toMatchObject({
      hosts: [{ host: 'db' }],
      sources: { host: 'POSTGRES_HOST_FILE' },
    });
  });

  it('any password survives', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (secret) => {
        fc.pre(!secret.includes('\0') && !/\n$|^ | $/.test(secret));
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

describe('settings › found once, and anew by who connects', () => {
  it('the environment and the files count as they were, until somebody connects anew', () => {
    const files = folder({ pw: 'first', 'kasm/db-password': '' });
    const env: Environment = { POSTGRES_HOST: 'db', POSTGRES_PASSWORD_FILE: join(files, 'pw') };
    const resolve = settingsOf({}, env, { direct: false });
    const settings = () => resolve(true);
    expect(resolve().password).toBe('first');
    writeFileSync(join(files, 'pw'), 'second');
    expect(resolve().password).toBe('first');
    expect(settings()).toMatchObject({ password: 'second', hosts: [{ host: 'db' }] });
    expect(resolve().password).toBe('second');
    writeFileSync(join(files, 'pw'), '');
    expect(() => settings()).toThrow(/POSTGRES_PASSWORD_FILE: .*pw is empty/);
    writeFileSync(join(files, 'pw'), 'third');
    expect(settings().password).toBe('third');
  });

  it('a mounted Secret that comes later is found', () => {
    const secrets = folder({});
    const resolve = settingsOf({ secrets }, { POSTGRES_HOST: 'db' }, { direct: false });
    const settings = () => resolve(true);
    expect(settings().password).toBeUndefined();
    writeFileSync(join(secrets, 'db-password'), 'late\n');
    expect(settings()).toMatchObject({ password: 'late', sources: { password: join(secrets, 'db-password') } });
  });
});

describe('settings › each place by the same rules, as libpq has them', () => {
  const service = (text: string) => ({ PGSERVICE: 's', PGSERVICEFILE: join(folder({ f: `[s]\n${text}\n` }), 'f') });
  /** The same parameter in each place. */
  const PLACES_OF = (keyword: string, variable: string, value: string): [string, Environment][] => [
    ['URL', { KASM_DB_URL: `postgres://db?${keyword}=${encodeURIComponent(value)}` }],
    ['key=value', { KASM_DB_URL: `host=db ${keyword}='${value}'` }],
    ['DATABASE_URL', { DATABASE_URL: `postgres://db?${keyword}=${encodeURIComponent(value)}` }],
    ['service', { PGHOST: 'db', ...service(`${keyword}=${value}`) }],
    ['variable', { PGHOST: 'db', [variable]: value }],
  ];

  it.each([
    ['sslmode', 'PGSSLMODE', ''],
    ['sslmode', 'PGSSLMODE', 'Require'],
    ['channel_binding', 'PGCHANNELBINDING', ''],
    ['target_session_attrs', 'PGTARGETSESSIONATTRS', ''],
    ['load_balance_hosts', 'PGLOADBALANCEHOSTS', ''],
    ['load_balance_hosts', 'PGLOADBALANCEHOSTS', 'on'],
    ['sslnegotiation', 'PGSSLNEGOTIATION', ''],
    ['sslnegotiation', 'PGSSLNEGOTIATION', 'direct'],
    ['sslcertmode', 'PGSSLCERTMODE', 'yes'],
    ['connect_timeout', 'PGCONNECT_TIMEOUT', ''],
    ['connect_timeout', 'PGCONNECT_TIMEOUT', '2147483648'],
    ['connect_timeout', 'PGCONNECT_TIMEOUT', '1.5'],
    ['port', 'PGPORT', '65536'],
    ['port', 'PGPORT', 'a'],
    ['hostaddr', 'PGHOSTADDR', 'db'],
    ['hostaddr', 'PGHOSTADDR', '10.0.0.1,10.0.0.2'],
    ['require_auth', 'PGREQUIREAUTH', 'scram'],
    ['require_auth', 'PGREQUIREAUTH', 'md5,md5'],
    ['require_auth', 'PGREQUIREAUTH', 'md5,!password'],
    ['require_auth', 'PGREQUIREAUTH', '!md5,password'],
    ['require_auth', 'PGREQUIREAUTH', 'md5,'],
    ['ssl_min_protocol_version', 'PGSSLMINPROTOCOLVERSION', 'SSLv3'],
    ['ssl_max_protocol_version', 'PGSSLMAXPROTOCOLVERSION', 'TLSv1.1'],
    ['gssencmode', 'PGGSSENCMODE', 'require'],
    ['gssencmode', 'PGGSSENCMODE', ''],
    ['min_protocol_version', 'PGMINPROTOCOLVERSION', ''],
    ['gssencmode', 'PGGSSENCMODE', 'yes'],
    ['krbsrvname', 'PGKRBSRVNAME', 'kasm'],
    ['client_encoding', 'PGCLIENTENCODING', 'LATIN1'],
    ['min_protocol_version', 'PGMINPROTOCOLVERSION', '3.2'],
    ['max_protocol_version', 'PGMAXPROTOCOLVERSION', '4.0'],
  ])('%s (%s) = "%s" is refused by name in each', (keyword, variable, value) => {
    for (const [place, env] of PLACES_OF(keyword, variable, value))
      expect(
        refusal(() => resolve({}, env)),
        place,
      ).toMatchObject({
        outcome: 'usage',
        details: { hint: expect.stringMatching(/.{5}/) },
      });
  });

  it.each([
    ['sslrootcert', 'PGSSLROOTCERT', ''],
    ['port', 'PGPORT', ''],
    ['options', 'PGOPTIONS', ''],
    ['require_auth', 'PGREQUIREAUTH', ''],
    ['ssl_min_protocol_version', 'PGSSLMINPROTOCOLVERSION', ''],
    ['gssencmode', 'PGGSSENCMODE', 'prefer'],
    ['client_encoding', 'PGCLIENTENCODING', 'utf-8'],
    ['max_protocol_version', 'PGMAXPROTOCOLVERSION', 'latest'],
    ['connect_timeout', 'PGCONNECT_TIMEOUT', ' 5 '],
    ['sslnegotiation', 'PGSSLNEGOTIATION', 'postgres'],
    ['application_name', 'PGAPPNAME', 'x'],
  ])('%s (%s) = "%s" is taken in each', (keyword, variable, value) => {
    for (const [place, env] of PLACES_OF(keyword, variable, value))
      expect(resolve({}, env).hosts, place).toEqual([{ host: 'db', port: 5432 }]);
  });

  it.each([
    [{ KASM_DB_URL: 'postgres://db?sslrootcert=', PGSSLROOTCERT: '/elsewhere' }, { sslrootcert: undefined }],
    [{ KASM_DB_URL: 'postgres://db?password=', PGPASSWORD: 'x' }, { password: undefined }],
    [{ KASM_DB_URL: 'postgres://db?options=', PGOPTIONS: '-c x=y' }, { options: undefined }],
    [{ KASM_DB_URL: 'postgres://db?port=', PGPORT: '1' }, { hosts: [{ host: 'db', port: 5432 }] }],
    [{ KASM_DB_URL: 'postgres://db:/', PGPORT: '1' }, { hosts: [{ host: 'db', port: 1 }] }],
  ])('an empty value that libpq lets count counts: %j', (env, values) => {
    expect(resolve({}, { HOME: '/nowhere', ...env })).toMatchObject(values);
  });

  it('an empty flag is refused: an unset variable of a script must not become a default', () => {
    for (const flags of [{ host: '' }, { sslmode: '' }, { url: '' }, { user: '', host: 'db' }])
      expect(refusal(() => resolve(flags, { POSTGRES_HOST: 'db' })).outcome).toBe('usage');
  });

  it('PGREQUIRESSL=1 is sslmode=require, where PGSSLMODE is not set', () => {
    const mode = (env: Environment) => resolve({ host: 'db' }, env).sslmode;
    expect(mode({ PGREQUIRESSL: '1' })).toBe('require');
    expect(mode({ PGREQUIRESSL: '0' })).toBe('prefer');
    expect(mode({ PGREQUIRESSL: '1', PGSSLMODE: 'disable' })).toBe('disable');
    expect(mode({ PGREQUIRESSL: '1', KASM_DB_URL: 'postgres://db?sslmode=allow' })).toBe('allow');
  });

  it('a TLS range upside down names both settings, the default too', () => {
    expect(refusal(() => resolve({ host: 'db' }, { PGSSLMAXPROTOCOLVERSION: 'TLSv1.1' })).message).toBe(
      'ssl_min_protocol_version TLSv1.2 (default) is above ssl_max_protocol_version TLSv1.1 (PGSSLMAXPROTOCOLVERSION)',
    );
  });

  it('--connect-timeout does not hide a wrong PGCONNECT_TIMEOUT', () => {
    expect(refusal(() => resolve({ host: 'db', connectTimeout: '5s' }, { PGCONNECT_TIMEOUT: 'x' })).message).toMatch(
      /^connect_timeout "x" \(PGCONNECT_TIMEOUT\)/,
    );
  });

  it.each([
    ['POSTGRES_HOST', 'postgres://app:hunter2@db:5432/kasm', 'holds a URL'],
    ['POSTGRES_HOST', 'db:5432', 'holds a port'],
    ['POSTGRES_HOST', 'hunter2@db', 'holds an @'],
    ['PGHOST', 'a, db', 'is not the name of a host'],
    ['POSTGRES_DB', 'postgres://app:hunter2@db/kasm', 'holds a URL'],
    ['PGDATABASE', 'x postgresql://app:hunter2@db/kasm', 'holds a URL'],
    ['PGUSER', 'postgres://app:hunter2@db/kasm', 'holds a URL'],
    ['KASM_DB_ROLE', 'postgres://app:hunter2@db/kasm', 'holds a URL'],
  ])('%s=%s is refused and not repeated', (name, value, what) => {
    const error = refusal(() => resolve({}, { PGUSER: 'app', [name]: value }));
    expect(error).toMatchObject({ outcome: 'usage', message: expect.stringContaining(`(${name}) ${what}`) });
    expect(`${error.message} ${error.details.hint}`).not.toMatch(/hunter|5432/);
  });

  it('a name of a database may hold any other sign, but --dbname no connection string', () => {
    expect(resolve({ host: 'db' }, { PGDATABASE: 'a=b c' }).dbname).toBe('a=b c');
    expect(refusal(() => resolve({ dbname: 'host=x password=hunter2' })).message).toBe(
      '--dbname is the name of a database',
    );
  });

  it('hostaddr is where to connect, host the name; each of a list by itself', () => {
    expect(resolve({ host: 'a,b' }, { PGHOSTADDR: '10.0.0.1,', PGPORT: '1,2' }).hosts).toEqual([
      { host: 'a', hostaddr: '10.0.0.1', port: 1 },
      { host: 'b', port: 2 },
    ]);
    expect(resolve({}, { PGHOSTADDR: '::1' }).hosts).toEqual([{ host: '', hostaddr: '::1', port: 5432 }]);
  });

  it.each([
    ['scram-sha-256', ['scram-sha-256'], false],
    ['md5,none', ['md5'], true],
    ['none', [], true],
    ['!password,!md5', ['gss', 'sspi', 'scram-sha-256', 'oauth'], true],
    ['', [], true],
    ['!none', ['password', 'md5', 'gss', 'sspi', 'scram-sha-256', 'oauth'], false],
  ])('require_auth=%s', (text, allowed, none) => {
    expect(resolve({ host: 'db' }, { PGREQUIREAUTH: text }).requireAuth).toEqual({ allowed: new Set(allowed), none });
  });

  it('says which weaker places it hides', () => {
    const env = {
      POSTGRES_HOST: 'a',
      DATABASE_URL: 'postgres://b',
      PGHOST: 'c',
      PGPASSWORD: 's3cr3t',
      POSTGRES_PASSWORD: 's3cr3t',
    };
    const settings = resolve({ host: 'f' }, env);
    expect(settings.hidden).toEqual({ host: ['DATABASE_URL', 'POSTGRES_HOST', 'PGHOST'], password: ['PGPASSWORD'] });
    expect(settings.given).toEqual({ host: 'f' });
  });
});
