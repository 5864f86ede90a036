import { execFileSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolveSettings } from '../../src/config/settings.js';
import { connect } from '../../src/postgres/connect.js';
import { disconnect } from '../../src/postgres/query.js';
import { authority, type Certificate } from '../support/certificates.js';
import { hasLibpq, type Libpq, startLibpq } from '../support/libpq.js';
import { startTlsServer, type TlsServer } from '../support/tls-server.js';

/** Certificates by what they are for: subject, names. The host is given with hostaddr, so that it may be any. */
const NAMES: Record<string, [subject: string, names: { type: 'dns' | 'ip'; value: string }[]]> = {
  'one common name': ['common.example', []],
  'two common names': ['first.example,CN=second.example', []],
  'DNS names': [
    'common.example',
    ['dns1.example', 'dns2.example', '*.wildcard.example'].map((value) => ({ type: 'dns', value })),
  ],
  'a DNS name and an address': [
    'common.example',
    [
      { type: 'dns', value: 'dns1.example' },
      { type: 'ip', value: '192.0.2.1' },
    ],
  ],
  'an address': ['common.example', [{ type: 'ip', value: '192.0.2.1' }]],
  'an IPv6 address': ['common.example', [{ type: 'ip', value: '2001:db8::1' }]],
  'an address as common name': ['192.0.2.1', []],
  'an address as common name, and a DNS name': ['192.0.2.1', [{ type: 'dns', value: 'dns1.example' }]],
  'an address as DNS name': ['common.example', [{ type: 'dns', value: '192.0.2.1' }]],
  'a wildcard as common name': ['*.wildcard.example', []],
  'a wildcard for everything': [
    'common.example',
    [
      { type: 'dns', value: '*' },
      { type: 'dns', value: '*.example' },
    ],
  ],
  'part of a label': [
    'common.example',
    [
      { type: 'dns', value: 'w*.example' },
      { type: 'dns', value: 'a.*.example' },
    ],
  ],
};
const HOSTS = [
  'common.example',
  'COMMON.Example',
  'first.example',
  'second.example',
  'dns1.example',
  'dns2.example',
  'foo.wildcard.example',
]
  .concat([
    'too.deep.wildcard.example',
    'wildcard.example',
    '.wildcard.example',
    'www.example',
    'a.b.example',
    '192.0.2.1',
    '192.0.2.2',
    '2001:db8::1',
  ])
  .concat(['2001:DB8:0:0:0:0:0:1', 'example', 'dns1.example.']);

