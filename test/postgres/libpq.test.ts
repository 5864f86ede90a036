import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PARAMETERS } from '../../src/config/parameters.js';
import { resolveSettings } from '../../src/config/settings.js';
import { connect } from '../../src/postgres/connect.js';
import { disconnect } from '../../src/postgres/query.js';
import { COMMAND, cli } from '../support/cli.js';
import { hasLibpq, type Libpq, startLibpq } from '../support/libpq.js';
import { type LoggingServers, startLoggingServers, type Visit } from '../support/logging-server.js';
import { randomSource, rounds } from '../support/rounds.js';

/** Where kasm-db is stricter than libpq, by its own words (docs/SETTINGS.md, "Stricter than libpq"). */
const STRICTER: Record<string, RegExp> = {
  'a parameter that is refused by name': /is not supported$/,
  'a / in the password of a URL': /has an @ behind its first \//,
  'a host that is none': /^host \(.*\) (holds|is not the name)/,
  'a port that is not written plainly': /is not a number from 1 to 65535$/,
  'verify-full without what it needs': /^sslmode=verify-\S+ needs /,
  'a database that is a URL': /^dbname .* holds a URL$/,
  'what is no UTF-8': /is not UTF-8$/,
  'an address that is none': /is not an IP address$/,
  'a number that is none': /is not a whole number$/,
};

/** libpq's default host, which ours is not. */
const DEFAULT_SOCKET = /on socket "\/(var\/run\/postgresql|run\/postgresql|tmp)\/\.s\.PGSQL/;

interface Case {
  conninfo: string;
  env: Record<string, string>;
  service?: string;
  passfile?: string;
  passfileMode?: number;
}

const PLAIN = ['primary', 'standby', 'refuses', 'starting'] as const;
const ASKING = ['asks nothing', 'asks md5', 'asks SCRAM', 'offers PLUS', 'asks OAuth', 'asks GSSAPI'] as const;

it('each difference is in docs/SETTINGS.md', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/SETTINGS.md'), 'utf8')
    .replaceAll('`', '')
    .replace(/\s+/g, ' ');
  for (const difference of [...Object.keys(STRICTER), 'localhost is the default host'])
    expect(page).toContain(difference);
});

const available = hasLibpq();

