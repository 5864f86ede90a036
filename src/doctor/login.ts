import type { Context } from '../config/context.js';
import { Session } from '../postgres/session.js';
import type { Report } from './report.js';

/** @returns undefined where the login fails, which is reported */
export async function logIn(report: Report, ctx: Context): Promise<Session | undefined> {
  try {
    const session = await Session.open(ctx.resolve, { signal: ctx.signal, once: true });
    const { client } = session;
    const stream = (
      client as unknown as {
        connection: { stream: { encrypted?: boolean; getProtocol?: () => string; authorized?: boolean } };
      }
    ).connection.stream;
    report.ok('login', `logged in at ${client.host}:${client.port} as ${client.user}`);
    if (stream.encrypted) {
      const checked = stream.authorized ? 'its certificate is verified' : 'its certificate is not verified';
      report.ok('tls', `${stream.getProtocol?.()}, ${checked}`);
    } else
      report.warning(
        'tls',
        'the connection is not encrypted',
        'set PGSSLMODE=verify-full and PGSSLROOTCERT, unless the network is your own',
      );
    return session;
  } catch (error) {
    report.fail('login', error);
    return undefined;
  }
}