describe.skipIf(!hasLibpq())('TLS beside libpq', { timeout: 600_000 }, () => {
  let scratch: string;
  let tls: TlsServer;
  let libpq: Libpq;

  beforeAll(async () => {
    scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kasm-db-libpq-tls-'));
    mkdirSync(join(scratch, 'home'));
    const more: Record<string, Certificate> = {};
    tls = await startTlsServer(scratch, {
      version: 18,
      more: async (right) => {
        for (const [name, [subject, names]] of Object.entries(NAMES)) more[name] = await right.issue(subject, names);
        return more;
      },
    });
    libpq = await startLibpq();
  });
  afterAll(async () => {
    libpq?.stop();
    await tls?.server.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  interface Case {
    login?: string;
    env: Record<string, string>;
  }

  /** Logs in by both, and gives the cases that differ. */
  async function compare(title: string, cases: Case[]): Promise<string[]> {
    const different: string[] = [];
    let let_in = 0;
    for (const { login = 'anyway', env: more } of cases) {
      const env = { ...tls.env(login, more), HOME: join(scratch, 'home') };
      const them = await libpq.connect('', env);
      let why = '';
      try {
        await disconnect(
          await connect(() => resolveSettings({ connectTimeout: '30s' }, env, { direct: false }), { once: true }),
        );
      } catch (error) {
        why = (error as Error).message;
      }
      if (them.in) let_in++;
      if (them.in !== (why === ''))
        different.push(
          `${login} ${JSON.stringify(more)}\n  libpq: ${them.in} ${them.why}\n  kasm-db: ${why === ''} ${why}`,
        );
    }
    console.log(
      `${title}: ${cases.length} cases, ${let_in} let in by libpq ${libpq.version}, ${different.length} different`,
    );
    return different;
  }

  it('names in the certificate under verify-full, those of libpq’s own tests among them', async () => {
    const different: string[] = [];
    for (const name of Object.keys(NAMES)) {
      await tls.present(name);
      const root = { PGSSLMODE: 'verify-full', PGSSLROOTCERT: tls.at('right.crt'), PGHOSTADDR: '127.0.0.1' };
      different.push(
        ...(await compare(
          name,
          HOSTS.map((host) => ({ env: { ...root, PGHOST: host } })),
        )),
      );
    }
    expect(different).toEqual([]);
  });

  it('several revocation lists in a file, and in a folder', async () => {
    const other = await authority('a third CA');
    const files = join(scratch, 'lists');
    const list = (name: string) => readFileSync(tls.at(name), 'utf8');
    mkdirSync(files);
    writeFileSync(join(files, 'both.crl'), (await other.revoke()) + list('revoked.crl'));
    const folders: Record<string, string[]> = {
      revoked: [list('revoked.crl')],
      none: [list('none.crl')],
      other: [await other.revoke()],
      empty: [],
    };
    for (const [name, lists] of Object.entries(folders)) {
      mkdirSync(join(files, name));
      for (const [i, text] of lists.entries()) {
        writeFileSync(join(files, name, 'list'), text);
        const hash = execFileSync('openssl', ['crl', '-hash', '-noout', '-in', join(files, name, 'list')], {
          encoding: 'utf8',
        });
        writeFileSync(join(files, name, `${hash.trim()}.r${i}`), text);
      }
    }
    const root = { PGSSLMODE: 'verify-ca', PGSSLROOTCERT: tls.at('right.crt') };
    const cases: Case[] = [
      { env: root },
      { env: { ...root, PGSSLCRL: join(files, 'both.crl') } },
      { env: { ...root, PGSSLCRL: tls.at('none.crl') } },
      ...Object.keys(folders).map((name) => ({ env: { ...root, PGSSLCRLDIR: join(files, name) } })),
      { env: { ...root, PGSSLCRLDIR: '/nowhere' } },
      { env: { ...root, PGSSLCRL: tls.at('none.crl'), PGSSLCRLDIR: join(files, 'revoked') } },
      { env: { ...root, PGSSLCRL: '', PGSSLCRLDIR: '' } },
    ];
    for (const name of ['private CA', 'revoked']) {
      await tls.present(name);
      expect(await compare(`revocation lists, ${name}`, cases)).toEqual([]);
    }
  });

  it('sslnegotiation=direct, sslcertmode, keys as DER, protocol versions', async () => {
    await tls.present('private CA');
    const key = createPrivateKey(readFileSync(tls.at('client.key')));
    const cert = { PGSSLCERT: tls.at('client.crt'), PGSSLKEY: tls.at('client.key') };
    const cases: Case[] = [];
    for (const type of ['pkcs8', 'sec1'] as const) {
      const path = join(scratch, `${type}.der`);
      writeFileSync(path, key.export({ format: 'der', type }), { mode: 0o600 });
      cases.push({ login: 'cert_only', env: { PGSSLMODE: 'require', ...cert, PGSSLKEY: path } });
    }
    for (const mode of ['prefer', 'require', 'verify-full'])
      for (const negotiation of ['postgres', 'direct'])
        for (const binding of ['prefer', 'require'])
          cases.push({
            env: {
              PGSSLMODE: mode,
              PGSSLNEGOTIATION: negotiation,
              PGCHANNELBINDING: binding,
              PGSSLROOTCERT: tls.at('right.crt'),
            },
          });
    for (const login of ['cert_only', 'anyway'])
      for (const mode of ['disable', 'require'])
        for (const certmode of ['disable', 'allow', 'require'])
          for (const given of [{}, cert])
            cases.push({ login, env: { PGSSLMODE: mode, PGSSLCERTMODE: certmode, ...given } });
    for (const [min, max] of [
      ['TLSv1.3', ''],
      ['', 'TLSv1.2'],
      ['TLSv1.2', 'TLSv1.2'],
      ['TLSv1', 'TLSv1.1'],
      ['TLSv1.3', 'TLSv1.2'],
    ])
      cases.push({
        env: { PGSSLMODE: 'require', PGSSLMINPROTOCOLVERSION: min as string, PGSSLMAXPROTOCOLVERSION: max as string },
      });
    expect(await compare('the rest', cases)).toEqual([]);
  });

  it('passwords by SASLprep as libpq applies it', async () => {
    const passwords = [
      'x²',
      'x²😀',
      'ﬁ',
      'a\u00a0b',
      'I\u00adX',
      '\u00aa',
      '\u2168',
      '\u0627\u0031',
      '\u0007é',
      'é',
      'e\u0301',
      '\u{1f130}',
      'א²a',
      '日本',
    ];
    const different: string[] = [];
    for (const password of passwords) {
      await tls.superuser(`ALTER ROLE anyway PASSWORD '${password}'`);
      for (const typed of new Set([password, password.normalize('NFKC')]))
        different.push(
          ...(await compare(JSON.stringify(typed), [
            { env: { PGSSLMODE: 'disable', PGPASSWORD: typed } },
            { env: { PGSSLMODE: 'require', PGPASSWORD: typed } },
          ])),
        );
    }
    expect(different).toEqual([]);
  });
});