describe.skipIf(!available)('beside libpq', { timeout: 3_600_000 }, () => {
  let scratch: string;
  let servers: LoggingServers;
  let libpq: Libpq;
  let reached = 0;

  beforeAll(async () => {
    scratch = mkdtempSync(join(tmpdir(), 'kasm-db-libpq-'));
    mkdirSync(join(scratch, 'home'));
    servers = await startLoggingServers(scratch, [...PLAIN, ...ASKING]);
    libpq = await startLibpq();
  });
  afterAll(() => {
    libpq?.stop();
    servers?.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  /** The case's files, and the environment that names them. */
  function prepare(c: Case): Record<string, string> {
    const env = { HOME: join(scratch, 'home'), PGSYSCONFDIR: '/nowhere', ...c.env };
    rmSync(join(scratch, 'home/.pgpass'), { force: true });
    if (c.service !== undefined) {
      writeFileSync(join(scratch, 'services'), c.service);
      Object.assign(env, { PGSERVICEFILE: join(scratch, 'services'), ...env });
    }
    if (c.passfile !== undefined) {
      writeFileSync(join(scratch, 'home/.pgpass'), c.passfile);
      chmodSync(join(scratch, 'home/.pgpass'), c.passfileMode ?? 0o600);
    }
    return env;
  }

  async function ours(c: Case, env: Record<string, string>): Promise<{ in: boolean; why: string }> {
    try {
      const client = await connect(() => resolveSettings({}, { ...env, KASM_DB_URL: c.conninfo }, { direct: false }), {
        once: true,
      });
      await disconnect(client);
      return { in: true, why: '' };
    } catch (error) {
      return { in: false, why: (error as Error).message };
    }
  }

  /** Where one of several hosts is empty, libpq has no error to tell by: the next one let it in. */
  function takesDefaultHost(c: Case, env: Record<string, string>): boolean {
    try {
      const { given, hosts } = resolveSettings({}, { ...env, KASM_DB_URL: c.conninfo }, { direct: false });
      const names = (given.host ?? '').split(',');
      return hosts.some(({ host, hostaddr }, i) => host === 'localhost' && hostaddr === undefined && !names[i]);
    } catch {
      return false;
    }
  }

  /** @returns undefined where both went to the same servers with the same words, else what differs */
  async function difference(c: Case): Promise<{ text: string; stricter: string | undefined } | undefined> {
    const env = prepare(c);
    servers.visits();
    const them = await libpq.connect(c.conninfo, env);
    const theirs = servers.visits();
    const us = await ours(c, env);
    const visits = servers.visits();
    if (them.in === us.in && JSON.stringify(theirs) === JSON.stringify(visits)) {
      if (visits.length > 0) reached++;
      return undefined;
    }
    const stricter =
      visits.length === 0 && !us.in ? Object.keys(STRICTER).find((name) => STRICTER[name]?.test(us.why)) : undefined;
    if (DEFAULT_SOCKET.test(them.why) || takesDefaultHost(c, env))
      return { stricter: 'localhost is the default host', text: '' };
    const shown = (list: Visit[]) => JSON.stringify(list);
    return {
      stricter,
      text: `${JSON.stringify(c)}\n  libpq:   ${them.in} ${shown(theirs)} ${them.why}\n  kasm-db: ${us.in} ${shown(visits)} ${us.why}`,
    };
  }

  it('random URLs, environments, service and pass files: the same servers get the same words', async () => {
    const { seed, next } = randomSource();
    const generate = generator(next, servers);
    const different: string[] = [];
    const stricter: Record<string, number> = {};
    let same = 0;
    reached = 0;
    const count = rounds(400, 5000);
    for (let i = 0; i < count; i++) {
      const c = generate();
      const found = await difference(c);
      if (found?.stricter) stricter[found.stricter] = (stricter[found.stricter] ?? 0) + 1;
      else if (found) different.push(found.text);
      if (!found) same++;
    }
    console.log(
      `beside libpq ${libpq.version}: ${count} cases, ${same} the same, ${reached} of them at a server, stricter ${JSON.stringify(stricter)}, ${different.length} different (KASM_DB_SEED=${seed})\n${different.slice(0, 20).join('\n')}`,
    );
    expect(different.length).toBe(0);
  });

  it('what a server asks for, by require_auth and channel_binding: answered alike', async () => {
    const methods = ['password', 'md5', 'scram-sha-256', 'none', 'gss', 'sspi', 'oauth'];
    const wishes = [
      undefined,
      '',
      ...methods,
      ...methods.map((name) => `!${name}`),
      ...['md5,scram-sha-256', 'scram-sha-256,none', '!password,!md5', '!none,!password', 'password,md5,scram-sha-256'],
    ];
    const different: string[] = [];
    let count = 0;
    for (const manner of ['primary', ...ASKING] as const)
      for (const wish of wishes)
        for (const binding of ['disable', 'prefer', 'require']) {
          const env = {
            PGHOST: '127.0.0.1',
            PGPORT: String(servers.port(manner)),
            PGUSER: 'app',
            PGPASSWORD: 'x',
            PGCHANNELBINDING: binding,
            ...(wish === undefined ? {} : { PGREQUIREAUTH: wish }),
          };
          const found = await difference({ conninfo: 'dbname=kasm', env });
          count++;
          if (found) different.push(found.text);
        }
    console.log(
      `require_auth × channel_binding × server: ${count} cases, ${different.length} different\n${different.slice(0, 10).join('\n')}`,
    );
    expect(different).toEqual([]);
  });

  it('the program itself goes where libpq goes, as Node runs it or as an executable', async () => {
    const { seed, next } = randomSource();
    const generate = generator(next, servers);
    const different: string[] = [];
    const count = rounds(25, 500);
    for (let i = 0; i < count; i++) {
      const c = generate();
      const env = prepare(c);
      servers.visits();
      await libpq.connect(c.conninfo, env);
      const theirs = servers.visits();
      if (await difference(c)) continue;
      servers.visits();
      const run = await cli(['check', '--json', '--connect-timeout', '2s'], { ...env, KASM_DB_URL: c.conninfo });
      const visits = servers.visits();
      if (!goesRound(once(visits), once(theirs)))
        different.push(
          `${JSON.stringify(c)}\n  libpq:   ${JSON.stringify(theirs)}\n  kasm-db: ${JSON.stringify(visits)} ${run.stdout}`,
        );
    }
    console.log(
      `${COMMAND[0]}: ${count} cases, ${different.length} different (KASM_DB_SEED=${seed})\n${different.slice(0, 10).join('\n')}`,
    );
    expect(different.length).toBe(0);
  });
});

/** The visits, each with those after it that are the same: whoever got in asks for the state, and may come a second time for it. */
function once(visits: unknown[]): string[] {
  const texts = visits.map((visit) => JSON.stringify(visit));
  return texts.filter((text, at) => text !== texts[at - 1]);
}

/** Whether ours are libpq's, and those again in the same order: until --connect-timeout kasm-db goes round a list of servers that start. */
function goesRound(ours: string[], theirs: string[]): boolean {
  return ours.length >= theirs.length && ours.every((visit, at) => visit === theirs[at % theirs.length]);
}

/** A source of cases: mostly right ones, with something wrong or rare in many. */
function generator(next: () => number, servers: LoggingServers): () => Case {
  const pick = <T>(items: readonly T[]): T => items[Math.floor(next() * items.length)] as T;
  const chance = (part: number) => next() < part;
  const port = () =>
    String(
      chance(0.9)
        ? servers.port(pick(['primary', 'primary', 'standby', 'refuses', 'starting']))
        : pick(['1', '0', '65536', 'x', '', '05432', '-1', ' 7 ']),
    );
  const ODD = [
    '',
    'a',
    'app',
    'kasm',
    'x y',
    'é',
    '日本',
    "o'x",
    'a\\b',
    'p:w',
    'p@w',
    'p/w',
    'p?w',
    'p#w',
    'p%w',
    'p&w',
    'p=w',
    '+',
    '*',
    '\\*',
    '#c',
    '[x]',
    '${x}',
    'postgres',
  ];
  const odd = () => pick(ODD);
  const host = () =>
    chance(0.93)
      ? pick(['127.0.0.1', '127.0.0.1', 'localhost', servers.sockets])
      : pick(['', '127.0.0.1:5', 'a@b', '/nowhere', 'x y']);
  const list = (one: () => string) => {
    const n = chance(0.75) ? 1 : chance(0.7) ? 2 : 3;
    return Array.from({ length: n }, one).join(',');
  };
  /** What works, and what does not. */
  const VALUES: Record<string, readonly [works: readonly string[], not: readonly string[]]> = {
    sslmode: [
      ['disable', 'allow', 'prefer'],
      ['require', 'verify-full', 'verify-ca', '', 'Require'],
    ],
    channel_binding: [
      ['disable', 'prefer'],
      ['require', '', 'x'],
    ],
    require_auth: [
      ['password', '!md5', 'password,md5', '!md5,!none'],
      [
        '',
        'md5',
        'none',
        '!password',
        'scram-sha-256,none',
        'x',
        'md5,md5',
        'password,!md5',
        'gss',
        'sspi',
        'oauth',
        '!',
        ',',
      ],
    ],
    target_session_attrs: [
      ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'],
      ['', 'master'],
    ],
    load_balance_hosts: [['disable'], ['', 'x']],
    sslnegotiation: [['postgres'], ['direct', '', 'x']],
    sslcertmode: [
      ['disable', 'allow'],
      ['', 'x'],
    ],
    gssencmode: [
      ['disable', 'prefer'],
      ['', 'x'],
    ],
    connect_timeout: [
      ['5', ' 5 ', '0', '-1'],
      ['', 'x', '5s', '99999999999', '1.5'],
    ],
    ssl_min_protocol_version: [['TLSv1', 'tlsv1.3', 'TLSv1.2', ''], ['SSLv3']],
    ssl_max_protocol_version: [
      ['tlsv1.2', 'TLSv1.3', ''],
      ['TLSv1', 'TLSv1.1', 'x'],
    ],
    min_protocol_version: [['3.0'], ['', 'x', '2.0']],
    max_protocol_version: [
      ['3.0', 'latest'],
      ['', 'x', '4.0'],
    ],
    sslrootcert: [['', '/nowhere'], ['system']],
    options: [['', '-c a=b', '-c search_path=x\\ y'], []],
    application_name: [['', 'x'], []],
    client_encoding: [['', 'UTF8', 'utf-8'], ['LATIN1']],
    keepalives: [['0', '1'], ['']],
    keepalives_idle: [['5'], ['', 'x']],
    sslsni: [['0', '1', ''], []],
    sslcompression: [['0', '1'], []],
    replication: [['', 'false', '0'], []],
    krbsrvname: [['postgres'], ['x']],
    requirepeer: [['', 'root'], ['nobody']],
    sslcrl: [['', '/nowhere'], []],
    sslcert: [['', '/nowhere'], []],
    service: [
      ['s', 't'],
      ['none', ''],
    ],
    passfile: [['', '/nowhere'], []],
  };
  const value = (keyword: string): string => {
    if (keyword === 'host') return list(host);
    if (keyword === 'hostaddr')
      return chance(0.9) ? list(() => '127.0.0.1') : pick(['', 'localhost', '127.0.0.1,', '::1']);
    if (keyword === 'port') return list(port);
    if (keyword === 'user' || keyword === 'dbname' || keyword === 'password') return odd();
    const [works, not] = VALUES[keyword] ?? [[''], []];
    return pick(not.length > 0 && chance(0.08) ? not : works);
  };
  const COMMON = ['host', 'port', 'user', 'dbname', 'password', 'sslmode', 'require_auth'];
  const keyword = () => (chance(0.5) ? pick(COMMON) : chance(0.15) ? 'hostaddr' : pick(Object.keys(VALUES)));
  const encode = (text: string) => (chance(0.93) ? encodeURIComponent(text) : text);
  const some = (most: number, one: () => string) => Array.from({ length: Math.floor(next() * (most + 1)) }, one);

  const url = () => {
    const login = chance(0.8) ? `${encode(odd())}${chance(0.7) ? `:${encode(odd())}` : ''}@` : '';
    const hosts = chance(0.85)
      ? list(() => `${host().replaceAll('/', '%2F')}${chance(0.85) ? `:${port()}` : ''}`)
      : pick(['', '[::1]', '[]', '[::1', '[::1]x']);
    const db = chance(0.7) ? `/${encode(odd())}` : '';
    const param = () => {
      if (chance(0.06))
        return pick([
          '',
          'x',
          'x=y',
          'ssl=true',
          'ssl=x',
          'requiressl=1',
          'requiressl=0',
          'user=a=b',
          'user=%zz',
          'user=%00',
          'us%65r=b',
          ' user = c ',
          'user=%ff',
        ]);
      const key = keyword();
      return `${key}=${encode(value(key))}`;
    };
    const params = some(3, param);
    return `${pick(['postgres', 'postgresql'])}://${login}${hosts}${db}${params.length > 0 ? `?${params.join('&')}` : ''}${chance(0.02) ? pick([' ', '&', '?', '#']) : ''}`;
  };
  const pairs = () =>
    some(6, () => {
      const key = chance(0.04) ? pick(['x', 'requiressl', 'ssl', '']) : keyword();
      const text = value(key);
      const plain = text !== '' && !/[\s'\\]/.test(text) && chance(0.5);
      return `${key}${pick(['=', ' = ', '='])}${plain ? text : `'${chance(0.97) ? text.replace(/['\\]/g, '\\$&') : text}'`}`;
    }).join(pick([' ', '  ', '\n'])) || 'user=app';
  const service = () =>
    ['s', 't']
      .filter(() => chance(0.9))
      .map((name) => {
        const lines = some(5, () => {
          if (chance(0.05))
            return pick(['x', 'x=y', 'service=t', ' user = z', '#user=c', '', '[', '[u', 'user', 'password= a b ']);
          const key = pick([...COMMON, ...Object.keys(VALUES).filter((other) => other !== 'service')]);
          return `${key}=${value(key)}`;
        });
        return `${pick(['[', '  [', '['])}${name}]${pick(['', '', ' x', '\r'])}\n${lines.join(pick(['\n', '\n', '\r\n']))}\n`;
      })
      .join('');
  const passfile = () => {
    const field = (values: readonly string[]) => (chance(0.5) ? '*' : pick(values).replace(/[:\\]/g, '\\$&'));
    return `${some(4, () => {
      if (chance(0.1)) return pick(['#x', '', '*:*:*', '*', '\\*:*:*:*:star', '*:*:*:*:']);
      return `${field(['localhost', '127.0.0.1', servers.sockets])}:${field([port(), port()])}:${field(ODD)}:${field(ODD)}:${pick(ODD)}${pick(['', '', ':more', '\\'])}`;
    }).join('\n')}${pick(['\n', '', '\r\n'])}`;
  };
  const variables = PARAMETERS.filter(
    ({ variable, keyword: key }) =>
      variable && key !== 'sslpassword' && (COMMON.includes(key) || key in VALUES || key === 'hostaddr'),
  );
  return () => {
    const env: Record<string, string> = {};
    for (const { keyword: key, variable } of variables)
      if (chance(COMMON.includes(key) ? 0.25 : 0.03)) env[variable as string] = value(key);
    // The default of libpq is a socket's folder, ours localhost: the one difference that every case would have.
    if (chance(0.9)) env.PGHOST ??= '127.0.0.1';
    env.PGPORT ??= port();
    env.PGUSER ??= 'app';
    if (chance(0.03)) env.PGREQUIRESSL = pick(['0', '1']);
    if (chance(0.03)) env.HOME = '';
    const file = chance(0.3) ? service() : undefined;
    if (file !== undefined && chance(0.6)) env.PGSERVICE = pick(['s', 's', 't', 'none']);
    return {
      conninfo: chance(0.65) ? url() : pairs(),
      env,
      ...(file === undefined ? {} : { service: file }),
      ...(chance(0.4) ? { passfile: passfile(), passfileMode: pick([0o600, 0o600, 0o400, 0o644]) } : {}),
    };
  };
}
