import { chmodSync, chownSync, copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SSL_MODES, type SslMode } from '../../src/config/parameters.js';
import { resolveSettings } from '../../src/config/settings.js';
import { connect } from '../../src/postgres/connect.js';
import { disconnect } from '../../src/postgres/query.js';
import { cli } from '../support/cli.js';
import { findPsql } from '../support/psql.js';
import { startTlsServer, type TlsServer } from '../support/tls-server.js';

const psql = findPsql();

// Hundreds of logins, each by a process of psql: on a busy machine that takes its time.
describe('TLS, as libpq has it', { timeout: 240_000 }, () => {
  let scratch: string;
  let tls: TlsServer;
  const at = (name: string) => tls.at(name);

  beforeAll(async () => {
    scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kasm-db-tls-'));
    tls = await startTlsServer(scratch);
  });
  afterAll(async () => {
    await tls?.server.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  interface Case {
    server: string;
    login: string;
    env: Record<string, string>;
    host?: string;
    home?: string;
  }
  const environment = ({ login, env, host }: Case) => tls.env(login, { ...(host ? { PGHOST: host } : {}), ...env });
  /** encrypted, plain, or why not. */
  const ours = async (c: Case): Promise<{ answer: string; why: string }> => {
    const env = { ...environment(c), HOME: at(`homes/${c.home ?? 'empty'}`) };
    try {
      const client = await connect(() => resolveSettings({}, env, { direct: false }), {
        once: true,
      });
      const { rows } = await client.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
      await disconnect(client);
      return { answer: rows[0].ssl ? 'TLS' : 'plain', why: '' };
    } catch (error) {
      return { answer: 'refused', why: (error as Error).message };
    }
  };
  const theirs = async (c: Case): Promise<{ answer: string; why: string }> => {
    const { code, stdout, stderr } = (await psql?.run(
      ['-c', 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()'],
      {
        ...environment(c),
        HOME: at(`homes/${c.home ?? 'empty'}`),
      },
    )) as { code: number | null; stdout: string; stderr: string };
    return code === 0 ? { answer: stdout === 't' ? 'TLS' : 'plain', why: '' } : { answer: 'refused', why: stderr };
  };
  /** Runs the cases on both, prints a table (an answer a column of sslmode), and gives those that differ. */
  const compare = async (title: string, cases: Case[]): Promise<string[]> => {
    const rows = new Map<string, string[]>();
    const different: string[] = [];
    const modes = SSL_MODES.filter((mode) => cases.some(({ env }) => env.PGSSLMODE === mode));
    let current = '';
    for (const c of cases) {
      if (c.server !== current) await tls.present(c.server);
      current = c.server;
      const [them, us] = await Promise.all([theirs(c), ours(c)]);
      const settings = Object.entries(c.env)
        .filter(([name]) => name !== 'PGSSLMODE')
        .map(([name, value]) => `${name.slice(2).toLowerCase()}=${value.replace(`${tls.files}/`, '')}`)
        .concat(c.home ? [`home=${c.home}`] : [], c.host ? [`host=${c.host}`] : [])
        .join(' ');
      const row = `${c.server.padEnd(27)} ${c.login.padEnd(10)} ${settings.padEnd(58)}`;
      const cells = rows.get(row) ?? modes.map(() => '');
      rows.set(row, cells);
      cells[modes.indexOf(c.env.PGSSLMODE as SslMode)] = `${them.answer}/${us.answer}`;
      if (them.answer !== us.answer)
        different.push(
          `${row} ${c.env.PGSSLMODE}\n    psql: ${them.answer} ${them.why}\n    kasm-db: ${us.answer} ${us.why}`,
        );
    }
    const line = (head: string, cells: string[]) =>
      `${head} ${cells.map((cell) => cell.padEnd(16)).join('')}`.trimEnd();
    console.log(
      `${title}, psql ${psql?.version}/kasm-db: ${cases.length} cases, ${different.length} different\n${[
        line(''.padEnd(97), modes),
        ...[...rows].map(([row, cells]) => line(row, cells)),
      ].join('\n')}`,
    );
    return different;
  };
  const roots = { none: {}, right: { PGSSLROOTCERT: 'right.crt' }, wrong: { PGSSLROOTCERT: 'wrong.crt' } };
  const rootsAt = (values: Record<string, string>) =>
    Object.fromEntries(Object.entries(values).map(([name, file]) => [name, at(file)]));

  it.skipIf(!psql)('each sslmode, root and server: the same as psql', async () => {
    const cases: Case[] = [];
    const LANDS = [
      ...['TLS off', 'self-signed', 'private CA', 'wrong name', 'expired'].map((name) => [name, 'anyway'] as const),
      ...['private CA', 'TLS off'].flatMap((name) => [[name, 'ssl_only'] as const, [name, 'nossl_only'] as const]),
    ];
    for (const [name, login] of LANDS) {
      const choices = [...Object.values(roots), ...(name === 'self-signed' ? [{ PGSSLROOTCERT: 'self.crt' }] : [])];
      for (const mode of SSL_MODES)
        for (const root of choices) cases.push({ server: name, login, env: { PGSSLMODE: mode, ...rootsAt(root) } });
    }
    expect(await compare('sslmode × root × server', cases)).toEqual([]);
  });

  it.skipIf(!psql)('client certificates: the same as psql', async () => {
    const given: Record<string, Record<string, string>> = {
      none: {},
      right: { PGSSLCERT: 'client.crt', PGSSLKEY: 'client.key' },
      'of another CA': { PGSSLCERT: 'stranger.crt', PGSSLKEY: 'stranger.key' },
      'for another login': { PGSSLCERT: 'other.crt', PGSSLKEY: 'other.key' },
      "with another's key": { PGSSLCERT: 'client.crt', PGSSLKEY: 'other.key' },
      'without key': { PGSSLCERT: 'client.crt' },
      'that is not there': { PGSSLCERT: 'nowhere.crt', PGSSLKEY: 'client.key' },
      'whose key is not there': { PGSSLCERT: 'client.crt', PGSSLKEY: 'nowhere.key' },
    };
    const cases: Case[] = [];
    for (const login of ['cert_only', 'anyway', 'ssl_only'])
      for (const mode of SSL_MODES)
        for (const files of Object.values(given))
          cases.push({
            server: 'private CA',
            login,
            env: { PGSSLMODE: mode, ...rootsAt({ PGSSLROOTCERT: 'right.crt', ...files }) },
          });
    expect(await compare('sslmode × client certificate × login', cases)).toEqual([]);
  });

  it.skipIf(!psql)('names in the certificate, for a DNS name and an IP address: the same as psql', async () => {
    const cases: Case[] = [];
    for (const name of Object.keys(tls.certificates).filter((name) => /^(CN|DNS|private)/.test(name)))
      for (const host of ['localhost', '127.0.0.1'])
        for (const mode of ['verify-ca', 'verify-full'])
          cases.push({ server: name, login: 'anyway', host, env: { PGSSLMODE: mode, ...rootsAt(roots.right) } });
    expect(await compare('host × name in the certificate', cases)).toEqual([]);
  });

  it.skipIf(!psql)(
    '~/.postgresql, revocation lists, protocol versions, files of several roots: the same as psql',
    async () => {
      const right = rootsAt(roots.right);
      const cases: Case[] = [];
      for (const mode of ['allow', 'prefer', 'require', 'verify-full'])
        for (const folder of ['right', 'wrong', 'client'])
          cases.push({ server: 'private CA', login: 'anyway', home: folder, env: { PGSSLMODE: mode } });
      cases.push({ server: 'private CA', login: 'cert_only', home: 'client', env: { PGSSLMODE: 'require' } });
      for (const name of ['private CA', 'revoked'])
        for (const crl of ['revoked.crl', 'none.crl', 'nowhere.crl'])
          cases.push({ server: name, login: 'anyway', env: { PGSSLMODE: 'verify-full', ...right, PGSSLCRL: at(crl) } });
      for (const [min, max] of [
        ['TLSv1.3', ''],
        ['', 'TLSv1.2'],
        ['TLSv1.2', 'TLSv1.2'],
        ['tlsv1.2', 'tlsv1.3'],
      ])
        cases.push({
          server: 'private CA',
          login: 'anyway',
          env: {
            PGSSLMODE: 'require',
            ...(min ? { PGSSLMINPROTOCOLVERSION: min } : {}),
            ...(max ? { PGSSLMAXPROTOCOLVERSION: max } : {}),
          },
        });
      for (const root of ['both.crt', 'no-pem', 'nowhere.crt'])
        for (const mode of ['prefer', 'require', 'verify-ca', 'verify-full'])
          cases.push({ server: 'private CA', login: 'anyway', env: { PGSSLMODE: mode, PGSSLROOTCERT: at(root) } });
      expect(await compare('other settings', cases)).toEqual([]);
    },
  );

  it.skipIf(!psql || process.getuid?.() === undefined)(
    'permissions and owner of the key: the same as psql',
    async () => {
      const cases: Case[] = [];
      const root = process.getuid?.() === 0;
      for (const [i, mode] of [0o600, 0o400, 0o640, 0o440, 0o644, 0o660, 0o604, 0o650].entries())
        for (const owner of root ? [0, 4242] : [process.getuid?.() as number]) {
          const key = at(`key-${i}-${owner}`);
          copyFileSync(at('client.key'), key);
          if (root) chownSync(key, owner, 4242);
          chmodSync(key, mode);
          for (const login of ['cert_only', 'anyway'])
            for (const sslmode of ['prefer', 'require'])
              cases.push({
                server: 'private CA',
                login,
                env: { PGSSLMODE: sslmode, ...rootsAt({ PGSSLCERT: 'client.crt' }), PGSSLKEY: key },
              });
        }
      expect(await compare('permissions of the key', cases)).toEqual([]);
    },
  );

  it('refusals say what is wrong, with exit 4 for the server and 2 for a file', async () => {
    const run = async (env: Record<string, string>, login = 'anyway', name = 'private CA') => {
      await tls.present(name);
      const { code, stderr } = await cli(['check'], {
        ...environment({ server: name, login, env }),
        HOME: at('homes/empty'),
      });
      return { code, stderr };
    };
    const full = { PGSSLMODE: 'verify-full', PGSSLROOTCERT: at('right.crt') };
    expect(await run({ ...full, PGSSLROOTCERT: at('wrong.crt') })).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/TLS with localhost.*\n.*PGSSLROOTCERT/),
    });
    expect(await run(full, 'anyway', 'wrong name')).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('elsewhere.example'),
    });
    expect(await run(full, 'anyway', 'expired')).toMatchObject({ code: 4, stderr: expect.stringContaining('expired') });
    expect(await run({ PGSSLMODE: 'require' }, 'anyway', 'TLS off')).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('does not support SSL'),
    });
    expect(await run({ ...full, PGSSLROOTCERT: at('nowhere') })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('nowhere'),
    });
  });
});
