import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KasmDbError } from '../../src/app/errors.js';
import { resolveSettings } from '../../src/config/settings.js';
import { connect } from '../../src/postgres/connect.js';
import { disconnect } from '../../src/postgres/query.js';
import type { Certificate } from '../support/certificates.js';
import { folder } from '../support/cli.js';
import { withoutPlus } from '../support/protocol.js';
import { startProxy } from '../support/proxy.js';
import { findPsql } from '../support/psql.js';
import { startTlsServer, type TlsServer } from '../support/tls-server.js';

const psql = findPsql();

describe('login › SCRAM with channel binding', () => {
  let scratch: string;
  let tls: TlsServer;
  const home = folder({});
  const before = process.env.HOME;

  beforeAll(async () => {
    scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kasm-db-login-'));
    tls = await startTlsServer(scratch);
    await tls.present('private CA');
    process.env.HOME = home;
  });
  afterAll(async () => {
    process.env.HOME = before;
    await tls?.server.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  /** One attempt to log in, in this process. */
  const ours = async (env: Record<string, string>) => {
    try {
      await disconnect(
        await connect(() => resolveSettings({ connectTimeout: '30s' }, env, { direct: false }), { once: true }),
      );
      return { in: true, message: '', hint: '', outcome: 'ok' };
    } catch (error) {
      if (!(error instanceof KasmDbError)) throw error;
      return { in: false, message: error.message, hint: error.details.hint ?? '', outcome: error.outcome };
    }
  };
  const theirs = async (env: Record<string, string>) =>
    (await psql?.run(['-c', 'SELECT 1'], { ...env, HOME: home }))?.code === 0;

  it.skipIf(!psql)('each channel_binding, sslmode and kind of login: the same as psql', async () => {
    const lines: string[] = [];
    const different: string[] = [];
    for (const binding of ['disable', 'prefer', 'require'])
      for (const mode of ['disable', 'prefer', 'verify-full'])
        for (const login of ['anyway', 'nocheck', 'oldpassword', 'cert_only']) {
          const env = tls.env(login, {
            PGCHANNELBINDING: binding,
            PGSSLMODE: mode,
            PGSSLROOTCERT: tls.at('right.crt'),
            ...(login === 'cert_only' ? { PGSSLCERT: tls.at('client.crt'), PGSSLKEY: tls.at('client.key') } : {}),
          });
          const [them, us] = await Promise.all([theirs(env), ours(env)]);
          const line = `${binding.padEnd(8)} ${mode.padEnd(12)} ${login.padEnd(12)} psql: ${them ? 'in ' : 'out'} kasm-db: ${us.in ? 'in ' : 'out'} ${us.in ? '' : us.message}`;
          lines.push(line);
          if (them !== us.in) different.push(line);
        }
    console.log(
      `channel_binding: ${lines.length} cases, ${different.length} different from psql ${psql?.version}\n${lines.join('\n')}`,
    );
    expect(different).toEqual([]);
  });

  it('required of a server, a login or a connection without it: unreachable, with the reason, and no password is sent', async () => {
    const required = { PGCHANNELBINDING: 'require' };
    const refused = async (env: Record<string, string>) => {
      const answer = await ours(env);
      expect(answer.outcome).toBe('unreachable');
      return answer;
    };
    expect(await refused(tls.env('anyway', { ...required, PGSSLMODE: 'disable' }))).toMatchObject({
      message: expect.stringContaining('channel_binding=require, but the connection is not encrypted'),
      hint: expect.stringContaining('PGSSLMODE=require'),
    });
    expect((await refused(tls.env('oldpassword', { ...required, PGSSLMODE: 'require' }))).message).toContain(
      'does not offer SCRAM-SHA-256-PLUS',
    );
    expect((await refused(tls.env('nocheck', { ...required, PGSSLMODE: 'require' }))).message).toContain(
      'lets us in without SCRAM',
    );
  });

  // sslmode=require without a root verifies nobody: binding alone then tells the server from someone in the middle.
  it.each([
    ['who passes everything on', false],
    ['who hides that the server can bind', true],
  ])('someone in the middle %s is found out, unless binding is disabled', async (_, hidePlus) => {
    const middle = await startProxy(tls.server.info.port, {
      tls: tls.certificates['self-signed'] as Certificate,
      onMessage: (message) => (hidePlus && message.direction === 'to client' ? withoutPlus(message) : 'pass'),
    });
    try {
      for (const binding of ['disable', 'prefer', 'require']) {
        const env = tls.env('anyway', {
          PGPORT: String(middle.port),
          PGSSLMODE: 'require',
          PGCHANNELBINDING: binding,
        });
        const us = await ours(env);
        expect(us.in, `${binding}: ${us.message}`).toBe(binding === 'disable');
        if (psql) expect(await theirs(env)).toBe(us.in);
      }
    } finally {
      middle.stop();
    }
  });
});
