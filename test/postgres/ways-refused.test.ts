import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KasmDbError } from '../../src/app/errors.js';
import { resolveSettings } from '../../src/config/settings.js';
import { connect } from '../../src/postgres/connect.js';
import { disconnect } from '../../src/postgres/query.js';
import { type LoggingServers, type Manner, startLoggingServers } from '../support/logging-server.js';

const PASSWORD = 'never-sent';

describe('what a server is not told', () => {
  let folder: string;
  let servers: LoggingServers;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kasm-db-refused-'));
    servers = await startLoggingServers(folder, [
      'primary',
      'refuses',
      'starting',
      'asks nothing',
      'asks md5',
      'asks SCRAM',
      'offers PLUS',
    ]);
  });
  afterAll(() => {
    servers?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** One attempt; the error, or undefined where it was let in. */
  async function refusal(env: Record<string, string>, once = true): Promise<KasmDbError | undefined> {
    const all = { HOME: '/nowhere', PGUSER: 'app', PGPASSWORD: PASSWORD, PGSSLMODE: 'disable', ...env };
    servers.visits();
    try {
      await disconnect(
        await connect(() => resolveSettings({ connectTimeout: '60s' }, all, { direct: false }), { once }),
      );
      return undefined;
    } catch (error) {
      if (!(error instanceof KasmDbError)) throw error;
      return error;
    }
  }
  const at = (...manners: Manner[]) => ({
    PGHOST: manners.map(() => '127.0.0.1').join(','),
    PGPORT: manners.map((manner) => servers.port(manner)).join(','),
  });

  it.each<[Manner, Record<string, string>, RegExp]>([
    ['primary', { PGREQUIREAUTH: 'scram-sha-256' }, /require_auth=scram-sha-256, but the server asks for password$/],
    ['asks md5', { PGREQUIREAUTH: '!password,!md5' }, /require_auth=!password,!md5, but the server asks for md5$/],
    ['asks SCRAM', { PGREQUIREAUTH: 'none' }, /require_auth=none, but the server asks for scram-sha-256$/],
    ['asks nothing', { PGREQUIREAUTH: 'scram-sha-256' }, /lets us in without completing an authentication$/],
    [
      'asks nothing',
      { PGCHANNELBINDING: 'require' },
      /channel_binding=require, but the server lets us in without SCRAM$/,
    ],
    ['primary', { PGCHANNELBINDING: 'require' }, /channel_binding=require, but the connection is not encrypted$/],
    ['offers PLUS', {}, /the server offers SCRAM-SHA-256-PLUS on a connection without TLS$/],
    ['asks nothing', { PGSSLCERTMODE: 'require' }, /sslcertmode=require, but the server did not ask for a certificate/],
  ])('%s, %j: no answer, exit 4', async (manner, env, message) => {
    const error = await refusal({ ...at(manner), ...env });
    expect(error).toMatchObject({ outcome: 'unreachable', message: expect.stringMatching(message) });
    expect(servers.visits()).toEqual([expect.objectContaining({ user: 'app', password: undefined })]);
  });

  it('the hosts behind one that refuses the login get no password; those behind one that starts do', async () => {
    expect((await refusal(at('refuses', 'primary')))?.details.sqlstate).toBe('28P01');
    expect(servers.visits()).toHaveLength(1);
    expect(await refusal(at('starting', 'primary'))).toBeUndefined();
    expect(servers.visits().map(({ server }) => server)).toEqual(['tcp starting', 'tcp primary']);
    expect(
      (await refusal({ ...at('refuses', 'primary'), PGTARGETSESSIONATTRS: 'prefer-standby' }))?.details.sqlstate,
    ).toBe('28P01');
    expect(servers.visits()).toHaveLength(1);
  });

  it('requirepeer: a socket of another account is not spoken to, nor one where others may put another', async () => {
    const socket = { PGHOST: folder, PGPORT: String(servers.port('primary')) };
    const { username } = userInfo();
    expect(await refusal({ ...socket, PGREQUIREPEER: username })).toBeUndefined();
    expect((await refusal({ ...socket, PGREQUIREPEER: 'somebody' }))?.message).toContain(
      `belongs to ${username}, not to somebody`,
    );
    expect(servers.visits()).toEqual([]);
    chmodSync(folder, 0o777);
    try {
      expect((await refusal({ ...socket, PGREQUIREPEER: username }))?.message).toContain(
        'is in a folder that others may write to',
      );
    } finally {
      chmodSync(folder, 0o700);
    }
    expect(servers.visits()).toEqual([]);
    // It is for sockets alone.
    expect(await refusal({ ...at('primary'), PGREQUIREPEER: 'somebody' })).toBeUndefined();
  });

  it('a folder of sockets with hostaddr beside it is reached by TCP, with the TLS that was asked for', async () => {
    const env = {
      PGHOST: folder,
      PGHOSTADDR: '127.0.0.1',
      PGPORT: String(servers.port('primary')),
      PGSSLMODE: 'require',
    };
    expect((await refusal(env))?.message).toContain('does not support SSL');
    expect(servers.visits()).toEqual([]);
  });

  it('a server that speaks HTTP is told at once, and asked once', async () => {
    let asked = 0;
    const web = createServer((socket) => {
      asked++;
      socket.on('error', () => {});
      socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    });
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
    const { port } = web.address() as { port: number };
    const error = await refusal({ PGHOST: '127.0.0.1', PGPORT: String(port), PGSSLMODE: 'prefer' }, false);
    web.close();
    expect(error).toMatchObject({ outcome: 'unreachable', message: `127.0.0.1:${port} speaks HTTP, not PostgreSQL` });
    expect(asked).toBe(1);
  });

  it('load_balance_hosts=random: each host comes first at some time', async () => {
    const seen = new Set<string | undefined>();
    for (let i = 0; i < 60 && seen.size < 2; i++) {
      await refusal({ ...at('primary', 'asks nothing'), PGLOADBALANCEHOSTS: 'random' });
      seen.add(servers.visits()[0]?.server);
    }
    expect([...seen].sort()).toEqual(['tcp asks nothing', 'tcp primary']);
  });
});
